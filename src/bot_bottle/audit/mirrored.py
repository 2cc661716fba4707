"""Signed checkpoints found again in what a sink received: for `log verify --against` on a receiver's own file.

They are taken from where our formats put them and from nowhere else: a text of a stranger that merely looks like a
checkpoint is a value in a record, and must neither pass for one nor make the verification fail (B73). What is found
proves nothing until its signature is checked with the pinned key.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any, cast

import msgspec

from bot_bottle.audit.entries import MIRRORED

_WAY = ("resourceLogs", "scopeLogs", "logRecords", "body", "stringValue", "message", "msg", "records")
"""Where a receiver may have put our line: members that no record has."""
_MOST_DEPTH = 12
_FIELD = re.compile(rb"((?:[^|\\]|\\.)*)\|")
_SIGNED = re.compile(rb"(?:\xe2\x80\x94|u2014) bot-bottle/")
"""What the line of a signature has in every spelling; lines without one are not taken apart."""
_NOTE = re.compile(rb" msg=(bot-bottle/.*)\Z", re.DOTALL)


def notes_in(data: bytes) -> list[bytes]:
    """Every signed note in the lines of a sink, without repeats, in their order; none for a file of plain notes."""
    return notes_of(data.split(b"\n"))


def notes_of(lines: Iterable[bytes]) -> list[bytes]:
    """The same from lines as they come: a sink's file may be larger than memory."""
    found: dict[bytes, None] = {}
    for line in lines:
        if _SIGNED.search(line):
            found |= dict.fromkeys(_in_line(line.strip()))
    return list(found)


def _in_line(line: bytes) -> Iterator[bytes]:
    """Whatever stands before our message (a syslog header) is the receiver's."""
    start, cef = line.find(b"{"), line.find(b"CEF:0|")
    if cef >= 0 and not 0 <= start < cef:
        yield from _in_cef(line[cef:])
    elif start >= 0:
        yield from _in_json(line[start:], 0)


def _in_json(text: bytes, depth: int) -> Iterator[bytes]:
    try:
        document = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    yield from _in_value(document, depth)


def _in_value(value: Any, depth: int) -> Iterator[bytes]:
    if depth > _MOST_DEPTH:
        return
    if isinstance(value, list):
        for one in cast("list[Any]", value):
            yield from _in_value(one, depth + 1)
    elif isinstance(value, str):
        yield from _in_line_of_text(value.strip(), depth)
    elif isinstance(value, dict):
        yield from _in_table(cast("dict[str, Any]", value), depth)


def _in_line_of_text(text: str, depth: int) -> Iterator[bytes]:
    if text.startswith("{"):
        yield from _in_json(text.encode(), depth + 1)
    elif text.startswith("CEF:0|"):
        yield from _in_cef(text.encode())


def _in_table(table: dict[str, Any], depth: int) -> Iterator[bytes]:
    record, metadata, unmapped = table.get("record"), table.get("metadata"), table.get("unmapped")
    if isinstance(record, dict) and "size" in table:
        yield from _of_record(cast("dict[str, Any]", record))
    elif isinstance(metadata, dict) and isinstance(unmapped, dict):
        yield from _of_event(cast("dict[str, Any]", metadata), cast("dict[str, Any]", unmapped))
    elif table.get("kind") == MIRRORED and "v" in table:
        yield from _of_record(table)
    else:
        for name in _WAY:
            if name in table:
                yield from _in_value(table[name], depth + 1)


def _of_record(record: dict[str, Any]) -> Iterator[bytes]:
    detail = record.get("detail")
    if record.get("kind") == MIRRORED and isinstance(detail, dict):
        yield from _note(cast("dict[str, Any]", detail).get("note"))


def _of_event(metadata: dict[str, Any], unmapped: dict[str, Any]) -> Iterator[bytes]:
    """An OCSF event: of a mirrored checkpoint, or of a record that a checkpoint ends with."""
    detail = unmapped.get("detail")
    if metadata.get("event_code") == MIRRORED and isinstance(detail, dict):
        yield from _note(cast("dict[str, Any]", detail).get("note"))
    elif metadata.get("event_code") != MIRRORED:
        yield from _note(unmapped.get("checkpoint"))


def _in_cef(line: bytes) -> Iterator[bytes]:
    """The kind is the fifth field of the header, which only we write; `msg` is the last of the extension."""
    fields: list[bytes] = []
    at = 0
    while len(fields) < 7 and (match := _FIELD.match(line, at)):
        fields.append(match[1])
        at = match.end()
    found = _NOTE.search(line[at:]) if len(fields) == 7 and fields[4] == MIRRORED.encode() else None
    if found:
        yield from _note(
            found[1].replace(b"\\n", b"\n").replace(b"\\=", b"=").replace(b"\\\\", b"\\").decode("utf-8", "replace")
        )


def _note(text: object) -> Iterator[bytes]:
    if isinstance(text, str) and text.startswith("bot-bottle/"):
        yield text.rstrip("\n").encode("utf-8", "replace") + b"\n"
