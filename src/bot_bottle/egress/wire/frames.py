"""WebSocket frames both ways, so that a tunnel stays a WebSocket and is looked at (B33, D24). RFC 6455 5.2.

No extension was offered, so a reserved bit ends the tunnel; so do an unmasked frame of the agent, a masked one of the
server, an unknown opcode, a long or fragmented control frame. The server's messages are framed anew around scrubbed
payload; the agent's frames pass as they are, after their unmasked payload was looked at.
"""

from bot_bottle.egress.wire.http1 import Malformed
from bot_bottle.inspect.scrub import Scrubber, ScrubStream

_CONTINUATION, _CLOSE, _PING, _PONG = 0, 8, 9, 10
_KNOWN = frozenset((0, 1, 2, 8, 9, 10))


class _Frames:
    """Reads frame headers; `_walk` gives (final fragment of its message, opcode, bytes, end of the frame)."""

    def __init__(self, masked: bool) -> None:
        self._masked = masked
        self._head = b""
        self._left = 0
        self._fin = True
        self._opcode = 0
        self._open = False
        self._mask = b""
        self._turn = 0

    def _walk(self, data: bytes) -> list[tuple[bool, int, bytes, bool]]:
        """Pieces of payload in order. Raises Malformed."""
        pieces: list[tuple[bool, int, bytes, bool]] = []
        while data:
            if self._left == 0:
                self._head += data
                taken = self._header()
                if not taken:
                    return pieces
                data, self._head = self._head[taken:], b""
                if self._left == 0:
                    pieces.append((self._fin, self._opcode, b"", True))
                    self._closed()
                continue
            part, data = data[: self._left], data[self._left :]
            self._left -= len(part)
            pieces.append((self._fin, self._opcode, self._unmask(part), self._left == 0))
            if self._left == 0:
                self._closed()
        return pieces

    def _header(self) -> int:
        """Reads one frame header; its length, or 0 while it is incomplete."""
        head = self._head
        if len(head) < 2:
            return 0
        self._fin, self._opcode, size = bool(head[0] & 128), head[0] & 15, head[1] & 127
        if head[0] & 0x70 or self._opcode not in _KNOWN or bool(head[1] & 128) != self._masked:
            raise Malformed("wire.websocket", "A WebSocket frame is malformed or uses an extension.")
        wide = {126: 2, 127: 8}.get(size, 0)
        mask = 4 if self._masked else 0
        if len(head) < 2 + wide + mask:
            return 0
        if wide:
            size = int.from_bytes(head[2 : 2 + wide])
        self._check(size)
        self._left, self._turn = size, 0
        self._mask = head[2 + wide : 2 + wide + mask]
        return 2 + wide + mask

    def _check(self, size: int) -> None:
        control = self._opcode >= _CLOSE
        if size >= 1 << 62 or (control and (size > 125 or not self._fin)):
            raise Malformed("wire.websocket", "A WebSocket frame is too long.")
        if not control and (self._opcode == _CONTINUATION) != self._open:
            raise Malformed("wire.websocket", "WebSocket fragments are out of order.")

    def _closed(self) -> None:
        if self._opcode < _CLOSE:
            self._open = not self._fin

    def _unmask(self, part: bytes) -> bytes:
        if not self._masked:
            return part
        mask = self._mask[self._turn :] + self._mask[: self._turn]
        self._turn = (self._turn + len(part)) % 4
        key = (mask * (len(part) // 4 + 1))[: len(part)]
        return (int.from_bytes(part) ^ int.from_bytes(key)).to_bytes(len(part))


class FrameWatcher(_Frames):
    """The agent's frames: looked at, not changed."""

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__(masked=True)
        self._scrubber = scrubber
        self._stream = scrubber.stream()
        self._control = b""

    def watch(self, data: bytes) -> str | None:
        """The name of a secret that these bytes complete, or None. Raises Malformed."""
        for fin, opcode, part, last in self._walk(data):
            if opcode >= _CLOSE:
                self._control += part
                if last:
                    found = self._scrubber.contains_secret(self._control)
                    self._control = b""
                    if found:
                        return found
                continue
            self._stream.feed(part)
            if fin and last:
                self._stream.finish()
            if self._stream.hits:
                return next(iter(self._stream.hits))
            if fin and last:
                self._stream = self._scrubber.stream()
        return None


class FrameScrubber(_Frames):
    """The server's frames: messages pass as fragments, without secrets."""

    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__(masked=False)
        self._scrubber = scrubber
        self._stream: ScrubStream = scrubber.stream()
        self._first = 0  # opcode of the message while no fragment of it has passed
        self._begun = False
        self._control = b""
        self.hits: dict[str, int] = {}

    def feed(self, data: bytes) -> bytes:
        """Frames to pass on. Raises Malformed."""
        out: list[bytes] = []
        for fin, opcode, part, last in self._walk(data):
            if opcode >= _CLOSE:
                self._control += part
                if last:
                    out.append(_frame(True, opcode, self._clean_control(opcode)))
                continue
            if not self._begun:
                self._first, self._begun = opcode, True
            payload = self._stream.feed(part)
            final = fin and last
            if final:
                payload += self._stream.finish()
            if payload or final:
                out.append(_frame(final, self._first, payload))
                self._first = 0
            if final:
                self._begun = False
                for name, count in self._stream.hits.items():
                    self.hits[name] = self.hits.get(name, 0) + count
                self._stream = self._scrubber.stream()
        return b"".join(out)

    def _clean_control(self, opcode: int) -> bytes:
        payload, self._control = self._control, b""
        if opcode == _CLOSE:
            return payload[:2] + self._scrubber.clean(payload[2:], self.hits)[:123]
        return self._scrubber.clean(payload, self.hits)[:125]


def _frame(fin: bool, opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    first = opcode | (128 if fin else 0)
    if size < 126:
        return bytes((first, size)) + payload
    if size < 65536:
        return bytes((first, 126)) + size.to_bytes(2) + payload
    return bytes((first, 127)) + size.to_bytes(8) + payload
