"""Attacks on the record: D17 (tampering, rollback, fork, a key beside the files, a lost tail), D18, B48, B73."""

import csv
import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bot_bottle.audit import compare, hostlog, levels, sealer
from bot_bottle.audit.checkpoint import HOST, run_origin
from bot_bottle.audit.encode import MAX_LINE, decode, encode
from bot_bottle.audit.entries import entry
from bot_bottle.audit.formats import csv as csv_format
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.purge import purge
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.recover import recover, recover_run
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.tiles import Tiles
from bot_bottle.audit.verify import verify
from bot_bottle.audit.whole import verify_home, verify_run
from bot_bottle.base.clock import FixedClock
from bot_bottle.base.errors import AuditFault
from bot_bottle.base.home import Home
from bot_bottle.inspect.needles import needles
from bot_bottle.inspect.scrub import Scrubber

RUN = "20261125t023842-9f3a00112233"
COUNT = 700
Harm = Callable[[list[bytes]], None]


def record(kind: str = "denied", **fields: object) -> Record:
    base: dict[str, object] = {"run": RUN, "time": 1, "mono": 1, "bottle": "b", "agent": "a", "harness": "h",
                               "label": "l", "policy": "p"}  # fmt: skip
    return Record(v=VERSION, kind=kind, **(base | fields))  # type: ignore[arg-type]


def write_log(directory: str, key: LogKey, *, close: bool, count: int = COUNT, rotate: bool = False) -> RunLog:
    log = RunLog.create(directory, run_origin(RUN), key)
    log.append(record("start"))
    for number in range(1, count - 1):
        log.append(record(request=number, mono=number, target="https://evil.example:443"))
        if number % 100 == 0:
            log.checkpoint()
    if rotate:
        log.checkpoint()
        os.write(log.rotate(), encode(record("freeze")))
        log.checkpoint()
    if close:
        log.close(record("stop"))
    else:
        log.append(record("thaw"))
        log.checkpoint()
    return log


@pytest.fixture(scope="module")
def key() -> LogKey:
    return LogKey.generate()


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory, key: LogKey) -> str:
    directory = str(tmp_path_factory.mktemp("sealed") / RUN)
    write_log(directory, key, close=True)
    return directory


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory, key: LogKey) -> str:
    directory = str(tmp_path_factory.mktemp("live") / RUN)
    write_log(directory, key, close=False)
    return directory


def all_lines(directory: str) -> list[bytes]:
    return [line for _, lines in LogReader(directory).batches() for line in lines]


def rewrite(directory: str, lines: list[bytes]) -> None:
    """What an attacker with the files does: the records as he likes them, everything else untouched."""
    if os.path.isdir(f"{directory}/journal"):
        with open(f"{directory}/journal/0000000000000000", "wb") as file:
            file.write(b"".join(lines))
        return
    shutil.rmtree(f"{directory}/tile/entries")
    tiles = Tiles(directory)
    for index in range(0, len(lines), 256):
        tiles.write_bundle(index // 256, lines[index : index + 256])


def edit(at: int) -> Harm:
    def harm(lines: list[bytes]) -> None:
        lines[at] = lines[at].replace(b"evil", b"good").replace(b'"stop"', b'"nope"').replace(b'"start"', b'"stort"')

    return harm


def remove(at: int) -> Harm:
    return lambda lines: lines.__delitem__(at)


def insert(at: int) -> Harm:
    return lambda lines: lines.insert(at, encode(record(request=99999)))


def move(at: int, to: int) -> Harm:
    return lambda lines: lines.insert(to, lines.pop(at))


def swap(one: int, two: int) -> Harm:
    def harm(lines: list[bytes]) -> None:
        lines[one], lines[two] = lines[two], lines[one]

    return harm


HARMS = [
    ("edited", 0, edit(0)), ("edited", 300, edit(300)), ("edited", 255, edit(255)),
    ("removed", 1, remove(1)), ("removed", 256, remove(256)), ("removed", 400, remove(400)), ("removed", 698, remove(698)),
    ("inserted", 1, insert(1)), ("inserted", 512, insert(512)), ("inserted", 690, insert(690)),
    ("moved", 10, move(10, 20)), ("moved", 100, move(400, 100)), ("moved", 5, swap(5, 6)), ("moved", 200, swap(200, 600)),
]  # fmt: skip


@pytest.mark.parametrize("state", ["sealed", "live"])
@pytest.mark.parametrize(("how", "first", "harm"), HARMS)
def test_d17_the_files_alone_name_the_first_bad_record(
    state: str, how: str, first: int, harm: Harm, tmp_path: Path, key: LogKey, request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    directory = shutil.copytree(request.getfixturevalue(state), tmp_path / RUN)
    lines = all_lines(str(directory))
    assert verify(str(directory), key.fingerprint).ok
    harm(lines)
    rewrite(str(directory), lines)
    report = verify(str(directory), key.fingerprint)
    assert (report.state, report.first_bad) == ("bad", first)
    assert f"Record {first} was {how}." in report.problems
    monkeypatch.setattr(compare.Comparison, "_against_root", lambda self: None)
    control = verify(str(directory), key.fingerprint)
    assert control.ok or "added after" in control.problems[0], "positive control: nothing else notices"


def test_d17_a_missing_tail_is_a_removal(sealed: str, live: str, tmp_path: Path, key: LogKey) -> None:
    for name, source in (("sealed", sealed), ("live", live)):
        directory = str(shutil.copytree(source, tmp_path / name))
        rewrite(directory, all_lines(directory)[:650])
        report = verify(directory, key.fingerprint)
        assert (report.state, report.first_bad) == ("bad", 650)


def test_d17_a_rewritten_tile_does_not_help(sealed: str, tmp_path: Path, key: LogKey) -> None:
    """The attacker adjusts the hash tiles as well: the root gives him away, remembered heads say where."""
    directory = str(shutil.copytree(sealed, tmp_path / RUN))
    lines = all_lines(directory)
    heads = []
    for size in range(100, 700, 100):
        edge = compare.Edge()
        edge.extend([compare.leaf_hash(line) for line in lines[:size]])
        heads.append(sealer.Checkpoint(run_origin(RUN), size, edge.root()))
    lines[450] = lines[450].replace(b"evil", b"good")
    rewrite(directory, lines)
    edge = compare.Edge()
    tiles = Tiles(directory)
    tiles.write_full(edge.extend([compare.leaf_hash(line) for line in lines]))
    tiles.write_partial(edge.partial())
    report = verify(directory, key.fingerprint, known=heads)
    assert report.state == "bad"
    assert any("Records 400 to 499" in problem for problem in report.problems)
    assert not verify(directory, key.fingerprint).ok


def test_d17_a_damaged_tile_alone_is_named(sealed: str, tmp_path: Path, key: LogKey) -> None:
    directory = str(shutil.copytree(sealed, tmp_path / RUN))
    with open(f"{directory}/tile/0/001", "r+b") as file:
        file.write(b"\0" * 32)
    report = verify(directory, key.fingerprint)
    assert report.problems == ["tile/0/001 does not belong to the signed records."]


def test_d17_records_added_after_the_end_are_not_accepted(sealed: str, tmp_path: Path, key: LogKey) -> None:
    directory = str(shutil.copytree(sealed, tmp_path / RUN))
    os.mkdir(f"{directory}/journal")
    with open(f"{directory}/journal/{COUNT:016d}", "wb") as file:
        file.write(encode(record("stop")))
    report = verify(directory, key.fingerprint)
    assert (report.state, report.first_bad) == ("bad", COUNT)


def test_d17_rollback_truncation_and_fork_against_a_remembered_checkpoint(tmp_path: Path, key: LogKey) -> None:
    directory, copy = str(tmp_path / "log"), str(tmp_path / "copy")
    log = write_log(directory, key, close=False, count=300)
    log.abandon()
    shutil.copytree(directory, copy)
    recover(directory, RUN, key, FixedClock())
    remembered = Path(directory, "checkpoint").read_bytes()
    assert verify(directory, key.fingerprint, remembered).state == "sealed"
    rolled_back = verify(copy, key.fingerprint, remembered)
    assert (rolled_back.state, "truncated or rolled back" in rolled_back.problems[0]) == ("bad", True)
    assert verify(copy, key.fingerprint).ok, "positive control: without the checkpoint the old copy is consistent"
    recover(copy, RUN, key, FixedClock(wall=1))
    forked = verify(copy, key.fingerprint, remembered)
    assert (forked.state, "forked" in forked.problems[0]) == ("bad", True)
    assert verify(copy, key.fingerprint).state == "sealed", "positive control: a fork is consistent in itself"


def test_d17_a_remembered_checkpoint_must_be_ours(sealed: str, key: LogKey) -> None:
    other = LogKey.generate()
    forged = sealer.heads.sign(sealer.Checkpoint(run_origin(RUN), 5, bytes(32)), other)
    assert not verify(sealed, key.fingerprint, forged).ok


def test_d17_a_key_beside_the_files_proves_nothing(sealed: str, tmp_path: Path, key: LogKey) -> None:
    """The attacker writes another history and signs it with a key of his own, which he lays beside it."""
    attacker = LogKey.generate()
    directory = str(tmp_path / RUN)
    write_log(directory, attacker, close=True, count=20)
    report = verify(directory, key.fingerprint)
    assert (report.state, "not the pinned key" in report.problems[0]) == ("bad", True)
    assert verify(directory, attacker.fingerprint).state == "sealed", "positive control: the key beside it agrees"
    shutil.copy(f"{sealed}/key", f"{directory}/key")
    assert not verify(directory, key.fingerprint).ok
    assert not verify(directory, str(key.verifier("x"))).ok


def test_d17_the_log_of_another_run_does_not_stand_in(tmp_path: Path, key: LogKey) -> None:
    home, host = home_with_runs(tmp_path, "one", "two")
    shutil.rmtree(home.run_log("one"))
    shutil.copytree(home.run_log("two"), home.run_log("one"))
    report = verify_run(home, "one", host)
    assert (report.state, "belongs to bot-bottle/run/two" in report.problems[0]) == ("bad", True)
    assert verify(home.run_log("one"), host).ok, "positive control: the origin is what binds it"


def home_with_runs(tmp_path: Path, *names: str) -> tuple[Home, str]:
    home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
    key = LogKey.open(home.keys)
    host = HostLog.open(home.host_log, key)
    for name in names:
        log = RunLog.create(home.run_log(name), run_origin(name), key)
        for sink in (host, log):
            sink.append(record("start", run=name))
        log.append(record(run=name))
        host.countersign(record(run=name), log.checkpoint())
        log.append(record(run=name, request=2))
        host.countersign(record(run=name), log.close(record("stop", run=name)))
        host.append(record("stop", run=name))
    host.close()
    return home, key.fingerprint


def test_d17_a_whole_bottle_cannot_vanish(tmp_path: Path) -> None:
    home, fingerprint = home_with_runs(tmp_path, "one", "two")
    assert verify_home(home, fingerprint).ok
    shutil.rmtree(home.run_log("one"))
    whole = verify_home(home, fingerprint)
    assert "vanished" in whole.runs["one"].problems[0]
    assert whole.runs["two"].ok


def test_d17_a_run_that_the_host_log_does_not_know_is_bad(tmp_path: Path) -> None:
    home, fingerprint = home_with_runs(tmp_path, "one")
    log = RunLog.create(home.run_log("secret"), run_origin("secret"), LogKey.open(home.keys))
    log.append(record(run="secret"))
    log.close(record("stop", run="secret"))
    assert not verify_home(home, fingerprint).runs["secret"].ok


def test_d17_the_host_log_cannot_lose_a_run_either(tmp_path: Path) -> None:
    home, fingerprint = home_with_runs(tmp_path, "one", "two")
    path = f"{home.host_log}/journal/0000000000000000"
    lines = [line for line in Path(path).read_bytes().splitlines(keepends=True) if b'"one"' not in line]
    Path(path).write_bytes(b"".join(lines))
    assert not verify_home(home, fingerprint).host.ok


@pytest.mark.parametrize("harm", ["truncate", "empty", "edit", "no-checkpoint", "other-checkpoint", "no-journal"])
def test_d17_a_start_on_a_harmed_host_log_refuses(harm: str, tmp_path: Path) -> None:
    home, _ = home_with_runs(tmp_path, "one", "two")
    key, path = LogKey.open(home.keys), Path(home.host_log, "journal", "0000000000000000")
    HostLog.open(home.host_log, key).close()
    data = path.read_bytes()
    if harm == "truncate":
        path.write_bytes(b"".join(data.splitlines(keepends=True)[:-1]))
    elif harm == "empty":
        path.write_bytes(b"")
    elif harm == "edit":
        path.write_bytes(data.replace(b'"one"', b'"uno"', 1))
    elif harm == "no-checkpoint":
        os.unlink(f"{home.host_log}/checkpoint")
    elif harm == "other-checkpoint":
        note = sealer.heads.sign(sealer.Checkpoint(HOST, 1, bytes(32)), LogKey.generate())
        Path(home.host_log, "checkpoint").write_bytes(note)
    else:
        shutil.rmtree(f"{home.host_log}/journal")
    with pytest.raises(AuditFault):
        HostLog.open(home.host_log, key)


def test_d17_a_restart_on_a_truncated_file_would_fork_without_the_proof(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positive control of the test above: with the comparison off, the log goes on and nobody is told."""
    home, _ = home_with_runs(tmp_path, "one")
    path = Path(home.host_log, "journal", "0000000000000000")
    path.write_bytes(path.read_bytes().replace(b'"one"', b'"uno"', 1))
    monkeypatch.setattr(sealer.Sealer, "_prove", lambda self, head: None)
    HostLog.open(home.host_log, LogKey.open(home.keys)).append(record("start", run="three"))


def test_d17_a_host_log_put_back_under_a_live_keeper_is_refused(tmp_path: Path) -> None:
    home, _ = home_with_runs(tmp_path, "one")
    shutil.copytree(home.host_log, tmp_path / "old")
    keeper = HostLog.open(home.host_log, LogKey.open(home.keys))
    keeper.append(record("start", run="two"))
    shutil.rmtree(home.host_log)
    shutil.copytree(tmp_path / "old", home.host_log)
    with pytest.raises(AuditFault) as fault:
        keeper.append(record("stop", run="two"))
    assert "went back" in fault.value.what


@pytest.mark.parametrize("defended", [True, False])
def test_d17_a_longer_log_in_place_of_the_one_we_know_is_refused(
    defended: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Signed by the same key, longer, in another segment: only the root of what we knew gives it away."""
    monkeypatch.setattr(hostlog, "SEGMENT", 2000)
    key, place = LogKey.generate(), str(tmp_path / "host")
    keeper, other = HostLog.open(place, key), HostLog.open(str(tmp_path / "other"), key)
    for number in range(3):
        keeper.append(record("start", run="two", request=number))
    for number in range(40):
        other.append(record("policy", run="x", request=number))
    shutil.rmtree(place)
    shutil.copytree(tmp_path / "other", place)
    if not defended:
        keeper._sealer.head = sealer.Checkpoint(HOST, 0, keeper.head.root)
        keeper.append(record("stop", run="two"))
        return
    with pytest.raises(AuditFault) as fault:
        keeper.append(record("stop", run="two"))
    assert "exchanged" in fault.value.what


def test_d17_an_orphan_that_was_shortened_is_not_sealed(tmp_path: Path) -> None:
    """The crash leaves a consistent shorter log with its older checkpoint; the host log remembers more."""
    home, _ = home_with_runs(tmp_path, "one")
    key = LogKey.open(home.keys)
    host = HostLog.open(home.host_log, key)
    log = RunLog.create(home.run_log("two"), run_origin("two"), key)
    for sink in (host, log):
        sink.append(record("start", run="two"))
    host.countersign(record(run="two"), log.checkpoint())
    shutil.copytree(home.run_log("two"), tmp_path / "old")
    log.append(record("denied", run="two", target="https://evil.example:443"))
    host.countersign(record(run="two"), log.checkpoint())
    log.abandon()
    shutil.rmtree(home.run_log("two"))
    shutil.copytree(tmp_path / "old", home.run_log("two"))
    with pytest.raises(AuditFault) as fault:
        recover_run(home, "two", key)
    assert "the host log knows 2 records" in fault.value.what
    assert recover(home.run_log("two"), "two", key, FixedClock()), "positive control: alone it looks right"


def test_d17_open_intents_close_as_unknown(tmp_path: Path, key: LogKey) -> None:
    directory = str(tmp_path / RUN)
    log = write_log(directory, key, close=False, count=5)
    log.append(record("intent", request=77))
    log.abandon()
    assert verify(directory, key.fingerprint).open_intents == 1
    found = recover(directory, RUN, key, FixedClock())
    assert found is not None
    assert found.open_intents == 1
    last = [decode(line) for line in all_lines(directory)][-2:]
    assert (last[0].kind, last[0].reason, last[0].request) == ("outcome", "unknown", 77)


def test_d17_a_taken_over_gateway_cannot_hide_behind_rubbish(tmp_path: Path, key: LogKey) -> None:
    """It may append anything; the log goes on, every byte stays in it, and the rubbish is counted."""
    directory = str(tmp_path / RUN)
    log = write_log(directory, key, close=False, count=5)
    rubbish = b"\0\r\n{}\n" + b"A" * (3 * MAX_LINE) + b'\n{"v":1,"kind":"stop"}\n' + b"\xff" * 10
    os.write(log.writer_fd(), rubbish)
    log.checkpoint()
    log.append(record("freeze"))
    log.close(record("stop"))
    report = verify(directory, key.fingerprint)
    assert (report.state, report.unreadable >= 5) == ("sealed", True)
    assert rubbish in b"".join(all_lines(directory))


def test_d17_a_purge_is_signed_and_a_vanished_bundle_is_no_purge(sealed: str, tmp_path: Path, key: LogKey) -> None:
    directory = str(shutil.copytree(sealed, tmp_path / "purged"))
    assert purge(directory, run_origin(RUN), key, keep=100) == 512
    report = verify(directory, key.fingerprint)
    assert (report.state, report.purged) == ("sealed", 512)
    assert len(all_lines(directory)) == COUNT - 512
    purge(directory, run_origin(RUN), key)
    report = verify(directory, key.fingerprint)
    assert (report.state, report.purged) == ("sealed", COUNT)
    gone = str(shutil.copytree(sealed, tmp_path / "gone"))
    os.unlink(f"{gone}/tile/entries/000")
    assert (verify(gone, key.fingerprint).state, verify(gone, key.fingerprint).first_bad) == ("bad", 0)
    forged = sealer.heads.note.sign(f"{run_origin(RUN)}\npurged 256\n", run_origin(RUN), LogKey.generate())
    Path(gone, "purged").write_bytes(forged)
    assert not verify(gone, key.fingerprint).ok


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "=cmd|' /C calc'!A0", "＝1"])
def test_d18_csv_holds_no_formula(text: str) -> None:
    line = encode(record(path=text, reason=text, headers=(text,), matched={text: text}))
    out = io.BytesIO()
    csv_format.FORMAT.write([entry("r", 0, line)], out)
    rows = list(csv.reader(io.StringIO(out.getvalue().decode())))
    assert len(rows) == 2
    for cell in rows[1]:
        assert not cell.lstrip().startswith(("=", "+", "-", "@", "＝")), cell
        assert "\t" not in cell
        assert "\r" not in cell
    names = rows[0]
    assert rows[1][names.index("path")].startswith("'"), "the apostrophe makes it text"
    assert csv_format.cell("https://a/") == "https://a/", "positive control: other texts are as they were"


def test_d18_no_field_of_a_stranger_makes_a_long_line(monkeypatch: pytest.MonkeyPatch) -> None:
    flood = record(path="/" + "x" * 60_000, headers=("h" * 500,) * 200, query_names=("q" * 500,) * 200)
    assert len(encode(flood)) <= MAX_LINE
    assert "…#" in decode(encode(flood)).path
    twin = record(path="/" + "x" * 59_999 + "y")
    assert decode(encode(twin)).path != decode(encode(flood)).path, "the digest tells equal beginnings apart"
    monkeypatch.setattr("bot_bottle.audit.encode.cut", lambda text, limit: text)
    with pytest.raises(AssertionError):
        assert "…#" in decode(encode(record(path="/" + "x" * 9000))).path


@pytest.mark.parametrize("reserve", [True, False])
def test_d18_a_full_disk_still_takes_the_last_records(
    reserve: bool, tmp_path: Path, key: LogKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever fills the disk keeps nobody from ending the log: a reserve is given back for the last records."""
    directory, real = str(tmp_path / RUN), os.write
    log = write_log(directory, key, close=False, count=10)
    if not reserve:
        os.unlink(f"{directory}/reserve")

    def full(descriptor: int, data: bytes) -> int:
        if not reserve or os.path.exists(f"{directory}/reserve"):
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    if reserve:
        log.close(record("stop"))
        assert verify(directory, key.fingerprint).state == "sealed"
        return
    with pytest.raises(AuditFault):
        log.close(record("stop"))
    log.abandon()


def test_b73_no_line_of_the_log_drives_a_terminal() -> None:
    evil = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202egnp.exe\u200b\U000e0041\x7f\r"
    line = encode(record(path=evil, reason=evil, headers=(evil,), matched={evil: evil}, detail={evil: evil}))
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert decode(line).path == evil, "positive control: the record still says what was sent"


SECRET, PLACEHOLDER = b"sk-ant-REAL0123456789abcdefXYZ", b"sk-ant-fake0123456789abcdefXYZ"
SCRUBBER = Scrubber(needles("anthropic", SECRET, PLACEHOLDER))


@pytest.mark.parametrize("level", ["off", "blocks", "full"])
@pytest.mark.parametrize("offset", [0, 1, 990, 1000, 1010, 1019, 1023, 4000])
def test_b48_no_secret_and_no_part_of_one_in_a_record(level: str, offset: int) -> None:
    """A text that is cut in the middle of a secret would keep its first half, which no scrubber finds."""
    text = "/" + "a" * offset + SECRET.decode() + "b" * 3000
    bad = record(
        path=text, target=text, matched={"x": text}, headers=(text,), detail={"d": text}, query_names=(text,)
    )
    line = levels.enter(bad, level, SCRUBBER)
    assert line is not None
    assert b"REAL" not in line
    assert SCRUBBER.contains_secret(line) is None
    assert offset > 1010 or b"REAL" in encode(bad), "positive control: without the search a part stays"


def test_b48_levels_keep_the_decision() -> None:
    full = record(verdict="deny", rule="b/r", reason="policy.no-route", headers=("host",), matched={"x": "1"})
    for level in ("off", "blocks", "full"):
        line = levels.enter(full, level, SCRUBBER)
        assert line is not None
        found = decode(line)
        assert (found.verdict, found.rule, found.reason) == ("deny", "b/r", "policy.no-route")
        assert bool(found.headers) == (level != "off")
    body = record("body", detail={"body": "x"})
    assert [levels.enter(body, level, SCRUBBER) is None for level in ("off", "blocks", "full")] == [True, True, False]
