"""What a bottle, a taken-over gateway or a receiver can do to exports, sinks and notices; each with its positive control.

Rows B73 (text of strangers in other people's tools), B74 (flooding), D17 (rollback, removal), D18 (flood, formulas).
"""

import io
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from bot_bottle.audit import entries as entries_module
from bot_bottle.audit import holds, mirrored, retention
from bot_bottle.audit.checkpoint import Checkpoint, run_origin, sign
from bot_bottle.audit.cursor import Cursor
from bot_bottle.audit.encode import decode, encode
from bot_bottle.audit.entries import Entry, entry
from bot_bottle.audit.formats import cef
from bot_bottle.audit.formats.registry import LINES, format_of
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.recover import HostClock
from bot_bottle.audit.retention import hold_run, purge_runs
from bot_bottle.audit.runlog import RunLog
from bot_bottle.audit.sinks import syslog as syslog_module
from bot_bottle.audit.sinks.model import SinkFault
from bot_bottle.audit.sinks.otlp import OtlpConfig, OtlpSink
from bot_bottle.audit.sinks.syslog import SyslogConfig, SyslogSink, message
from bot_bottle.audit.source import Source
from bot_bottle.audit.wishes import PurgeWish
from bot_bottle.base.clock import FixedClock
from bot_bottle.base.home import Home
from bot_bottle.keeper.ended import note
from bot_bottle.keeper.messages.questions import NoteControl
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.memory import MemoryStore
from bot_bottle.supervise.model import Ask, AskKind, Wanted
from bot_bottle.supervise.notify import chat, model
from bot_bottle.supervise.notify.engine import Around, Watcher, notice_of
from bot_bottle.supervise.notify.model import Notice, NotifierConfig
from sink_receivers import HttpReceiver, SyslogReceiver, frames, otlp, records, syslog

RUN = "20261125t023842-9f3a00112233"
INJECTED = "x\n<13>1 2026-01-01T00:00:00Z evil su - - - root signed in"


def record(**fields: object) -> Record:
    base: dict[str, object] = {"kind": "denied", "run": RUN, "time": 1_700_000_000_000_000_000, "mono": 1, "bottle": "b",
                               "agent": "a", "harness": "h", "label": "lab", "policy": "p"}  # fmt: skip
    return Record(v=VERSION, **(base | fields))  # type: ignore[arg-type]


def one(**fields: object) -> Entry:
    return entry(RUN, 0, encode(record(**fields)))


def arrived(receiver: SyslogReceiver, count: int) -> list[bytes]:
    end = time.monotonic() + 5
    while len(receiver.messages) < count and time.monotonic() < end:
        time.sleep(0.01)
    return [found.text for found in receiver.messages]


@pytest.mark.parametrize("name", LINES)
def test_b73_a_request_adds_no_line_to_a_syslog_server(name: str) -> None:
    receiver = SyslogReceiver()
    config = SyslogConfig(address=f"127.0.0.1:{receiver.port}", format=name, settle="0s")
    with closing(SyslogSink(config)) as sink:
        sink.send(
            [one(path=INJECTED, reason=INJECTED, detail={INJECTED: INJECTED}, label=INJECTED), one(path="/last")]
        )
        texts = arrived(receiver, 2)
    receiver.stop()
    assert receiver.faults == []
    assert len(texts) == 2
    assert not any(b"\n" in text for text in texts)
    assert all(found.app == "bot-bottle" for found in receiver.messages)


def test_b73_control_with_a_raw_text_a_receiver_sees_another_message(monkeypatch: pytest.MonkeyPatch) -> None:
    """Positive control: without octet counting and escapes the injected line is a message of its own."""
    raw = f"<108>1 - h bot-bottle lab denied - {INJECTED}\n".encode()
    lines = raw.split(b"\n")
    assert syslog(lines[1]).app == "su"
    monkeypatch.setattr(syslog_module, "_UNPRINTABLE", re.compile(r"(?!)"))
    (frame,), _ = frames(message(one(label="a b\nc"), b"x", "h"))
    with pytest.raises(AssertionError):
        syslog(frame)


def test_b73_a_request_adds_no_field_to_cef(monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = one(reason="x act=allow outcome=200", path="/|9|act=allow", rule="r")
    fields = cef.line(hostile).decode()
    assert re.findall(r"(?<!\\) act=", fields) == [] or " act\\=allow" in fields
    assert "act\\=allow outcome\\=200" in fields
    monkeypatch.setattr(cef, "extension", lambda text: text)
    assert " act=allow" in cef.line(hostile).decode(), "positive control"


def test_b73_a_request_adds_no_field_to_otlp() -> None:
    receiver = HttpReceiver()
    text = '","severityNumber":1,"attributes":[{"key":"bot_bottle.verdict","value":{"stringValue":"allow"}}],"x":"'
    with closing(OtlpSink(OtlpConfig(url=receiver.url), {})) as sink:
        sink.send([one(path=text, reason=text, verdict="deny")])
    receiver.stop()
    (found,) = records(otlp(receiver.posts[0]))
    assert found.severity_number == 13
    assert [item.value.string_value for item in found.attributes if item.key == "bot_bottle.verdict"] == ["deny"]
    assert json.loads(found.body.string_value)["record"]["reason"] == text


def test_b73_terminal_codes_in_a_record_are_no_bytes_of_any_export() -> None:
    hostile = "\x1b]0;owned\x07\x1b[2J\u202e\u2066\u200b\x9b31m\u2028"
    for name in LINES:
        line = format_of(name).line
        assert line is not None
        out = line(one(path=hostile, reason=hostile, target=f"https://{hostile}:443", approver=hostile))
        assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", out[:-1])
        assert all(ord(char) < 0x80 or char == "…" for char in out.decode()), name


@pytest.mark.parametrize("text", ["@channel", "<!here>", "[look](https://evil.example)", "evil.example"])
def test_b73_a_host_pings_nobody_and_is_no_link_in_a_chat(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = an_ask(text)
    for shape in (chat.slack, chat.mattermost, chat.matrix):
        out = json.dumps(shape(notice_of([ask], 1, "https://me.example/", 0)))
        assert not re.search(r"(?<!`)@channel|<!here|\]\(https://evil", out)
        assert out.count("https://") == out.count("https://me.example/")
    monkeypatch.setattr("bot_bottle.supervise.notify.engine.plain", lambda value: value)
    monkeypatch.setattr(model, "plain", lambda value: value)
    raw = chat.mattermost(notice_of([an_ask("` @channel [look](https://evil.example)")], 1, "https://me.example/", 0))
    assert "@channel" in raw["text"], "positive control: the cut to plain characters is what stops it"


def an_ask(host: str, ident: str = "a1", asked: int = 1_700_000_000_000_000_000) -> Ask:
    wanted = Wanted(Target("https", host, 443), "POST", "/private")
    return Ask(
        ident, RUN, "b", "lab", "a", "h", "/p", AskKind.REQUEST, 1, wanted, "r", "why", "", "q" * 64, "s" * 64, "p" * 64, 1,
        asked, asked + 600_000_000_000,
    )  # fmt: skip


@pytest.mark.parametrize("every", ["10s", "0s"], ids=["as-set", "positive-control"])
def test_b74_a_hundred_asks_are_few_notices(tmp_path: Path, every: str) -> None:
    store, clock = MemoryStore(), FixedClock()
    heard: list[Notice] = []

    class Ear:
        def send(self, notice: Notice) -> None:
            heard.append(notice)

        def close(self) -> None:
            return

    around = Around(clock, lambda: 0.5, lambda: store, lambda: "")
    watcher = Watcher("p", str(tmp_path), NotifierConfig(every=every), Ear(), around)
    for number in range(100):
        store.add(an_ask(f"h{number}.example", f"a{number}", clock.wall()))
        watcher.round()
        clock.advance(100_000_000)
    clock.advance(60_000_000_000)
    watcher.round()
    assert sum(notice.count for notice in heard) == 100
    assert len(heard) <= 3 if every == "10s" else len(heard) == 100


def test_b44_no_notice_has_anything_that_decides() -> None:
    """A click opens the page: no form, no action with a value, no ask id that an answer would need."""
    notice = notice_of([an_ask("x.example", "ask-id-value")], 1, "https://me.example/", 0)
    for shape in (chat.slack, chat.mattermost, chat.matrix):
        out = json.dumps(shape(notice))
        assert "ask-id-value" not in out
        assert not re.search(r"callback|action_id|\"value\"|integration|q{64}", out)
    assert "ask-id-value" not in notice.ident


@pytest.fixture
def world(tmp_path: Path) -> Iterator[tuple[Home, LogKey]]:
    home, key = Home(str(tmp_path), str(tmp_path / "run")), LogKey.generate()
    host = HostLog.open(home.host_log, key)
    log = RunLog.create(home.run_log(RUN), run_origin(RUN), key)
    for sink in (host, log):
        sink.append(record(kind="start"))
    os.write(log.writer_fd(), b"".join(encode(record(request=number)) for number in range(300)))
    host.countersign(record(kind="start"), log.close(record(kind="stop")))
    host.append(record(kind="stop"))
    host.close()
    yield home, key


def test_d17_a_gateway_cannot_forge_a_checkpoint_on_its_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind that only the forwarder makes is unreadable in a log, so nobody's `--against` takes it."""
    forged = sign(Checkpoint("bot-bottle/host", 9, b"x" * 32), LogKey.generate())
    line = encode(record(kind="mirrored", detail={"note": forged.decode(), "size": "9"}))
    form = format_of("jsonl").line
    assert form is not None
    assert mirrored.notes_in(form(entry(RUN, 4, line))) == []
    monkeypatch.setattr(entries_module, "MIRRORED", "never")
    assert mirrored.notes_in(form(entry(RUN, 4, line))) == [forged], "positive control"


def test_d17_what_is_not_signed_yet_is_not_forwarded(tmp_path: Path) -> None:
    """Its number could still become another record's, after a power loss."""
    key, home = LogKey.generate(), Home(str(tmp_path), str(tmp_path))
    log = RunLog.create(home.run_log(RUN), run_origin(RUN), key)
    log.append(record(kind="start"))
    log.checkpoint()
    os.write(log.writer_fd(), encode(record(request=1)))
    source = Source(home, {}, FixedClock())
    assert [found.number for found in source.take(10).entries] == [0]
    log.checkpoint()
    assert [found.number for found in source.take(10).entries] == [1]
    log.abandon()


def test_d17_a_hold_is_in_the_signed_log_and_a_forged_release_is_not_believed(world: tuple[Home, LogKey]) -> None:
    home, key = world
    hold_run(home, key, HostClock(), RUN, "os/0/root", "case", False)
    detail = {"what": "release", "run": RUN}
    run_log_lines = [encode(record(kind="control", rule=holds.RULE, detail=detail, approver="os/0/root"))]
    assert holds.is_held(holds.read(home.host_log), RUN)
    assert purge_runs(home, key, HostClock(), PurgeWish((RUN,), approver="x", reason="x")).purged == {}
    found = holds.read(home.host_log)
    holds.take(found, decode(run_log_lines[0]))
    assert not holds.is_held(found, RUN), "positive control: in the host log, which no gateway writes, it would count"


def test_d17_a_web_process_that_was_taken_over_ends_no_hold(world: tuple[Home, LogKey]) -> None:
    """Whatever it has the keeper note as done by a person (NoteControl), a hold ends by the keeper's own record only."""
    home, _ = world
    key = LogKey.open(home.keys)
    shutil.rmtree(home.host_log)
    HostLog.open(home.host_log, key).close()
    hold_run(home, key, HostClock(), RUN, "os/0/root", "case", False)
    for what in ("release", "", holds.RULE):
        detail = {"what": "release", "run": RUN, "rule": holds.RULE}
        note(home, NoteControl(home.root, home.runtime, what, "os/0/root", detail), 0)
    assert holds.is_held(holds.read(home.host_log), RUN)
    found = [decode(line) for _, lines in LogReader(home.host_log).batches() for line in lines]
    ruled = [encode(structs.replace(one, rule=holds.RULE)) for one in found]
    assert not holds.is_held(holds.collect(ruled), RUN), "positive control: the rule is what they lack"


def test_d17_a_clock_that_jumps_purges_nothing(world: tuple[Home, LogKey], monkeypatch: pytest.MonkeyPatch) -> None:
    home, key = world
    clock = FixedClock(1_700_000_000_000_000_000 + 10 * 365 * retention.DAY)
    wish = PurgeWish(days=30, approver="x", reason="x")
    assert purge_runs(home, key, clock, wish).purged == {}
    monkeypatch.setattr(retention, "MOST_BETWEEN", 1 << 62)
    assert purge_runs(home, key, clock, wish).purged == {RUN: 302}, "positive control"


def test_d18_a_slow_sink_stops_no_request(world: tuple[Home, LogKey]) -> None:
    """A receiver that takes nothing holds its own thread; the log goes on and loses nothing."""
    home, key = world
    release = threading.Event()
    receiver = HttpReceiver(lambda _post: (release.wait(20), (200, {}, b""))[1])
    sink = OtlpSink(OtlpConfig(url=receiver.url), {})
    taken = Source(home, {}, FixedClock()).take(500).entries
    thread = threading.Thread(target=sink.send, args=(taken,))
    thread.start()
    log = RunLog.create(home.run_log("r2"), run_origin("r2"), key)
    begun = time.monotonic()
    for number in range(200):
        os.write(log.writer_fd(), encode(record(request=number)))
    log.checkpoint()
    assert time.monotonic() - begun < 5
    assert thread.is_alive()
    release.set()
    thread.join(10)
    sink.close()
    receiver.stop()
    log.abandon()


def test_d18_a_receiver_cannot_make_us_hold_its_reply() -> None:
    receiver = HttpReceiver(lambda _post: (500, {}, b"x" * 30_000_000))
    with closing(OtlpSink(OtlpConfig(url=receiver.url), {})) as sink, pytest.raises(SinkFault) as caught:
        sink.send([one()])
    receiver.stop()
    assert len(str(caught.value)) < 200


def test_d18_a_cursor_of_a_torn_write_repeats_instead_of_skipping(tmp_path: Path) -> None:
    cursor = Cursor(str(tmp_path / "s"))
    cursor.advance({"host": 12})
    cursor.close()
    path = tmp_path / "s" / "cursor"
    path.write_bytes(path.read_bytes() + b"host 12345")
    again = Cursor(str(tmp_path / "s"))
    assert again.positions == {"host": 12}
    again.close()


def test_d18_parquet_and_csv_execute_nothing() -> None:
    out = io.BytesIO()
    evil = "'); COPY (SELECT 1) TO '/tmp/owned'; --"
    structs.replace(record(), path=evil)
    format_of("parquet").write([one(path=evil, reason=evil, detail={evil: evil})], out)
    assert out.getvalue()[:4] == b"PAR1"
    assert not os.path.exists("/tmp/owned")
