"""The host log: several keepers, one sequence; each proves what it continues."""

import multiprocessing
import os
import shutil

import pytest

from bot_bottle.audit import hostlog
from bot_bottle.audit.checkpoint import Checkpoint, run_origin
from bot_bottle.audit.hostlog import HostLog, head_of
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.runs import read
from bot_bottle.audit.verify import verify
from bot_bottle.base.errors import AuditFault

from .conftest import RUN


@pytest.fixture
def host(tmp_path) -> str:
    return str(tmp_path / "host")


def test_two_keepers_take_turns(host: str, key: LogKey, make) -> None:
    one, two = HostLog.open(host, key), HostLog.open(host, key)
    for n in range(600):
        (one if n % 3 else two).append(make("policy", count=n))
    assert verify(host, key.fingerprint).state == "sealed"
    assert max(one.head.size, two.head.size) == 600
    assert next(start for start, _ in LogReader(host).batches()) == 0


def test_they_follow_each_other_through_rotations(host: str, key: LogKey, make, monkeypatch) -> None:
    monkeypatch.setattr(hostlog, "SEGMENT", 20_000)
    one, two = HostLog.open(host, key), HostLog.open(host, key)
    for n in range(900):
        (one if n % 7 else two).append(make("policy", count=n, detail={"x": "y" * 100}))
    report = verify(host, key.fingerprint)
    assert (report.state, report.size) == ("sealed", 900)
    assert len(os.listdir(f"{host}/journal")) <= 256 // 55 + 2
    assert HostLog.open(host, key).append(make("policy")).size == 901


def _keeper(host: str, key_directory: str, run: str, count: int) -> None:
    from bot_bottle.audit.record import VERSION, Record

    log = HostLog.open(host, LogKey.open(key_directory))
    for n in range(count):
        log.append(Record(VERSION, "policy", run, n, n, "", "", "", "", ""))


def test_processes_at_the_same_time(host: str, tmp_path) -> None:
    context = multiprocessing.get_context("fork")
    keys = str(tmp_path / "keys")
    processes = [context.Process(target=_keeper, args=(host, keys, f"r{n}", 60)) for n in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    report = verify(host, LogKey.open(keys).fingerprint)
    assert (report.state, report.size) == ("sealed", 240)


def test_a_line_that_another_keeper_did_not_sign_any_more_is_taken_in(host: str, key: LogKey, make) -> None:
    log = HostLog.open(host, key)
    log.append(make("policy"))
    log._sealer.append(b'{"half')
    assert HostLog.open(host, key).append(make("policy")).size == 3
    assert log.append(make("policy")).size == 4
    assert verify(host, key.fingerprint).unreadable == 1


def test_heads_of_runs_can_be_read_back(host: str, key: LogKey, make) -> None:
    log = HostLog.open(host, key)
    log.append(make("start"))
    head = Checkpoint(run_origin(RUN), 5, bytes(32))
    log.countersign(make("start", detail={"x": "y"}), head)
    log.append(make("stop"))
    facts = read(host)[RUN]
    assert (facts.heads, facts.ended, facts.label) == ([head], True, "one")
    assert head_of(make("checkpoint", detail={"size": "x"})) is None


def test_a_read_only_place_is_one_sentence(key: LogKey) -> None:
    with pytest.raises(AuditFault) as fault:
        HostLog.open("/proc/nowhere", key)
    assert fault.value.exit_code == 7


def test_an_exchanged_log_is_refused_by_a_keeper_that_lives(host: str, tmp_path, key: LogKey, make) -> None:
    log, other = HostLog.open(host, key), HostLog.open(str(tmp_path / "other"), key)
    log.append(make("policy"))
    for _ in range(3):
        other.append(make("freeze"))
    shutil.rmtree(host)
    shutil.copytree(tmp_path / "other", host)
    with pytest.raises(AuditFault):
        log.append(make("policy"))
