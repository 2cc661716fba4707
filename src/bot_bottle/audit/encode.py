"""A record as the bytes of its line, and back. Imported by the gateway, so it stays light.

A line is one JSON object in the field order of `Record` and a newline: printable ASCII only, at most 16 KB.
That no field of a stranger is longer than its limit stops the log flood by one request (D18); that every
control, bidirectional or zero-width character is ``\\uXXXX`` stops a line from driving the terminal of the
person who reads the file with `cat` (B73).
"""

import re
from typing import Any, cast

import msgspec

from bot_bottle.audit.record import Kind, Record
from bot_bottle.base.errors import AuditFault
from bot_bottle.base.text import cut

MAX_LINE = 16384
"""Bytes of a line with its newline; also where a reader splits a line that never ends."""
MAX_TEXT = 1024
"""Characters of one string; a longer one is cut and carries the digest of the whole."""
MAX_ITEMS = 100
"""Elements of one list or mapping; the rest is counted."""
BODY_PIECE = 4096
"""Characters of one piece of a body (log: full)."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)
_UNSAFE = re.compile("[^\x20-\x7e]")
_FIELDS = Record.__struct_fields__


def encode(record: Record) -> bytes:
    """One line. Never raises for what a stranger sent; texts that are too long are cut (D18)."""
    try:
        line = _encoder.encode(record)
    except UnicodeEncodeError:
        return _encode_cut(record)
    if len(line) <= MAX_TEXT and line.isascii() and b"\x7f" not in line:
        return line + b"\n"
    return _encode_cut(record)


def uncut(record: Record) -> bytes:
    """All that the record holds, before anything is cut: what is searched for secrets. Not a line of a log."""
    try:
        return _encoder.encode(record)
    except UnicodeEncodeError:
        return _encoder.encode(_shortened(record, 1 << 30))


def decode(line: bytes) -> Record:
    """The record of one whole line. Raises AuditFault (``audit.unreadable-record``)."""
    if len(line) > MAX_LINE or line.find(b"\n") != len(line) - 1:
        raise AuditFault(
            "audit.unreadable-record", "A line of the log is not one record.", "Run `bot-bottle log verify`."
        )
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise AuditFault(
            "audit.unreadable-record", "A line of the log is not a record.", "Run `bot-bottle log verify`."
        ) from None


def _encode_cut(record: Record) -> bytes:
    limit = BODY_PIECE if record.kind == Kind.BODY else MAX_TEXT
    while True:
        line = ascii_line(_encoder.encode(_shortened(record, limit))) + b"\n"
        if len(line) <= MAX_LINE:
            return line
        limit //= 2


def _shortened(record: Record, limit: int) -> Record:
    items = max(1, MAX_ITEMS * limit // MAX_TEXT) if limit < MAX_TEXT else max(MAX_ITEMS, limit >> 13)
    fields: dict[str, Any] = {name: _short(getattr(record, name), limit, items) for name in _FIELDS}
    return Record(**fields)


def _short(value: object, limit: int, items: int) -> object:
    if isinstance(value, str):
        return _text(value, limit)
    if isinstance(value, tuple):
        texts = cast("tuple[str, ...]", value)
        kept = tuple(_text(text, limit) for text in texts[:items])
        return kept if len(texts) <= items else (*kept, f"…+{len(texts) - items}")
    if isinstance(value, dict):
        pairs = cast("dict[str, str]", value)
        short = {_text(key, limit): _text(text, limit) for key, text in list(pairs.items())[:items]}
        return short if len(pairs) <= items else {**short, "…": f"+{len(pairs) - items}"}
    return value


def _text(text: str, limit: int) -> str:
    return cut(text.encode("utf-8", "backslashreplace").decode(), limit)


def ascii_line(line: bytes) -> bytes:
    """The same JSON in printable ASCII."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return _UNSAFE.sub(_escape, line.decode()).encode("ascii")


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
