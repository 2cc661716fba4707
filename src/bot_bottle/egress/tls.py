"""The same surface over TLS, driven by hand through MemoryBIO (facts/proxy.md 4).

Early bytes (a ClientHello behind CONNECT) are simply fed (P06); a stream cut without close_notify says so (P07).
"""

import contextlib
import socket
import ssl
from typing import Protocol

from bot_bottle.egress.leg import VIEW, Leg, Owner
from bot_bottle.egress.loop import Loop

_RECORD = 16384
_PLAIN = bytearray(_RECORD)
_PLAIN_VIEW = memoryview(_PLAIN)


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
        self._in_write(VIEW[:count])
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
        if not data or self.closed or self._closing or self._dropping:
            return
        try:
            self._tls_write(data)
        except ssl.SSLError as error:
            self._broken(error)
        else:
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
