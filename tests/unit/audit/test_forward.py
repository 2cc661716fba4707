"""Forwarding: at least once, in order, durable, never in the way; a property test over faults, crashes and appends."""

import itertools
import os
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot_bottle.audit import cursor as cursors
from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.cursor import Cursor
from bot_bottle.audit.encode import encode
from bot_bottle.audit.entries import MIRRORED, Entry
from bot_bottle.audit.forward import BATCH, LONGEST_WAIT, Backoff, Forwarder, Ports, status_of
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.merkle import leaf_hash
from bot_bottle.audit.purge import purge
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.sinks.model import SinkConfig, SinkFault
from bot_bottle.audit.source import CHECKPOINTS, Source, lag
from bot_bottle.base.clock import FixedClock
from bot_bottle.base.errors import BusyFault
from bot_bottle.base.home import Home

KEY = LogKey.generate()


def a_record(kind: str, run: str, number: int = 0) -> Record:
    return Record(
        VERSION, kind, run, 1_700_000_000_000_000_000 + number, number, "b", "a", "h", "l", "p", request=number
    )


class Memory:
    """A sink that keeps uids; told to fail, it fails before or after it has taken a part."""

    def __init__(self, settle: float = 0.0) -> None:
        self.settle = settle
        self.got: list[Entry] = []
        self.unsafe: list[Entry] = []
        self.fail = ""
        self.largest = 0

    def send(self, batch: Sequence[Entry]) -> None:
        self.largest = max(self.largest, len(batch))
        if self.fail == "large" and len(batch) > 3:
            raise SinkFault("too large", too_large=True)
        if self.fail in ("before", "part"):
            kept = batch[: len(batch) // 2] if self.fail == "part" else []
            self._take(kept)
            raise SinkFault("down", after=3)
        self._take(batch)

    def _take(self, batch: Sequence[Entry]) -> None:
        (self.unsafe if self.settle else self.got).extend(batch)

    def check(self) -> None:
        if self.fail == "link":
            raise SinkFault("the link broke")

    def close(self) -> None:
        return

    def store(self) -> None:
        """A receiver without acknowledgements writes what it has read."""
        self.got += self.unsafe
        self.unsafe = []

    def crash(self) -> None:
        """It is killed before that."""
        self.unsafe = []

    def uids(self) -> list[str]:
        return [entry.uid for entry in self.got]


class World:
    """A home with a host log and runs."""

    def __init__(self, root: Path) -> None:
        self.home = Home(str(root), str(root / "run"))
        self.clock = FixedClock()
        self.host = HostLog.open(self.home.host_log, KEY)
        self.runs: dict[str, RunLog] = {}

    def start(self, run: str) -> RunLog:
        self.host.append(a_record("start", run))
        log = self.runs[run] = RunLog.create(self.home.run_log(run), run_origin(run), KEY)
        log.append(a_record("start", run))
        return log

    def write(self, run: str, count: int, sign: bool = True) -> None:
        log = self.runs[run]
        os.write(log.writer_fd(), b"".join(encode(a_record("denied", run, number)) for number in range(count)))
        if sign:
            log.checkpoint()

    def end(self, run: str) -> None:
        self.runs.pop(run).close(a_record("stop", run))
        self.host.append(a_record("stop", run))

    def forwarder(self, sink: Memory, config: SinkConfig | None = None) -> Forwarder:
        ports = Ports(self.clock, random.Random(7).random)
        return Forwarder("siem", self.home, config or SinkConfig(), sink, ports)

    def close(self) -> None:
        for log in self.runs.values():
            log.abandon()
        self.host.close()


@pytest.fixture
def world(tmp_path: Path):
    found = World(tmp_path)
    yield found
    found.close()


def drain(forwarder: Forwarder) -> None:
    while forwarder.step():
        pass


def in_order(entries: Sequence[Entry]) -> bool:
    """First arrivals of each log are in the order of their numbers, without a gap."""
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.record.kind == MIRRORED:
            continue
        expected = seen.get(entry.log, 0)
        if entry.number > expected:
            return False
        if entry.number == expected:
            seen[entry.log] = expected + 1
    return True


def test_everything_arrives_once_and_in_order_while_the_log_grows(world: World) -> None:
    sink = Memory()
    forwarder = world.forwarder(sink)
    for run in ("r1", "r2"):
        world.start(run)
        world.write(run, 700)
    drain(forwarder)
    world.write("r1", 10, sign=False)
    drain(forwarder)
    assert "r1/701" not in sink.uids(), "unsigned records wait for their checkpoint: their numbers might change"
    world.end("r1")
    world.write("r2", 300)
    drain(forwarder)
    uids = sink.uids()
    assert len(uids) == len(set(uids))
    assert {uid for uid in uids if uid.startswith("r1/")} == {f"r1/{number}" for number in range(712)}
    assert {uid for uid in uids if uid.startswith("r2/")} == {f"r2/{number}" for number in range(1001)}
    assert in_order(sink.got)
    assert sink.largest <= BATCH + 1
    assert lag(world.home, cursors.read(forwarder.directory)) == {}
    forwarder.close()


def test_a_long_log_does_not_keep_the_others_waiting(world: World) -> None:
    sink = Memory()
    world.start("long")
    world.write("long", 5000)
    world.start("short")
    world.write("short", 3)
    forwarder = world.forwarder(sink)
    for _ in range(3):
        forwarder.step()
    assert "short/3" in sink.uids()
    forwarder.close()


def test_checkpoints_are_mirrored_behind_what_they_cover(world: World) -> None:
    sink = Memory()
    forwarder = world.forwarder(sink)
    world.start("r1")
    drain(forwarder)
    world.host.append(a_record("policy", "r1"))
    drain(forwarder)
    notes = [entry for entry in sink.got if entry.record.kind == MIRRORED]
    assert [entry.uid for entry in notes] == ["host@1", "host@2"]
    for entry in notes:
        assert sink.uids().index(f"host/{entry.number - 1}") < sink.uids().index(entry.uid)
    assert notes[-1].record.detail["note"].encode() == world.host.note
    forwarder.close()
    quiet = Memory()
    other = Forwarder("quiet", world.home, SinkConfig(checkpoints=False), quiet, Ports(world.clock, random.random))
    drain(other)
    other.close()
    assert not [entry for entry in quiet.got if entry.record.kind == MIRRORED]


def test_a_sink_may_start_with_what_comes(world: World) -> None:
    world.start("r1")
    world.write("r1", 10)
    sink = Memory()
    forwarder = world.forwarder(sink, SinkConfig(start="now", checkpoints=False))
    drain(forwarder)
    assert sink.got == []
    world.write("r1", 2)
    drain(forwarder)
    assert sink.uids() == ["r1/11", "r1/12"]
    forwarder.close()


@pytest.mark.parametrize("fail", ["before", "part", "link"])
def test_a_fault_repeats_and_never_skips(world: World, fail: str) -> None:
    sink = Memory(settle=1.0 if fail == "link" else 0.0)
    forwarder = world.forwarder(sink)
    world.start("r1")
    world.write("r1", 20)
    sink.fail = fail
    waits = []
    for _ in range(6):
        world.clock.advance(100_000_000)
        waits.append(forwarder.round())
    sink.crash()
    assert cursors.read(forwarder.directory) == {}, "nothing has arrived"
    assert status_of(world.home, "siem").state == "failing"
    assert max(waits) >= 3 if fail != "link" else max(waits) > 1
    sink.fail = ""
    drain(forwarder)
    world.clock.advance(2_000_000_000)
    drain(forwarder)
    sink.store()
    assert {f"r1/{number}" for number in range(21)} <= set(sink.uids())
    assert in_order(sink.got)
    assert not forwarder.waiting
    assert status_of(world.home, "siem").failures in (0, 1, 2, 3, 4, 5, 6)
    forwarder.close()


def test_a_batch_that_is_too_large_is_halved_until_it_passes(world: World) -> None:
    sink = Memory()
    sink.fail = "large"
    forwarder = world.forwarder(sink)
    world.start("r1")
    world.write("r1", 40)
    for _ in range(200):
        forwarder.round()
    assert {f"r1/{number}" for number in range(41)} <= set(sink.uids())
    forwarder.close()


def test_without_acknowledgement_nothing_counts_before_it_has_settled(world: World) -> None:
    sink = Memory(settle=5.0)
    forwarder = world.forwarder(sink)
    world.start("r1")
    world.write("r1", 3)
    drain(forwarder)
    world.clock.advance(4_900_000_000)
    drain(forwarder)
    assert forwarder.waiting
    assert cursors.read(forwarder.directory) == {}
    world.clock.advance(200_000_000)
    drain(forwarder)
    assert not forwarder.waiting
    assert cursors.read(forwarder.directory) == {"host": 1, "r1": 4, CHECKPOINTS: 2}
    forwarder.close()


def test_what_a_purge_took_first_is_counted(world: World) -> None:
    world.start("r1")
    world.write("r1", 600)
    world.end("r1")
    sink = Memory()
    forwarder = world.forwarder(sink)
    forwarder.step()
    purge(world.home.run_log("r1"), run_origin("r1"), KEY)
    drain(forwarder)
    drain(forwarder)
    arrived = {uid for uid in sink.uids() if uid.startswith("r1/")}
    assert forwarder.status.missing == 602 - len(arrived) > 0
    assert lag(world.home, cursors.read(forwarder.directory)) == {}
    forwarder.close()


def test_a_partly_purged_log_goes_on_behind_the_gap(world: World) -> None:
    world.start("r1")
    world.write("r1", 600)
    world.end("r1")
    purge(world.home.run_log("r1"), run_origin("r1"), KEY, keep=100)
    sink = Memory()
    forwarder = world.forwarder(sink)
    drain(forwarder)
    drain(forwarder)
    found = [entry for entry in sink.got if entry.log == "r1"]
    assert [entry.number for entry in found] == list(range(256, 602))
    assert forwarder.status.missing == 256
    assert found[0].before != b"", "the hash of a purged record is still known"
    forwarder.close()


def test_a_cursor_survives_a_torn_line_and_goes_never_back(tmp_path: Path) -> None:
    path = tmp_path / "siem"
    cursor = Cursor(str(path))
    cursor.advance({"a": 5, "b": 7})
    cursor.advance({"a": 3, "b": 9})
    assert cursor.positions == {"a": 5, "b": 9}
    cursor.close()
    with (path / "cursor").open("ab") as file:
        file.write(b"a 99")
    assert cursors.read(str(path)) == {"a": 5, "b": 9}
    again = Cursor(str(path))
    again.advance({"a": 6})
    again.close()
    assert cursors.read(str(path)) == {"a": 6, "b": 9}
    assert (path / "cursor").read_bytes() == b"a 5\nb 9\na 6\n"


def test_a_cursor_stays_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cursors, "_COMPACT", 100)
    cursor = Cursor(str(tmp_path / "siem"))
    for number in range(1, 200):
        cursor.advance({"a": number, "b": number})
    cursor.close()
    assert (tmp_path / "siem" / "cursor").stat().st_size < 400
    assert cursors.read(str(tmp_path / "siem")) == {"a": 199, "b": 199}


def test_two_forwarders_of_one_sink_do_not_meet(tmp_path: Path) -> None:
    directory = str(tmp_path / "siem")
    with cursors.held(directory), pytest.raises(BusyFault, match="siem"), cursors.held(directory):
        pass
    with cursors.held(directory):
        pass


def test_a_full_disk_moves_no_cursor(tmp_path: Path) -> None:
    from bot_bottle.base.errors import AuditFault

    cursor = Cursor(str(tmp_path / "siem"))
    os.close(cursor._fd)
    cursor._fd = os.open("/dev/full", os.O_WRONLY)
    with pytest.raises(AuditFault, match="cannot be written"):
        cursor.advance({"a": 5})
    assert cursor.positions == {}
    cursor.close()


def test_waits_grow_with_jitter_and_have_a_bound() -> None:
    low, high = Backoff(lambda: 0.0), Backoff(lambda: 0.999)
    lows, highs = [low.next() for _ in range(30)], [high.next() for _ in range(30)]
    assert lows[:4] == [0.25, 0.5, 1.0, 2.0]
    assert all(a <= b for a, b in itertools.pairwise(lows))
    assert max(highs) <= LONGEST_WAIT
    assert all(a < b for a, b in zip(lows, highs, strict=True))
    low.reset()
    assert low.next() == 0.25


def test_reading_takes_no_lock_of_a_writer(world: World) -> None:
    """Back-pressure reaches nobody: with a sink that takes nothing, gateway and keeper go on."""
    sink = Memory()
    sink.fail = "before"
    forwarder = world.forwarder(sink)
    log = world.start("r1")
    for _ in range(20):
        world.write("r1", 50)
        forwarder.round()
        os.write(log.rotate(), encode(a_record("denied", "r1", 1)))
        log.checkpoint()
    assert log.head.size == 1 + 20 * 51
    sink.fail = ""
    drain(forwarder)
    assert len({uid for uid in sink.uids() if uid.startswith("r1/")}) == 1021
    forwarder.close()


class Forwarding(RuleBasedStateMachine):
    """Anything may happen at any time; what was signed arrives, in order, and the cursor never says more than arrived."""

    def __init__(self) -> None:
        super().__init__()
        import tempfile

        self.folder = tempfile.TemporaryDirectory()
        self.world = World(Path(self.folder.name))
        self.sink = Memory()
        self.forwarder = self.world.forwarder(self.sink)
        self.signed: set[str] = set()
        self.sizes: dict[str, int] = {}
        self.started = 0

    @rule()
    def start(self) -> None:
        if self.started < 4:
            run = f"run{self.started}"
            self.started += 1
            self.world.start(run)
            self.sizes[run] = 1

    @precondition(lambda self: self.world.runs)
    @rule(data=st.data(), count=st.integers(1, 400), sign=st.booleans())
    def write(self, data: st.DataObject, count: int, sign: bool) -> None:
        run = data.draw(st.sampled_from(sorted(self.world.runs)))
        self.world.write(run, count, sign)
        self.sizes[run] += count
        if sign:
            self.signed |= {f"{run}/{number}" for number in range(self.sizes[run])}

    @precondition(lambda self: self.world.runs)
    @rule(data=st.data())
    def end(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(sorted(self.world.runs)))
        self.world.end(run)
        self.sizes[run] += 1
        self.signed |= {f"{run}/{number}" for number in range(self.sizes[run])}

    @rule(fail=st.sampled_from(["", "", "before", "part", "large"]))
    def fault(self, fail: str) -> None:
        self.sink.fail = fail

    @rule(times=st.integers(1, 5))
    def forward(self, times: int) -> None:
        for _ in range(times):
            self.forwarder.round()

    @rule()
    def crash(self) -> None:
        """kill -9 of the forwarder: another one begins at the cursor."""
        self.forwarder._cursor.close()
        self.forwarder = self.world.forwarder(self.sink)

    @invariant()
    def the_cursor_says_no_more_than_arrived(self) -> None:
        uids = set(self.sink.uids())
        for log, number in cursors.read(self.forwarder.directory).items():
            if log != CHECKPOINTS:
                assert {f"{log}/{at}" for at in range(number)} <= uids

    def teardown(self) -> None:
        self.sink.fail = ""
        for _ in range(200):
            if not self.forwarder.step():
                break
        assert self.signed <= set(self.sink.uids())
        assert in_order(self.sink.got)
        self.forwarder.close()
        self.world.close()
        self.folder.cleanup()


TestForwarding = Forwarding.TestCase
TestForwarding.settings = settings(max_examples=25, stateful_step_count=15, deadline=None)


def test_a_source_rewinds_to_what_arrived(world: World) -> None:
    world.start("r1")
    world.write("r1", 5)
    world.end("r1")
    source = Source(world.home, {}, world.clock)
    first = source.take(100)
    assert source.take(100).entries == []
    source.rewind({"r1": 4})
    again = source.take(100)
    assert [entry.uid for entry in again.entries if entry.log == "r1"] == ["r1/4", "r1/5", "r1/6"]
    assert first.ends["r1"] == again.ends["r1"] == 7


def test_the_chain_goes_on_where_a_new_forwarder_begins(world: World) -> None:
    """`before` comes from the tiles of a log that is still written: OCSF's prev_event after a restart."""
    world.start("r1")
    for _ in range(5):
        world.write("r1", 77)
    sink = Memory()
    first = world.forwarder(sink)
    drain(first)
    first.close()
    world.write("r1", 5)
    again = world.forwarder(sink)
    drain(again)
    again.close()
    chain = [entry for entry in sink.got if entry.log == "r1"]
    assert len(chain) == 391
    assert all(one.before == leaf_hash(before.line) for before, one in itertools.pairwise(chain))
    assert chain[0].before == b""
