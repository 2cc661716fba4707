"""One side of a flow: bytes in by callback, bytes out with back-pressure on the other side; plain TCP here.

No transport layer and one receive buffer for the process, which is what makes bulk cheap (facts/proxy.md 4).
"""

import contextlib
import socket
from collections import deque
from typing import Protocol

from bot_bottle.egress.loop import BROKEN, IN, OUT, Loop

BUFFER = bytearray(262144)
"""What one read of any leg fills; its bytes are copied or consumed before the next."""
VIEW = memoryview(BUFFER)


class Owner(Protocol):
    """Who a leg works for."""

    def received(self, data: bytes, /) -> None:
        """Bytes of the application, in order."""
        ...

    def ended(self, clean: bool, /) -> None:
        """No more bytes will come and the leg is closed. clean: the peer said so (FIN; close_notify for TLS)."""
        ...

    def drained(self) -> None:
        """Everything that was written has left."""
        ...


class Leg:
    """A plain TCP leg. `active`: second of the last byte either way. `queued`: bytes that wait to leave."""

    __slots__ = (
        "_closing", "_dropping", "_mask", "_send", "active", "closed", "failure", "fd", "loop", "owner", "paused",
        "queue", "queued", "sock",
    )  # fmt: skip

    def __init__(self, loop: Loop, sock: socket.socket, owner: Owner) -> None:
        self.loop = loop
        self.sock = sock
        self.fd = sock.fileno()
        self.owner = owner
        self.queue: deque[bytes | memoryview] = deque()
        self.queued = 0
        self.paused = False
        self.closed = False
        self.failure = ""
        self.active = loop.now
        self._closing = False
        self._dropping = False
        self._send = sock.send
        self._mask = IN
        loop.watch(self.fd, IN, self.event)

    def event(self, mask: int) -> None:
        """What epoll says about the descriptor."""
        self.active = self.loop.now
        if mask & OUT and self.queue:
            self._flush()
        if self.paused or self.closed:
            if mask & BROKEN and not self.closed:
                self._end(False)
            return
        if mask & (IN | BROKEN):
            self._read()

    def _read(self) -> None:
        try:
            count = self.sock.recv_into(BUFFER)
        except BlockingIOError:
            return
        except OSError:
            self._end(False)
            return
        if not count:
            self._eof()
        elif not self._dropping:
            self._incoming(count)

    def _incoming(self, count: int) -> None:
        self.owner.received(bytes(VIEW[:count]))

    def _eof(self) -> None:
        self._end(True)

    def feed(self, data: bytes) -> None:
        """Bytes that somebody else read from this socket already."""
        self.owner.received(data)

    def write(self, data: bytes) -> None:
        """Sends or queues. A leg that is closed, or said that it ends, swallows."""
        if data and not (self.closed or self._closing or self._dropping):
            self._put(data)

    def _put(self, data: bytes) -> None:
        if self.queue:
            self.queue.append(data)
            self.queued += len(data)
            return
        try:
            sent = self._send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self._end(False)
            return
        if sent != len(data):
            self.queue.append(memoryview(data)[sent:])
            self.queued = len(data) - sent
            self._set(self._mask | OUT)

    def _flush(self) -> None:
        queue = self.queue
        while queue:
            head = queue[0]
            try:
                sent = self._send(head)
            except BlockingIOError:
                return
            except OSError:
                self._end(False)
                return
            self.queued -= sent
            if sent != len(head):
                queue[0] = memoryview(head)[sent:]
                return
            queue.popleft()
        self._set(self._mask & ~OUT)
        if self._closing:
            self.close()
        elif self._dropping:
            self._shut()
        else:
            self.owner.drained()

    def pause(self) -> None:
        """Reads nothing more until `resume`."""
        if not self.paused and not self.closed:
            self.paused = True
            self._set(self._mask & ~IN)

    def resume(self) -> None:
        """Reads again, from the next turn on."""
        if self.paused and not self.closed:
            self.paused = False
            self._set(self._mask | IN)

    def _set(self, mask: int) -> None:
        if mask != self._mask and not self.closed:
            self._mask = mask
            self.loop.change(self.fd, mask)

    def half_close(self) -> None:
        """Says that nothing more comes once everything written has left; what still arrives is dropped."""
        self._say_goodbye()
        self._dropping = True
        self.resume()
        if not self.queue and not self.closed:
            self._shut()

    def _shut(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def _say_goodbye(self) -> None:
        """Nothing for plain TCP."""

    def finish(self) -> None:
        """Closes once everything written has left."""
        self._closing = True
        if not self.queue:
            self.close()

    def close(self) -> None:
        """Closes now; `ended` is not called."""
        if not self.closed:
            self.closed = True
            self.loop.dropped(self.fd)
            self.sock.close()
            self.queue.clear()
            self.queued = 0

    def _end(self, clean: bool) -> None:
        if not self.closed:
            self.close()
            self.owner.ended(clean)

    def detach(self) -> socket.socket:
        """Gives the socket away, still watched, to become the raw side of another leg at once."""
        self.closed = True
        return self.sock
