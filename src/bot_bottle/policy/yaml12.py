"""YAML 1.2 core schema on parser events: every node keeps its line, and what makes YAML surprising is refused.

Refused: tags, anchors, aliases, directives, several documents, duplicate or non-text keys, more than 32 levels or
10,000 values.
A bare ``no`` or ``1_000`` is text; ``012`` is twelve; what a scalar means is decided by the field that it fills.
"""

import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import msgspec

MAX_DEPTH = 32
MAX_NODES = 10_000
_INT = re.compile(r"[-+]?[0-9]{1,19}\Z")
_HEX = re.compile(r"0(?:x[0-9a-fA-F]{1,15}|o[0-7]{1,20})\Z")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?\Z")
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}


class Scalar(msgspec.Struct, frozen=True):
    """text: as written. plain: without quotes, so that it may be a number, a boolean or null."""

    line: int
    text: str
    plain: bool

    def value(self) -> str | int | float | bool | None:
        """The value by the core schema (YAML 1.2.2, 10.3.2); infinities and NaN stay text."""
        text = self.text
        if not self.plain:
            return text
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if _INT.match(text):
            return int(text)
        if _HEX.match(text):
            return int(text[2:], 16 if text[1] == "x" else 8)
        return float(text) if _FLOAT.match(text) else text


class Items(msgspec.Struct, frozen=True):
    """A sequence."""

    line: int
    items: list["Node"]


class Table(msgspec.Struct, frozen=True):
    """A mapping with text keys; `lines` gives the line of each key."""

    line: int
    entries: dict[str, "Node"]
    lines: dict[str, int]


Node = Scalar | Items | Table


class YamlFault(ValueError):
    """One sentence and the line (of the block, 1-based)."""

    def __init__(self, reason: str, line: int) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def parse(text: str) -> Node:
    """The one document in a text; an empty text is an empty mapping. Raises YamlFault."""
    ruamel: Any = import_module("ruamel.yaml")  # 200 ms cold: only commands that read manifests pay
    try:
        return _document(_counted(ruamel.YAML(typ="safe", pure=True).parse(text)))
    except ruamel.error.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlFault(f"YAML: {error.problem or error.context}", mark.line + 1 if mark else 1) from None
    except ruamel.error.YAMLError as error:
        raise YamlFault(
            f"YAML: {str(error).splitlines()[0]}", _line_of(text, getattr(error, "position", 0))
        ) from None


def _counted(events: Iterator[Any]) -> Iterator[Any]:
    """The events of a document of bounded size: two for each mapping and sequence, one for each value."""
    for number, event in enumerate(events):
        if number > 2 * MAX_NODES:
            raise YamlFault(f"the block holds more than {MAX_NODES} values", _line(event))
        yield event


def _line_of(text: str, position: object) -> int:
    return text.count("\n", 0, position) + 1 if isinstance(position, int) else 1


def _document(events: Iterator[Any]) -> Node:
    next(events)  # stream start
    first = next(events)
    if _kind(first) == "StreamEnd":
        return Table(1, {}, {})
    if first.version or first.tags:
        raise YamlFault("a % directive is not accepted", _line(first))
    node = _node(next(events), events, 1)
    next(events)  # document end
    if _kind(rest := next(events)) != "StreamEnd":
        raise YamlFault("the block holds more than one YAML document", _line(rest))
    if isinstance(node, Scalar) and node.plain and not node.text:
        return Table(1, {}, {})
    return node


def _node(event: Any, events: Iterator[Any], depth: int) -> Node:
    kind, line = _kind(event), _line(event)
    if kind == "Alias":
        raise YamlFault("an alias (*) is not accepted", line)
    if event.anchor:
        raise YamlFault("an anchor (&) is not accepted", line)
    if event.tag is not None:
        raise YamlFault("a tag (!) is not accepted", line)
    if depth > MAX_DEPTH:
        raise YamlFault(f"values are nested more than {MAX_DEPTH} levels deep", line)
    if kind == "Scalar":
        return Scalar(line, event.value, event.style is None)
    return _items(line, events, depth) if kind == "SequenceStart" else _table(line, events, depth)


def _items(line: int, events: Iterator[Any], depth: int) -> Items:
    items: list[Node] = []
    while _kind(event := next(events)) != "SequenceEnd":
        items.append(_node(event, events, depth + 1))
    return Items(line, items)


def _table(line: int, events: Iterator[Any], depth: int) -> Table:
    table = Table(line, {}, {})
    while _kind(event := next(events)) != "MappingEnd":
        key = _node(event, events, depth + 1)
        if not isinstance(key, Scalar) or (key.plain and not key.text):
            raise YamlFault("a key is a word", key.line)
        if key.text in table.entries:
            raise YamlFault(f"the key {key.text!r} is here twice", key.line)
        table.lines[key.text] = key.line
        table.entries[key.text] = _node(next(events), events, depth + 1)
    return table


def _kind(event: Any) -> str:
    return type(event).__name__.removesuffix("Event")


def _line(event: Any) -> int:
    return event.start_mark.line + 1
