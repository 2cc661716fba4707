"""Reads from a harness's own event stream whether it succeeded, with which model and how many tokens. Pure.

Exit codes lie (pi ends with 0 after a refusal; facts: agents 2), so the stream decides where there is one. Every line
is a stranger's: garbage, huge numbers and deep nesting give ``unknown``, never an exception.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

import msgspec

from bot_bottle.base.text import visible
from bot_bottle.harnesses.model import Success

MAX_LINE = 16_000_000
MAX_TEXT = 2000
MAX_WORDS = 100_000
_MOST = 10**12

Event = dict[str, Any]


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(slots=True)
class Usage:
    """Tokens as the harness counts them: its word, not ours (the wire is the proof)."""

    input: int = 0
    cached: int = 0
    output: int = 0

    def add(self, input_tokens: object, cached: object, output: object) -> None:
        self.input += _count(input_tokens)
        self.cached += _count(cached)
        self.output += _count(output)


@dataclass(slots=True)
class Reading:
    """What a run said about itself. text: its last words, made visible (B73); words: the same, by lines."""

    outcome: Outcome = Outcome.UNKNOWN
    model: str = ""
    usage: Usage = field(default_factory=Usage)
    text: str = ""
    words: tuple[str, ...] = ()


def read(success: Success, lines: Iterable[bytes], trajectory: bytes = b"", exit_code: int | None = None) -> Reading:
    """The reading of a finished run. lines: of standard output; trajectory: the file that `success` names."""
    reading = Reading()
    match success.events:
        case "claude":
            _each(reading, lines, _claude)
        case "codex":
            _each(reading, lines, _codex)
        case "pi":
            _each(reading, lines, _pi)
        case "trajectory":
            _trajectory(reading, _event(trajectory) or {})
        case "none":
            pass
    if reading.outcome is Outcome.UNKNOWN and exit_code is not None and (success.exit_code or exit_code != 0):
        reading.outcome = Outcome.FAILED if exit_code else Outcome.SUCCEEDED
    reading.words = tuple(visible(line, MAX_WORDS) for line in reading.text[:MAX_WORDS].splitlines())
    reading.text = visible(reading.text, MAX_TEXT)
    reading.model = visible(reading.model, 128)
    return reading


def _each(reading: Reading, lines: Iterable[bytes], take: Any) -> None:
    for line in lines:
        event = _event(line)
        if event is not None:
            take(reading, event)


def _claude(reading: Reading, event: Event) -> None:
    """``system/init`` names the model; ``result`` says how it ended (subtype is "success" even for a refusal)."""
    if event.get("type") == "system" and event.get("subtype") == "init":
        reading.model = _text(event.get("model"))
    elif event.get("type") == "result":
        failed = event.get("is_error") is not False
        reading.outcome = Outcome.FAILED if failed else Outcome.SUCCEEDED
        reading.text = _text(event.get("result"))
        usage = _table(event.get("usage"))
        reading.usage = Usage()
        reading.usage.add(usage.get("input_tokens"), usage.get("cache_read_input_tokens"), usage.get("output_tokens"))


def _codex(reading: Reading, event: Event) -> None:
    """No model in the stream. ``turn.failed`` after ``turn.completed`` of an earlier turn is a failure."""
    kind = event.get("type")
    if kind == "turn.completed":
        usage = _table(event.get("usage"))
        reading.usage.add(usage.get("input_tokens"), usage.get("cached_input_tokens"), usage.get("output_tokens"))
        reading.outcome = Outcome.SUCCEEDED
    elif kind == "turn.failed":
        reading.outcome = Outcome.FAILED
        reading.text = _text(_table(event.get("error")).get("message"))
    elif kind == "item.completed":
        item = _table(event.get("item"))
        if item.get("type") == "agent_message":
            reading.text = _text(item.get("text"))


def _pi(reading: Reading, event: Event) -> None:
    """The last assistant message decides, by its stopReason."""
    message = _table(event.get("message"))
    if event.get("type") != "message_end" or message.get("role") != "assistant":
        return
    reading.model = _text(message.get("model")) or reading.model
    usage = _table(message.get("usage"))
    reading.usage.add(usage.get("input"), usage.get("cacheRead"), usage.get("output"))
    reason = message.get("stopReason")
    reading.outcome = {"stop": Outcome.SUCCEEDED, "toolUse": Outcome.UNKNOWN}.get(_text(reason), Outcome.FAILED)
    if message.get("errorMessage"):
        reading.text = _text(message["errorMessage"])
    for part in _list(message.get("content")):
        reading.text = _text(_table(part).get("text")) or reading.text


def _trajectory(reading: Reading, document: Event) -> None:
    """mini-swe-agent: exit_status ``Submitted`` is the only good end."""
    info = _table(document.get("info"))
    status = _text(info.get("exit_status"))
    if status:
        reading.outcome = Outcome.SUCCEEDED if status == "Submitted" else Outcome.FAILED
        reading.text = status
    config = _table(_table(info.get("config")).get("model"))
    reading.model = _text(config.get("model_name"))
    for message in _list(document.get("messages")):
        response = _table(_table(_table(message).get("extra")).get("response"))
        usage = _table(response.get("usage"))
        details = _table(usage.get("prompt_tokens_details"))
        reading.usage.add(usage.get("prompt_tokens"), details.get("cached_tokens"), usage.get("completion_tokens"))


def _event(line: bytes) -> Event | None:
    if not line or len(line) > MAX_LINE:
        return None
    try:
        value = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    return cast("Event", value) if isinstance(value, dict) else None


def _table(value: object) -> Event:
    return cast("Event", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST else 0
