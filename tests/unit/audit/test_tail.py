"""The tail: every record once and in order, what is missed is counted, the ring is bounded (D18)."""

from pathlib import Path

import pytest

from bot_bottle.audit import tail as tail_room
from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.filter_match import matcher
from bot_bottle.audit.filters import parse
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.tail import Tail
from bot_bottle.base.home import Home

COMMON = ("shop", "a", "claude", "l", "d" * 64)


def record(run: str, number: int, kind: str = "denied", **more: object) -> Record:
    return Record(VERSION, kind, run, 1_795_000_000_000_000_000 + number, 1, *COMMON, request=number, **more)  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(str(tmp_path / "home"), str(tmp_path / "run"))


def opened(home: Home, run: str, key: LogKey) -> RunLog:
    log = RunLog.create(home.run_log(run), run_origin(run), key)
    log.append(record(run, 0, "start", detail={"project": "/work/site", "person": "ann"}))
    return log


def test_every_record_once_while_logs_rotate_and_end(home: Home) -> None:
    key = LogKey.generate()
    logs = {run: opened(home, run, key) for run in ("r1", "r2")}
    tail, seen, seq, lost = Tail(home), list[tuple[str, int]](), 0, 0
    for turn in range(60):
        living = set(logs)
        tail.turn(living)
        if turn == 20:
            logs["r3"] = opened(home, "r3", key)  # began and is not in `living` of this turn
        for run, log in logs.items():
            for number in range(5):
                log.append(record(run, turn * 5 + number + 1))
            if turn % 7 == 0:
                log.rotate()
            if turn % 3 == 0:
                log.checkpoint()
        if turn == 40:
            logs.pop("r1").close(record("r1", 999, "stop"))
        tail.turn(living)
        found, missed = tail.since(seq)
        lost += missed
        seq = found[-1].seq if found else seq
        seen += [(one.run, one.number) for one in found]
    assert lost == 0
    assert len(seen) == len(set(seen))
    for run, count in (("r1", 41 * 5 + 1), ("r2", 300), ("r3", 40 * 5 + 1)):
        numbers = [number for name, number in seen if name == run]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        assert len(numbers) == count, run
    assert "r1" not in tail.runs
    for log in logs.values():
        log.abandon()


def test_project_and_person_come_from_the_start_of_the_run(home: Home) -> None:
    key = LogKey.generate()
    log = opened(home, "r1", key)
    tail = Tail(home)
    tail.turn({"r1"})
    log.append(record("r1", 1, target="https://a.example:443"))
    tail.turn({"r1"})
    (one,), _ = tail.since(0)
    for text in ("person:ann", "project:/work/site", "host:a.example run:r1"):
        assert matcher(parse(text), one.seen.record.time)(one.seen)
    log.abandon()


def test_of_the_host_log_only_what_people_did(home: Home) -> None:
    host = HostLog.open(home.host_log, LogKey.generate())
    tail = Tail(home)
    tail.turn(())
    host.append(record("r1", 1, "start"))
    host.append(record("", 2, "control", reason="froze all"))
    tail.turn(())
    assert [one.seen.record.reason for one in tail.since(0)[0]] == ["froze all"]


def test_the_ring_is_bounded_and_what_fell_out_is_counted(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tail_room, "KEPT", 50)
    log = opened(home, "r1", LogKey.generate())
    tail = Tail(home)
    tail.turn({"r1"})
    for number in range(120):
        log.append(record("r1", number + 1))
    tail.turn({"r1"})
    found, missed = tail.since(10)
    assert (len(found), missed) == (50, 60)
    assert tail.since(tail.seq) == ([], 0)
    monkeypatch.setattr(tail_room, "KEPT_BYTES", 20_000)
    for number in range(20):
        log.append(record("r1", number, path="/" + "x" * 1000))
    tail.turn({"r1"})
    assert sum(one.size for one in tail.since(0)[0]) <= 20_000
    log.abandon()
