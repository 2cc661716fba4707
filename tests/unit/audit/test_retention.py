"""Purge and legal hold: what goes, what stays, who said so, and that the rest still verifies, whatever the clock does."""

import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.audit import holds, proof, retention
from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.cursor import Cursor
from bot_bottle.audit.encode import decode
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.retention import DAY, Ages, expired, foreseen, hold_run, purge_runs
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.verify import verify
from bot_bottle.audit.whole import verify_home
from bot_bottle.audit.wishes import Kept, PurgeWish
from bot_bottle.base.clock import FixedClock
from bot_bottle.base.errors import UsageFault
from bot_bottle.base.home import Home

KEY = LogKey.generate()
START = 1_700_000_000_000_000_000


class World:
    def __init__(self, root: Path) -> None:
        self.home = Home(str(root), str(root / "run"))
        self.clock = FixedClock(START)
        self.open: dict[str, RunLog] = {}

    def record(self, kind: str, run: str) -> Record:
        wall, mono = self.clock.wall(), self.clock.monotonic()
        return Record(VERSION, kind, run, wall, mono, "work", "fixer", "claude", f"label-{run}", "d" * 64)

    def host(self, record: Record) -> None:
        log = HostLog.open(self.home.host_log, KEY)
        log.append(record)
        log.close()

    def run(self, run: str, count: int = 300, end: bool = True) -> None:
        self.host(self.record("start", run))
        log = RunLog.create(self.home.run_log(run), run_origin(run), KEY)
        for _ in range(count):
            log.append(self.record("denied", run))
        if end:
            log.close(self.record("stop", run))
            self.host(self.record("stop", run))
        else:
            log.checkpoint()
            self.open[run] = log

    def later(self, days: float) -> None:
        """Time passes, with a record of the host log a day, as with `serve`."""
        whole = int(days)
        for _ in range(whole):
            self.clock.advance(DAY)
            self.host(self.record("policy", ""))
        self.clock.advance(int((days - whole) * DAY))

    def purge(self, *runs: str, **more: object):
        wish = PurgeWish(tuple(runs), approver="os/0/root", reason="old", **more)  # type: ignore[arg-type]
        return purge_runs(self.home, KEY, self.clock, wish)

    def lines(self, run: str) -> int:
        return sum(len(lines) for _, lines in LogReader(self.home.run_log(run)).batches())

    def controls(self) -> list[Record]:
        found = [decode(line) for _, lines in LogReader(self.home.host_log).batches() for line in lines]
        return [record for record in found if record.kind == "control"]


@pytest.fixture
def world(tmp_path: Path):
    found = World(tmp_path)
    yield found
    for log in found.open.values():
        log.abandon()


def test_a_purge_leaves_a_signed_record_and_the_rest_verifies(world: World) -> None:
    world.run("r1")
    world.run("r2")
    made, line = (
        proof.prove(world.home.run_log("r1"), 7),
        next(iter(LogReader(world.home.run_log("r1")).batches()))[1][7],
    )
    result = world.purge("r1")
    assert (result.purged, result.kept) == ({"r1": 301}, {})
    assert (world.lines("r1"), world.lines("r2")) == (0, 301)
    whole = verify_home(world.home, KEY.fingerprint)
    assert whole.ok
    assert (whole.runs["r1"].purged, whole.runs["r1"].state) == (301, "sealed")
    proof.check(made, line, KEY.verifier(run_origin("r1")))
    proof.check(proof.prove(world.home.run_log("r1"), 7), line, KEY.verifier(run_origin("r1")))
    (record,) = world.controls()
    assert (record.detail["what"], record.detail["run"], record.detail["size"]) == ("purge", "r1", "301")
    assert (record.approver, record.reason, record.label) == ("os/0/root", "old", "label-r1")
    assert verify(world.home.host_log, KEY.fingerprint).ok
    assert world.purge("r1").purged == {}, "what went does not go twice"


def test_a_hold_beats_a_purge_until_it_is_released(world: World) -> None:
    for run in ("r1", "r2"):
        world.run(run)
    hold_run(world.home, KEY, world.clock, "r1", "os/0/root", "case 7", False)
    result = world.purge("r1", "r2")
    assert result.purged == {"r2": 301}
    assert result.kept == {"r1": Kept("purge.held", "It is under a legal hold: case 7")}
    assert world.lines("r1") == 301
    assert holds.read(world.home.host_log)["r1"].approver == "os/0/root"
    hold_run(world.home, KEY, world.clock, "r1", "os/0/root", "case closed", True)
    assert holds.read(world.home.host_log) == {}
    assert world.purge("r1").purged == {"r1": 301}
    assert [record.detail["what"] for record in world.controls()] == ["hold", "purge", "release", "purge"]
    assert verify_home(world.home, KEY.fingerprint).ok


def test_a_hold_on_everything_holds_what_comes_as_well(world: World) -> None:
    hold_run_first = world.run
    hold_run_first("r0")
    hold_run(world.home, KEY, world.clock, "*", "os/0/root", "audit", False)
    world.run("r1")
    assert set(world.purge("r0", "r1").kept) == {"r0", "r1"}
    world.later(400)
    assert set(world.purge(days=30).kept) == {"r0", "r1"}


def test_a_record_that_cannot_be_read_may_be_a_hold(world: World) -> None:
    found = holds.collect([b"{ damaged\n"])
    assert holds.is_held(found, "any")
    release = {"what": holds.RELEASE, "run": holds.EVERY}
    holds.take(found, msgspec.structs.replace(world.record("control", ""), rule=holds.RULE, detail=release))
    assert not found


def test_a_hold_that_comes_while_a_purge_begins_wins(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two keepers: of hold and purge, what stands first in the host log counts."""
    world.run("r1")
    real = retention._Purging._note_purge

    def late(purging: object, *arguments: object) -> None:
        monkeypatch.setattr(retention._Purging, "_note_purge", real)
        hold_run(world.home, KEY, world.clock, "r1", "os/0/root", "just now", False)
        real(purging, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(retention._Purging, "_note_purge", late)
    result = world.purge("r1")
    assert result.kept == {"r1": Kept("purge.held", "It came under a legal hold meanwhile.")}
    assert world.lines("r1") == 301
    assert [record.detail["what"] for record in world.controls()] == ["hold", "purge", "purge-withdrawn"]


@pytest.mark.parametrize(
    ("run", "reason", "release", "slug"),
    [
        ("r1", "", False, "hold.reason"),
        ("r1", "  ", False, "hold.reason"),
        ("nowhere", "x", False, "hold.unknown"),
        ("../../etc", "x", False, "hold.unknown"),
        ("r1", "x", True, "hold.none"),
    ],
)
def test_holds_that_make_no_sense(world: World, run: str, reason: str, release: bool, slug: str) -> None:
    world.run("r1")
    with pytest.raises(UsageFault) as caught:
        hold_run(world.home, KEY, world.clock, run, "os/0/root", reason, release)
    assert caught.value.slug == slug


def test_what_is_open_unknown_or_elsewhere_stays(world: World) -> None:
    world.run("r1", end=False)
    outside = Path(world.home.root, "outside")
    outside.mkdir()
    result = world.purge("r1", "nowhere", "../../outside", "..", "")
    assert result.purged == {}
    assert result.kept["r1"] == Kept("purge.open", "Its log is still open.")
    assert outside.exists()


def test_a_log_that_was_exchanged_stays_and_stops_no_other(world: World) -> None:
    for run in ("r1", "r2"):
        world.run(run)
    checkpoint = Path(world.home.run_log("r1"), "checkpoint")
    checkpoint.write_bytes(checkpoint.read_bytes().replace(b"\n301\n", b"\n300\n"))
    result = world.purge("r1", "r2")
    assert (result.purged, result.kept) == (
        {"r2": 301},
        {"r1": Kept("audit.signature", "The signature of the checkpoint is wrong.")},
    )
    assert world.lines("r1") == 301


def test_a_purge_waits_for_a_sink_that_lags(world: World) -> None:
    world.run("r1")
    cursor = Cursor(os.path.join(world.home.forward, "siem"))
    cursor.advance({"r1": 300})
    kept = world.purge("r1", sinks=("siem", "other")).kept
    assert kept == {"r1": Kept("purge.not-forwarded", "Not forwarded to siem, other yet.")}
    cursor.advance({"r1": 301})
    assert world.purge("r1", sinks=("siem",)).purged == {"r1": 301}
    cursor.close()
    world.run("r2")
    assert world.purge("r2", sinks=("siem",), despite_sinks=True).purged == {"r2": 301}
    assert world.controls()[-1].detail["despite"]


def test_retention_lets_go_what_ended_long_enough_ago(world: World) -> None:
    world.run("r1")
    world.later(20)
    world.run("r2")
    world.later(11)
    assert expired(world.home.host_log, world.clock.wall(), 30) == ["r1"]
    assert foreseen(world.home, world.clock.wall(), PurgeWish(days=30)).purged == {"r1": 301}
    assert world.purge(days=30).purged == {"r1": 301}
    assert world.controls()[-1].detail == {"what": "retention", "days": "30", "purged": "1", "kept": "0"}
    assert world.purge(days=30).purged == {}
    assert verify_home(world.home, KEY.fingerprint).ok
    assert expired(world.home.host_log, world.clock.wall(), 0) == [], "0 keeps everything"


@pytest.mark.parametrize("jump", [10 * 365, 60, 31])
def test_a_clock_that_jumps_ahead_lets_nothing_go(world: World, jump: int) -> None:
    world.run("r1")
    world.later(2)
    world.clock.advance(jump * DAY)
    assert world.purge(days=30).purged == {}
    world.host(world.record("policy", ""))
    assert world.purge(days=30).purged == {}
    world.clock.advance(-jump * DAY)
    world.later(2)
    assert world.purge(days=30).purged == {}
    world.later(40)
    assert world.purge(days=30).purged == {"r1": 301}, "positive control: time that passes does"


def test_a_clock_that_jumps_back_only_delays(world: World) -> None:
    world.run("r1")
    world.later(20)
    world.clock.advance(-3 * 365 * DAY)
    world.later(5)
    assert world.purge(days=30).purged == {}
    world.later(6)
    assert world.purge(days=30).purged == {"r1": 301}


def record(kind: str, run: str, time: int) -> Record:
    return Record(VERSION, kind, run, time, 0, "", "", "", "", "")


@given(st.lists(st.integers(-400 * DAY, 400 * DAY), max_size=30), st.integers(1, 60))
def test_no_clock_makes_a_run_older_than_a_week_a_record(jumps: list[int], days: int) -> None:
    ages, now = Ages(), START
    ages.take(record("stop", "r1", now))
    for jump in jumps:
        now += jump
        ages.take(record("policy", "", now))
    steps = len(jumps) + 1
    now += 400 * DAY
    if steps * 7 < days:
        assert ages.expired(now, days) == []


@given(st.integers(1, 200), st.integers(1, 60))
def test_an_honest_clock_is_exact_to_the_record(passed: int, days: int) -> None:
    ages, now = Ages(), START
    ages.take(record("stop", "r1", now))
    for _ in range(passed):
        now += DAY
        ages.take(record("policy", "", now))
    assert (ages.expired(now, days) == ["r1"]) is (passed >= days)
