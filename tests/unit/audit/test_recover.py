"""The next start seals what a dead keeper left (issue part 9)."""

import os

import pytest

from bot_bottle.audit.checkpoint import Checkpoint, run_origin
from bot_bottle.audit.encode import decode
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.recover import is_orphan, recover, recover_run
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.runs import read
from bot_bottle.audit.verify import verify
from bot_bottle.audit.whole import verify_home
from bot_bottle.base.clock import FixedClock
from bot_bottle.base.errors import AuditFault, BusyFault
from bot_bottle.base.home import Home

from .conftest import RUN


def kinds(directory: str) -> list[str]:
    found: list[str] = []
    for _, batch in LogReader(directory).batches():
        for line in batch:
            try:
                found.append(decode(line).kind)
            except AuditFault:
                found.append("?")
    return found


def test_open_intents_and_a_torn_line_are_counted(filled, make, key: LogKey, directory: str) -> None:
    log = filled(2)
    for n in (10, 11, 12):
        log.append(make("intent", request=n, target="https://a:443"))
    log.append(make("outcome", request=11))
    log.checkpoint()
    log.append(make("intent", request=13))
    os.write(log.writer_fd(), b'{"v":1,"kind":"intent"')
    log.abandon()
    assert is_orphan(directory)
    assert verify(directory, key.fingerprint).state == "open"
    found = recover(directory, RUN, key, FixedClock())
    assert found is not None
    assert (found.open_intents, found.torn) == (3, 22)
    report = verify(directory, key.fingerprint)
    assert (report.state, report.open_intents, report.unreadable) == ("sealed", 0, 1)
    assert kinds(directory)[-5:] == ["?", "outcome", "outcome", "outcome", "recovered"]
    assert not is_orphan(directory)
    assert recover(directory, RUN, key, FixedClock()) is None


def test_outcomes_say_unknown(filled, make, key: LogKey, directory: str) -> None:
    log = filled(1)
    log.append(make("intent", request=9, target="https://a:443", headers=("x",)))
    log.abandon()
    recover(directory, RUN, key, FixedClock())
    records = [decode(line) for _, batch in LogReader(directory).batches() for line in batch]
    assert (records[-2].reason, records[-2].request, records[-2].target) == ("unknown", 9, "https://a:443")
    assert records[-1].detail == {"open_intents": "1", "torn": "0", "unreadable": "0"}


def test_a_log_that_was_stopped_but_not_settled_gets_no_new_record(filled, make, key: LogKey, directory: str) -> None:
    log = filled(300)
    log.append(make("stop"))
    log.checkpoint()
    log.abandon()
    assert verify(directory, key.fingerprint).state == "sealed"
    recover(directory, RUN, key, FixedClock())
    assert kinds(directory)[-1] == "stop"
    assert not is_orphan(directory)


def test_not_while_a_gateway_can_still_write(filled, key: LogKey, directory: str) -> None:
    log = filled(3)
    gateway = os.dup(log.writer_fd())
    log.abandon()
    with pytest.raises(BusyFault):
        recover(directory, RUN, key, FixedClock())
    os.close(gateway)
    assert recover(directory, RUN, key, FixedClock())


def test_tiles_lost_by_a_power_cut_are_made_again(filled, key: LogKey, directory: str) -> None:
    log = filled(900)
    heads = [log.head]
    log.abandon()
    for path, _, names in os.walk(f"{directory}/tile"):
        for name in names:
            open(os.path.join(path, name), "wb").close()
    assert recover(directory, RUN, key, FixedClock(), heads)
    assert verify(directory, key.fingerprint, known=heads).state == "sealed"


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_after_rotations(turns: int, filled, make, key: LogKey, directory: str) -> None:
    log = filled(300)
    for _ in range(turns):
        os.write(log.rotate(), b"x\n")
        log.checkpoint()
        for n in range(400):
            log.append(make("denied", request=n))
    log.rotate()
    log.abandon()
    assert recover(directory, RUN, key, FixedClock())
    report = verify(directory, key.fingerprint)
    assert (report.state, report.size) == ("sealed", 300 + 401 * turns + 1)


def test_the_whole_home(tmp_path, make) -> None:
    home = Home(str(tmp_path), str(tmp_path / "run"))
    key = LogKey.open(home.keys)
    host = HostLog.open(home.host_log, key)
    log = RunLog.create(home.run_log(RUN), run_origin(RUN), key)
    host.append(make("start"))
    log.append(make("start"))
    host.countersign(make("start"), log.checkpoint())
    log.abandon()
    assert verify_home(home, key.fingerprint).runs[RUN].state == "open"
    assert recover_run(home, RUN, key)
    whole = verify_home(home, key.fingerprint)
    assert (whole.ok, whole.runs[RUN].state) == (True, "sealed")
    assert read(home.host_log)[RUN].ended
    assert recover_run(home, RUN, key) is None
    assert host.append(make("policy")).size == 5


def test_a_keeper_that_died_before_telling_the_host_log(tmp_path, make) -> None:
    home = Home(str(tmp_path), str(tmp_path / "run"))
    key = LogKey.open(home.keys)
    host = HostLog.open(home.host_log, key)
    log = RunLog.create(home.run_log(RUN), run_origin(RUN), key)
    host.append(make("start"))
    head = log.close(make("stop"))
    assert recover_run(home, RUN, key) is None
    facts = read(home.host_log)[RUN]
    assert (facts.ended, facts.heads[-1]) == (True, head)


def test_what_died_before_its_first_checkpoint_is_removed(tmp_path, key: LogKey) -> None:
    home = Home(str(tmp_path), str(tmp_path / "run"))
    os.makedirs(home.run_log(RUN) + "/journal")
    open(home.run_log(RUN) + "/journal/0000000000000000", "wb").close()
    assert recover_run(home, RUN, key) is None
    assert not os.path.exists(home.run_log(RUN))


def test_heads_of_the_host_log_must_fit(filled, key: LogKey, directory: str) -> None:
    log = filled(20)
    log.abandon()
    for known in (Checkpoint(run_origin(RUN), 21, bytes(32)), Checkpoint(run_origin(RUN), 7, bytes(32))):
        with pytest.raises(AuditFault) as fault:
            recover(directory, RUN, key, FixedClock(), [known])
        assert fault.value.slug == "audit.inconsistent"
    assert is_orphan(directory)
