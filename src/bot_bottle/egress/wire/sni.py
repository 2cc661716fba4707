"""The server name of a TLS ClientHello, read before any TLS state exists (B05, B09, P09). RFC 8446 4.1.2, RFC 6066 3.

The certificate's context compares again what OpenSSL itself read (`leaves.py`), so that a difference between the two
readers ends the handshake. An outer name of an encrypted ClientHello is simply the name: we are that server.
"""

from bot_bottle.egress.wire.http1 import Malformed

_MAX_HELLO = 32768


def client_hello(data: bytes) -> bytes | None:
    """The handshake message, put together from its records; None while more is needed. Raises Malformed."""
    message, at = b"", 0
    while True:
        if len(data) < at + 5:
            return None
        kind, major, length = data[at], data[at + 1], int.from_bytes(data[at + 3 : at + 5])
        if kind != 22 or major != 3 or not 0 < length <= 16640:
            raise Malformed("wire.tls", "The first record is no TLS handshake.")
        if len(data) < at + 5 + length:
            return None
        message += data[at + 5 : at + 5 + length]
        at += 5 + length
        if len(message) >= 4:
            if message[0] != 1:
                raise Malformed("wire.tls", "The first handshake message is no ClientHello.")
            whole = 4 + int.from_bytes(message[1:4])
            if whole > _MAX_HELLO:
                raise Malformed("wire.tls", "The ClientHello is too long.")
            if len(message) >= whole:
                return message[4:whole]


def server_name(hello: bytes) -> str | None:
    """The host name of a ClientHello's body, as sent; None without the extension. Raises Malformed."""
    reader = _Reader(hello)
    reader.skip(34)
    reader.skip(reader.number(1))
    reader.skip(reader.number(2))
    reader.skip(reader.number(1))
    if reader.left() == 0:
        return None
    extensions = _Reader(reader.take(reader.number(2)))
    if reader.left():
        raise Malformed("wire.tls", "The ClientHello has bytes behind its extensions.")
    found: str | None = None
    while extensions.left():
        kind = extensions.number(2)
        body = extensions.take(extensions.number(2))
        if kind == 0:
            if found is not None:
                raise Malformed("wire.tls", "The ClientHello names its server twice.")
            found = _host_name(_Reader(body))
    return found


def _host_name(reader: "_Reader") -> str:
    names = _Reader(reader.take(reader.number(2)))
    kind = names.number(1)
    name = names.take(names.number(2))
    if kind != 0 or names.left() or reader.left() or not name:
        raise Malformed("wire.tls", "The server name list is malformed.")
    try:
        return name.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("wire.tls", "The server name is not ASCII.") from None


class _Reader:
    """Bounds-checked reading of big-endian fields."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> bytes:
        if count > self.left():
            raise Malformed("wire.tls", "The ClientHello is cut short.")
        self._at += count
        return self._data[self._at - count : self._at]

    def skip(self, count: int) -> None:
        self.take(count)

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size))
