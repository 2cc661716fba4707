"""Lines of an event stream, and what becomes of an outcome by what the agent says."""

from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.api.headless import Lines, settle
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
