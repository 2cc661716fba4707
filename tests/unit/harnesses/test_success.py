"""Reading how a run went from the harness's own stream: exit codes lie, and every line is a stranger's."""

import json

from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.harnesses.model import Success
from bot_bottle.harnesses.success import Outcome, Usage, read

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        ["type", "subtype", "result", "usage", "message", "role", "content", "stopReason", "item", "info", "exit_status",
         "model", "messages", "error", "config", "input_tokens", "output_tokens"]
    ), inner, max_size=5),
    max_leaves=12,
)  # fmt: skip
TYPES = st.sampled_from(["result", "system", "message_end", "turn.completed", "turn.failed", "item.completed"])


def lines(*events: object) -> list[bytes]:
    return [json.dumps(event).encode() for event in events]


def test_claude() -> None:
    init = {"type": "system", "subtype": "init", "model": "m-1"}
    usage = {"input_tokens": 5, "cache_read_input_tokens": 3, "output_tokens": 2}
    good = {"type": "result", "subtype": "success", "is_error": False, "result": "done", "usage": usage}
    reading = read(Success("claude"), lines(init, good))
    assert (reading.outcome, reading.model, reading.text) == (Outcome.SUCCEEDED, "m-1", "done")
    assert reading.usage == Usage(5, 3, 2)
    refused = {"type": "result", "subtype": "success", "is_error": True, "result": "API Error: 403"}
    assert read(Success("claude"), lines(init, refused), exit_code=0).outcome is Outcome.FAILED


def test_codex() -> None:
    done = {"type": "turn.completed", "usage": {"input_tokens": 4, "cached_input_tokens": 1, "output_tokens": 2}}
    said = {"type": "item.completed", "item": {"type": "agent_message", "text": "hi"}}
    reading = read(Success("codex"), lines(said, done, done))
    assert (reading.outcome, reading.usage, reading.text) == (Outcome.SUCCEEDED, Usage(8, 2, 4), "hi")
    failed = {"type": "turn.failed", "error": {"message": "no"}}
    assert read(Success("codex"), lines(done, failed), exit_code=0).outcome is Outcome.FAILED


def test_pi_ends_with_zero_after_a_refusal() -> None:
    refused = {"type": "message_end", "message": {"role": "assistant", "stopReason": "error", "errorMessage": "403"}}
    success = Success("pi", exit_code=False)
    assert read(success, lines(refused), exit_code=0).outcome is Outcome.FAILED
    good = {"type": "message_end", "message": {"role": "assistant", "stopReason": "stop", "model": "m"}}
    assert read(success, lines(refused, good), exit_code=0).outcome is Outcome.SUCCEEDED
    assert read(success, [], exit_code=0).outcome is Outcome.UNKNOWN
    assert read(success, [], exit_code=1).outcome is Outcome.FAILED


def test_trajectory() -> None:
    response = {"usage": {"prompt_tokens": 7, "completion_tokens": 1, "prompt_tokens_details": {"cached_tokens": 2}}}
    document = {
        "info": {"exit_status": "Submitted", "config": {"model": {"model_name": "openai/x"}}},
        "messages": [{"extra": {"response": response}}, {"role": "user"}],
    }
    success = Success("trajectory", file="t.json", exit_code=False)
    reading = read(success, [], json.dumps(document).encode(), 0)
    assert (reading.outcome, reading.model, reading.usage) == (Outcome.SUCCEEDED, "openai/x", Usage(7, 2, 1))
    assert read(success, [], b'{"info": {"exit_status": "APIError"}}', 0).outcome is Outcome.FAILED


def test_without_a_stream_the_exit_status_decides() -> None:
    assert read(Success(), [], exit_code=0).outcome is Outcome.SUCCEEDED
    assert read(Success(), [], exit_code=3).outcome is Outcome.FAILED
    assert read(Success(), []).outcome is Outcome.UNKNOWN


def test_b73_last_words_are_made_visible_and_cut() -> None:
    said = {"type": "result", "is_error": False, "result": "\x1b[2J\u202e" + "x" * 9000}
    text = read(Success("claude"), lines(said)).text
    assert "\x1b" not in text and "\u202e" not in text and len(text) < 2100


@given(st.sampled_from(["claude", "codex", "pi", "trajectory", "none"]), st.lists(st.binary(max_size=60), max_size=4))
def test_garbage_never_crashes(events: str, garbage: list[bytes]) -> None:
    read(Success(events), garbage, b"".join(garbage), 0)  # pyright: ignore[reportArgumentType]


@given(st.sampled_from(["claude", "codex", "pi", "trajectory"]), TYPES, JSON)
def test_events_of_any_shape_never_crash(events: str, kind: str, value: object) -> None:
    event = {**value, "type": kind} if isinstance(value, dict) else value
    line = json.dumps(event).encode()
    reading = read(Success(events), [line], line)  # pyright: ignore[reportArgumentType]
    assert reading.usage.input >= 0


def test_deep_nesting_is_no_event() -> None:
    deep = b'{"type":"result","result":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert read(Success("claude"), [deep]).outcome is Outcome.UNKNOWN
