"""What a person sees of a headless run: one short visible line for each tool, whatever an agent writes."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.harnesses.progress import MOST, STREAMS, steps

CLAUDE = {
    "type": "assistant",
    "message": {
        "content": [{"type": "text", "text": "x"}, {"type": "tool_use", "name": "Bash", "input": {"c": "ls"}}]
    },
}
CODEX = {"type": "item.started", "item": {"type": "command_execution", "command": "npm\n test"}}
PI = {"type": "tool_execution_start", "toolName": "bash", "args": {"command": "make"}}


@pytest.mark.parametrize(
    ("stream", "event", "shown"),
    [
        ("claude", CLAUDE, ["Bash: ls"]),
        ("codex", CODEX, ["command_execution: npm test"]),
        ("pi", PI, ["bash: make"]),
        ("claude", PI, []),
        ("none", CLAUDE, []),
    ],
)
def test_the_tool_and_what_it_is_given(stream: str, event: object, shown: list[str]) -> None:
    assert steps(stream, json.dumps(event).encode()) == shown


@given(st.sampled_from(STREAMS), st.text(max_size=300), st.text(max_size=300))
def test_b73_a_tool_that_an_agent_named_is_one_short_visible_line(stream: str, name: str, told: str) -> None:
    events = (
        {"type": "assistant", "message": {"content": [{"type": "tool_use", "name": name, "input": {"a": told}}]}},
        {"type": "item.started", "item": {"type": name, "command": told}},
        {"type": "tool_execution_start", "toolName": name, "args": {"a": told}},
    )
    for event in events:
        for line in steps(stream, json.dumps(event).encode()):
            assert len(line) <= 20 * MOST
            assert not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in line)


@given(st.sampled_from(STREAMS), st.binary(max_size=100))
def test_garbage_shows_nothing(stream: str, line: bytes) -> None:
    assert steps(stream, line) == []
