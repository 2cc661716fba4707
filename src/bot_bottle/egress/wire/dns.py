"""DNS, the little of it that a bottle may see: one question in, one synthetic answer out (RFC 1035, RFC 6891).

Strict on purpose: a query has exactly one question and, at most, one EDNS record; names are not compressed, lengths
are bounded, nothing follows. Whatever else arrives is FORMERR. No name is ever resolved from here (B21, B22, D09).
"""

import ipaddress
import struct
from dataclasses import dataclass

A, AAAA, ANY, OPT, HTTPS, SVCB = 1, 28, 255, 41, 65, 64
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 0, 1, 2, 3, 4, 5
MAX_QUERY = 512
"""A question with EDNS fits in far less; longer messages are a channel, not a question."""

_HEADER = struct.Struct("!HHHHHH")
_QUESTION = struct.Struct("!HH")
_ANSWER = struct.Struct("!HHHIH")
_EDNS = struct.Struct("!BHHIH")
_LENGTH = struct.Struct("!H")
_QR, _RD, _RA, _OPCODE = 0x8000, 0x0100, 0x0080, 0x7800
_POINTER_TO_QUESTION = 0xC00C
_EDNS_SIZE = 1232
_NAME = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789-_")


class Malformed(Exception):
    """Not a query that we answer. reply: the FORMERR message, or b"" where not even that can be said."""

    def __init__(self, what: str, reply: bytes = b"") -> None:
        super().__init__(what)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Query:
    """One question. name: lower case, without the last dot, only letters, digits, ``-`` and ``_`` in its labels.

    kind: record type number. question: its bytes, repeated in the answer. edns: the client speaks RFC 6891.
    """

    id: int
    name: str
    kind: int
    question: bytes
    recursion: bool = True
    edns: bool = False


def parse_query(data: bytes) -> Query:
    """The question of one message. Raises Malformed with the FORMERR or NOTIMP reply to send."""
    if len(data) < _HEADER.size:
        raise Malformed("short header")
    ident, flags, questions, answers, authorities, additionals = _HEADER.unpack_from(data)
    if flags & _QR:
        raise Malformed("a response, not a query")
    if flags & _OPCODE:
        raise Malformed("an opcode other than QUERY", _failure(ident, flags, NOTIMP))
    try:
        if len(data) > MAX_QUERY or questions != 1 or answers or authorities or additionals > 1:
            raise ValueError("counts")
        name, at = _name(data, _HEADER.size)
        kind, group = _QUESTION.unpack_from(data, at)
        at += _QUESTION.size
        if group != IN:
            raise ValueError("class")
        question = data[_HEADER.size : at]
        if additionals:
            at = _edns(data, at)
        if at != len(data):
            raise ValueError("trailing bytes")
    except (ValueError, struct.error) as error:
        raise Malformed(str(error), _failure(ident, flags, FORMERR)) from None
    return Query(ident, name, kind, question, bool(flags & _RD), bool(additionals))


def address_answer(query: Query, address: str, ttl: int = 1) -> bytes:
    """A or AAAA with this one address; NODATA when the question is of another type."""
    packed = ipaddress.ip_address(address).packed
    kind = A if len(packed) == 4 else AAAA
    if query.kind != kind:
        return empty(query)
    record = _ANSWER.pack(_POINTER_TO_QUESTION, kind, IN, ttl, len(packed)) + packed
    return _reply(query, NOERROR, 1, record)


def empty(query: Query) -> bytes:
    """NODATA: the name exists, but has no record of this type."""
    return _reply(query, NOERROR, 0, b"")


def refused(query: Query) -> bytes:
    """REFUSED: policy. Resolvers give up at once, and the next one in the list is also ours."""
    return _reply(query, REFUSED, 0, b"")


def nxdomain(query: Query) -> bytes:
    """NXDOMAIN: the name does not exist."""
    return _reply(query, NXDOMAIN, 0, b"")


def framed(message: bytes) -> bytes:
    """The message as TCP carries it (RFC 1035 4.2.2)."""
    return _LENGTH.pack(len(message)) + message


def unframed(buffer: bytearray) -> bytes | None:
    """Takes the next whole TCP message out of `buffer`, or None. Raises Malformed on a length that is no question."""
    if len(buffer) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack_from(buffer)
    if not _HEADER.size <= length <= MAX_QUERY:
        raise Malformed("length")
    if len(buffer) < _LENGTH.size + length:
        return None
    message = bytes(buffer[_LENGTH.size : _LENGTH.size + length])
    del buffer[: _LENGTH.size + length]
    return message


def _name(data: bytes, at: int) -> tuple[str, int]:
    """An uncompressed name of at most 255 bytes and where it ends. Raises ValueError."""
    labels: list[str] = []
    start = at
    while True:
        if at >= len(data):
            raise ValueError("name ends early")
        size = data[at]
        if size > 63 or at + 1 + size > len(data) or at + 1 + size - start > 255:
            raise ValueError("label")
        at += 1 + size
        if not size:
            return ".".join(labels), at
        label = data[at - size : at].lower()
        if not _NAME.issuperset(label):
            raise ValueError("character in a name")
        labels.append(label.decode("ascii"))


def _edns(data: bytes, at: int) -> int:
    """One OPT record with the root name, version 0; its options are read over. Where it ends. Raises ValueError."""
    root, kind, _, ttl, length = _EDNS.unpack_from(data, at)
    at += _EDNS.size + length
    if root or kind != OPT or ttl >> 16 & 0xFF or at > len(data):
        raise ValueError("edns")
    return at


def _reply(query: Query, code: int, answers: int, records: bytes) -> bytes:
    flags = _QR | _RA | (_RD if query.recursion else 0) | code
    edns = _EDNS.pack(0, OPT, _EDNS_SIZE, 0, 0) if query.edns else b""
    return _HEADER.pack(query.id, flags, 1, answers, 0, int(query.edns)) + query.question + records + edns


def _failure(ident: int, flags: int, code: int) -> bytes:
    """A reply to what was not understood: header only."""
    return _HEADER.pack(ident, _QR | _RA | flags & (_OPCODE | _RD) | code, 0, 0, 0, 0)
