"""What a person sees of a headless run while it works: which tool the agent uses, a short line each. Pure.

Every line of the stream is a stranger's (B73): what is shown is visible, short and one line.
"""

from typing import Any, cast

import msgspec

from bot_bottle.base.text import visible

STREAMS = ("claude", "codex", "pi")
"""The event streams that only a program reads; what other harnesses write is text for a person."""
MOST = 100


def steps(stream: str, line: bytes) -> list[str]:
    """One short line for each tool that this event begins to use; stream: `Success.events`."""
    try:
        event = msgspec.json.decode(line)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return []
    read = {"claude": _claude, "codex": _codex, "pi": _pi}.get(stream)
    found = read(_table(event)) if read else []
    return [_short(name, told) for name, told in found if name]


def _claude(event: dict[str, Any]) -> list[tuple[str, object]]:
    parts = _table(event.get("message")).get("content") if event.get("type") == "assistant" else None
    return [(_text(one.get("name")), one.get("input")) for one in _tables(parts) if one.get("type") == "tool_use"]


def _codex(event: dict[str, Any]) -> list[tuple[str, object]]:
    item = _table(event.get("item"))
    if event.get("type") != "item.started":
        return []
    return [(_text(item.get("type")), item.get("command") or item.get("query") or item.get("tool"))]


def _pi(event: dict[str, Any]) -> list[tuple[str, object]]:
    if event.get("type") != "tool_execution_start":
        return []
    return [(_text(event.get("toolName")), event.get("args"))]


def _short(name: str, told: object) -> str:
    """The tool, and the first text among what it is given."""
    texts = [told, *_table(told).values()]
    first = " ".join(next((one for one in texts if isinstance(one, str)), "")[: 2 * MOST].split())
    text = f"{name[:MOST]}: {first}" if first else name[:MOST]
    return visible(text if len(text) <= MOST else f"{text[: MOST - 3]}...", 20 * MOST)


def _table(value: object) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _tables(value: object) -> list[dict[str, Any]]:
    return [_table(one) for one in cast("list[object]", value)] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
