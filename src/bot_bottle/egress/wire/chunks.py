"""The chunked transfer coding, read strictly and always written anew (P05, P11, B29).

A size is one to eight hexadecimal digits and nothing else: no sign, space, prefix, underscore or extension, which
parsers read differently. Trailers are checked and dropped: they are header fields that nobody decided about.
"""

import re

from bot_bottle.egress.wire.http1 import Malformed

LAST = b"0\r\n\r\n"
_SIZE = re.compile(rb"[0-9a-fA-F]{1,8}\r\n\Z")
_TRAILER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+:[\t\x20-\x7e\x80-\xff]*\r\n\Z")
_LINE = 10
_TRAILERS = 8192

_AT_SIZE, _IN_DATA, _AT_END, _IN_TRAILERS, _DONE = range(5)


class Dechunker:
    """Feeds on wire bytes and gives back payload. `done`: the last chunk and the trailers were read."""

    __slots__ = ("_left", "_line", "_state", "_trailers", "done")

    def __init__(self) -> None:
        self.done = False
        self._state = _AT_SIZE
        self._left = 0
        self._line = b""
        self._trailers = 0

    def feed(self, data: bytes) -> tuple[bytes, bytes]:
        """(payload, bytes behind the end of the message). Raises Malformed."""
        pieces: list[bytes] = []
        at, size = 0, len(data)
        while at < size and self._state != _DONE:
            if self._state == _IN_DATA:
                take = min(self._left, size - at)
                pieces.append(data[at : at + take])
                at += take
                self._left -= take
                if not self._left:
                    self._state = _AT_END
            else:
                at = self._take_line(data, at)
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), data[at:]

    def _take_line(self, data: bytes, at: int) -> int:
        """Consumes up to the end of one line, which may arrive in pieces."""
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end + 1
        line = self._line + data[at:end]
        limit = _TRAILERS if self._state == _IN_TRAILERS else _LINE
        if len(line) > limit:
            raise Malformed("wire.chunk", "A chunk's size line or trailer is too long.")
        if line[-1:] == b"\n":
            self._line = b""
            self._line_read(line)
        else:
            self._line = line
        return end

    def _line_read(self, line: bytes) -> None:
        if self._state == _AT_SIZE:
            if not _SIZE.match(line):
                raise Malformed("wire.chunk", "A chunk size is not one to eight hexadecimal digits.")
            self._left = int(line[:-2], 16)
            self._state = _IN_DATA if self._left else _IN_TRAILERS
        elif self._state == _AT_END:
            if line != b"\r\n":
                raise Malformed("wire.chunk", "A chunk does not end where its size says.")
            self._state = _AT_SIZE
        elif line == b"\r\n":
            self._state = _DONE
            self.done = True
        else:
            self._trailer(line)

    def _trailer(self, line: bytes) -> None:
        self._trailers += len(line)
        if self._trailers > _TRAILERS or not _TRAILER.match(line):
            raise Malformed("wire.trailer", "A trailer field is malformed, or there are too many.")


def chunk(payload: bytes) -> bytes:
    """One chunk; nothing for an empty payload, which would end the message."""
    return b"%x\r\n%b\r\n" % (len(payload), payload) if payload else b""
