"""Lines of an event stream, and what becomes of an outcome by what the agent says."""

import io
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.api.headless import Headless, Lines, settle
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.harnesses.success import Outcome as Success
from bot_bottle.harnesses.success import Reading


@given(st.lists(st.binary(max_size=30), max_size=20))
def test_lines_are_whole_at_every_chunking(chunks: list[bytes]) -> None:
    seen: list[bytes] = []
    lines = Lines(seen.append)
    for chunk in chunks:
        lines.feed(chunk)
    lines.finish()
    whole = b"".join(chunks)
    assert seen == [line for n, line in enumerate(whole.split(b"\n")) if line or n < whole.count(b"\n")]


def test_memory_is_bounded_and_the_end_is_kept() -> None:
    lines = Lines(lambda _line: None)
    for n in range(30_000):
        lines.feed(b"%d\n" % n)
    assert len(lines.kept) == 20_000
    assert lines.kept[-1] == b"29999"


def outcome(status: str = "ok", code: int = 0) -> Outcome:
    return Outcome(status, code, "l", "r", "b", "a", "h", agent_status=code)


def test_an_agent_that_says_it_failed_is_not_a_success() -> None:
    one = outcome()
    settle(one, Reading(Success.FAILED, "model-x", text="no"))
    assert (one.status, one.exit_code, one.success, one.model) == ("failed", 1, "failed", "model-x")


def test_success_and_unknown_leave_the_exit_code() -> None:
    for said in (Success.SUCCEEDED, Success.UNKNOWN):
        one = outcome()
        settle(one, Reading(said))
        assert (one.status, one.exit_code) == ("ok", 0)


def test_a_timeout_stays_a_timeout() -> None:
    one = outcome("timeout", 124)
    settle(one, Reading(Success.FAILED))
    assert (one.status, one.exit_code) == ("timeout", 124)


class Screen(io.BytesIO):
    def isatty(self) -> bool:
        return True


EVENTS = (
    {"type": "assistant", "message": {"content": [{"type": "tool_use", "name": "Bash", "input": {"command": "ls"}}]}},
    {"type": "result", "is_error": False, "result": "Done:\n- \x1b]52;c;aGk=\x07two"},
)


def headless(events: bool, out: io.BytesIO, home: str, *written: object) -> list[str]:
    """A run that writes these events; what it said beside `out`."""
    said: list[str] = []

    def start(recorder: Any, step: Any, look: Any) -> Outcome:
        step("relay", SimpleNamespace(plan=SimpleNamespace(agent="claude", label="one")))
        for one in written:
            recorder._take(one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n")
        end = outcome()
        look(end)
        return end

    place = SimpleNamespace(root=home, state=str(home).format)
    host = SimpleNamespace(home=place, say=said.append)
    prepared = SimpleNamespace(host=host, plan=SimpleNamespace(harness="claude"), start=start)
    Headless(cast("Any", prepared), events, out).run()
    return said


def test_a_person_reads_steps_and_last_words(tmp_path_factory: pytest.TempPathFactory) -> None:
    out, home = Screen(), str(tmp_path_factory.mktemp("home"))
    assert headless(False, out, home, *EVENTS) == ["bot-bottle: claude works in one.", "  Bash: ls"]
    assert out.getvalue() == b"Done:\n- \\u{1b}]52;c;aGk=\\u{7}two\n"


def test_a_person_reads_why_an_agent_had_no_last_words(tmp_path_factory: pytest.TempPathFactory) -> None:
    out = Screen()
    headless(False, out, str(tmp_path_factory.mktemp("home")), b"no key\n")
    assert out.getvalue() == b"no key\n"


def test_a_program_reads_the_stream(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = str(tmp_path_factory.mktemp("home"))
    raw, wrapped = io.BytesIO(), Screen()
    assert headless(False, raw, home, *EVENTS) == headless(True, wrapped, home, *EVENTS) == []
    assert raw.getvalue() == b"".join(json.dumps(one).encode() + b"\n" for one in EVENTS)
    assert [json.loads(line)["event"] for line in wrapped.getvalue().splitlines()] == ["output", "output", "end"]
