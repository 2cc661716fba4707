"""One side of a flow: bytes in by callback, bytes out with back-pressure on the other side. Plain TCP and TLS.

TLS is driven by hand over MemoryBIO (facts/proxy.md 4): no transport layer, one receive buffer for the process, and
early bytes (a ClientHello behind CONNECT) are simply fed (P06). A stream that ends without close_notify says so
(P07).
"""

import contextlib
import socket
import ssl
from collections import deque
from typing import Protocol

from bot_bottle.egress.loop import BROKEN, IN, OUT, Loop

_BUFFER = bytearray(262144)
_VIEW = memoryview(_BUFFER)
_PLAIN = bytearray(16384)
_PLAIN_VIEW = memoryview(_PLAIN)
_RECORD = 16384


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
            count = self.sock.recv_into(_BUFFER)
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
        self.owner.received(bytes(_VIEW[:count]))

    def _eof(self) -> None:
        self._end(True)

    def feed(self, data: bytes) -> None:
        """Bytes that somebody else read from this socket already."""
        self.owner.received(data)

    def write(self, data: bytes) -> None:
        """Sends or queues. A leg that is closed swallows."""
        if data and not self.closed:
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


class TlsOwner(Owner, Protocol):
    def secured(self) -> None:
        """The handshake is done."""
        ...


class TlsLeg(Leg):
    """The same surface over TLS. Server side when `hostname` is None."""

    __slots__ = ("_in", "_in_write", "_object", "_out_read", "_pending", "_read_into", "_secured", "_tls_write", "up")

    def __init__(
        self, loop: Loop, sock: socket.socket, owner: TlsOwner, context: ssl.SSLContext, hostname: str | None
    ) -> None:
        super().__init__(loop, sock, owner)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(incoming, outgoing, server_side=hostname is None, server_hostname=hostname)
        self._object = tls
        self._in = incoming
        self._in_write = incoming.write
        self._out_read = outgoing.read
        self._read_into = tls.read
        self._tls_write = tls.write
        self._pending = tls.pending
        self._secured = owner.secured
        self.up = False

    def begin(self) -> None:
        """Sends the ClientHello; the socket is connected."""
        self._shake()

    def feed(self, data: bytes) -> None:
        self._in_write(data)
        self._pump()

    def resume(self) -> None:
        """As for a plain leg, but a record may sit decrypted inside OpenSSL, where epoll does not see it."""
        was = self.paused
        super().resume()
        if was and not self.closed and self.up and (self._in.pending or self._pending()):
            self.loop.post(self._again)

    def _again(self) -> None:
        if not self.closed and not self.paused:
            self._pump()

    def _incoming(self, count: int) -> None:
        self._in_write(_VIEW[:count])
        self._pump()

    def _pump(self) -> None:
        """Reads whole records while the input holds any; a read of a record's size leaves none half read."""
        if not self.up and not self._shake():
            return
        read, into, received = self._read_into, self._in, self.owner.received
        try:
            while not self.paused:
                count = read(_RECORD, _PLAIN)
                if not count:
                    self._end(True)
                    return
                received(bytes(_PLAIN_VIEW[:count]))  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownArgumentType] - typeshed says bytes
                if self.closed or not into.pending:
                    break
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            self._broken(error)
            return
        if not self.closed:
            data = self._out_read()
            if data:
                self._put(data)

    def _shake(self) -> bool:
        """True when the handshake is finished now."""
        try:
            self._object.do_handshake()
            self.up = True
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, ValueError) as error:
            data = self._out_read()
            if data:
                self._put(data)
            self._broken(error)
            return False
        data = self._out_read()
        if data:
            self._put(data)
        if self.up and not self.closed:
            self._secured()
        return self.up and not self.closed

    def _broken(self, error: Exception) -> None:
        self.failure = getattr(error, "verify_message", "") or getattr(error, "reason", "") or type(error).__name__
        self._end(False)

    def _eof(self) -> None:
        """The socket ends. What still sits in OpenSSL comes first; without a close_notify among it, it was cut."""
        if self.up and not self._dropping:
            self._pump()
        if not self.paused:
            self._end(False)

    def write(self, data: bytes) -> None:
        if data and not self.closed and not self._closing:
            self._tls_write(data)
            self._put(self._out_read())

    def finish(self) -> None:
        """Says close_notify first, so that the peer knows that nothing was cut."""
        self._say_goodbye()
        super().finish()

    def _say_goodbye(self) -> None:
        if self.up and not self.closed and not self._closing:
            with contextlib.suppress(ssl.SSLError):
                self._object.unwrap()
            data = self._out_read()
            if data:
                self._put(data)
