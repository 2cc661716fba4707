"""HTTP/1.1 heads, sans-io and stricter than the RFC: what two parsers could read differently is refused (B29,
P01-P04).

Everything accepted here is accepted by h11 with the same method, target, fields and body
(tests/unit/egress/test_h11.py).
Refused beyond it: bare LF, obs-fold, leading blank lines, control bytes in values, repeated or listed Content-Length,
Content-Length beside Transfer-Encoding, HTTP/1.0 with Transfer-Encoding, heads beyond the limits.
"""

import re
from typing import NamedTuple

CHUNKED = -1
UNTIL_CLOSE = -2

_TCHAR = r"[!#$%&'*+.^_`|~0-9A-Za-z-]"
_VALUE = r"[\t\x20-\x7e\x80-\xff]"
_REQUEST = re.compile(rf"({_TCHAR}{{1,32}}) ([\x21\x22\x24-\x7e]+) HTTP/1\.([01])\r\n")
_STATUS = re.compile(rf"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: {_VALUE}*)?\r\n")
_BLOCK = re.compile(rf"(?:{_TCHAR}++:{_VALUE}*+\r\n)*+\r\n")
_FIELD = re.compile(rf"({_TCHAR}+):[\t ]*({_VALUE}*)\r\n")
_LENGTH = re.compile(r"[0-9]{1,15}\Z")
_SINGLE = ("host", "content-length", "transfer-encoding", "expect", "upgrade", "content-encoding", "content-range")


class Malformed(Exception):
    """Bytes that no reader should guess about. slug: ``wire.…``; what: one sentence without any of the bytes."""

    def __init__(self, slug: str, what: str) -> None:
        super().__init__(what)
        self.slug = slug
        self.what = what


class Head(NamedTuple):
    """One request or response head.

    start: method and target, or status and reason's place. fields: lower-case name, value; in order. names: as they
    were written. framing: body bytes, CHUNKED or UNTIL_CLOSE (responses). minor: of HTTP/1.x. close: the sender
    will not go on with this connection. dropped: names that `Connection` lists. found: value by name.
    """

    method: str
    target: str
    status: int
    minor: int
    fields: tuple[tuple[str, str], ...]
    names: tuple[str, ...]
    framing: int
    close: bool
    dropped: frozenset[str]
    found: dict[str, str]

    def get(self, name: str) -> str | None:
        """The value of the last field with this lower-case name; fields that decide anything stand once."""
        return self.found.get(name)


def head_end(data: bytes | bytearray, limit: int, start: int = 0) -> int:
    """Where the head ends in data, or -1 while more is needed. Raises Malformed past the limit (P04)."""
    end = data.find(b"\r\n\r\n", start)
    if end < 0:
        if len(data) > limit:
            raise Malformed("wire.head-too-long", f"The head is longer than {limit} bytes.")
        return -1
    if end + 4 > limit:
        raise Malformed("wire.head-too-long", f"The head is longer than {limit} bytes.")
    return end + 4


def parse_request(data: bytes, max_fields: int = 200) -> Head:
    """The head of a request; data ends with its blank line. Raises Malformed."""
    text = data.decode("latin-1")
    start = _REQUEST.match(text)
    if start is None:
        raise Malformed("wire.request-line", "The request line is malformed.")
    method, target, version = start.groups()
    minor = int(version)
    fields, names, found = _fields(text, start.end(), max_fields)
    if minor and "host" not in found:
        raise Malformed("wire.host-missing", "The request has no Host field.")
    framing = _framing(found, minor, 0)
    dropped = _connection(fields) if "connection" in found or "proxy-connection" in found else _NONE
    close = "close" in dropped or not minor
    return Head(method, target, 0, minor, fields, names, framing, close, dropped, found)


def parse_response(data: bytes, method: str, max_fields: int = 200) -> Head:
    """The head of the answer to a request with this method. Raises Malformed."""
    text = data.decode("latin-1")
    start = _STATUS.match(text)
    if start is None:
        raise Malformed("wire.status-line", "The status line is malformed.")
    minor, status = int(start[1]), int(start[2])
    fields, names, found = _fields(text, start.end(), max_fields)
    framing = _framing(found, minor, UNTIL_CLOSE)
    if status < 200 or status == 204 or status == 304 or method == "HEAD":
        framing = 0
    dropped = _connection(fields) if "connection" in found else _NONE
    close = "close" in dropped or framing == UNTIL_CLOSE or (not minor and "keep-alive" not in dropped)
    return Head("", "", status, minor, fields, names, framing, close, dropped, found)


_NONE: frozenset[str] = frozenset()
Fields = tuple[tuple[str, str], ...]


def _fields(text: str, start: int, limit: int) -> tuple[Fields, tuple[str, ...], dict[str, str]]:
    """All fields in order, their names as written, and the ones that decide about framing."""
    if _BLOCK.fullmatch(text, start) is None:
        raise Malformed("wire.field", "A header field is malformed.")
    pairs = _FIELD.findall(text, start)
    if len(pairs) > limit:
        raise Malformed("wire.too-many-fields", f"The head has more than {limit} fields.")
    fields = tuple([(name.lower(), value.rstrip("\t ")) for name, value in pairs])
    found = dict(fields)
    if len(found) != len(fields):
        _refuse_repeats(fields)
    return fields, tuple([name for name, _ in pairs]), found


def _refuse_repeats(fields: Fields) -> None:
    names = [name for name, _ in fields]
    for name in _SINGLE:
        if names.count(name) > 1:
            raise Malformed("wire.repeated-field", f"The field {name} stands twice.")


def _framing(found: dict[str, str], minor: int, default: int) -> int:
    coding, length = found.get("transfer-encoding"), found.get("content-length")
    if coding is not None:
        if length is not None:
            raise Malformed("wire.two-framings", "Content-Length and Transfer-Encoding stand together.")
        if coding.lower() != "chunked" or not minor:
            raise Malformed("wire.transfer-encoding", "The transfer coding is not exactly chunked over HTTP/1.1.")
        return CHUNKED
    if length is None:
        return default
    if not _LENGTH.match(length):
        raise Malformed("wire.content-length", "Content-Length is not one decimal number.")
    return int(length)


def _connection(fields: Fields) -> frozenset[str]:
    values = [value for name, value in fields if name in ("connection", "proxy-connection")]
    return frozenset(token.strip().lower() for value in values for token in value.split(","))
