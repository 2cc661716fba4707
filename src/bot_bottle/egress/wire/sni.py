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
    try:
        at = 35 + hello[34]  # version, random, session id
        at += 2 + (hello[at] << 8 | hello[at + 1])  # cipher suites
        at += 1 + hello[at]  # compression methods
        if at == len(hello):
            return None
        if at + 2 + (hello[at] << 8 | hello[at + 1]) != len(hello):
            raise Malformed("wire.tls", "The ClientHello's extensions do not end where it ends.")
        return _extension(hello, at + 2)
    except IndexError:
        raise Malformed("wire.tls", "The ClientHello is cut short.") from None


def _extension(hello: bytes, at: int) -> str | None:
    """The server name among the extensions from `at` to the end; raises IndexError where they are cut."""
    found: str | None = None
    end = len(hello)
    while at < end:
        size = hello[at + 2] << 8 | hello[at + 3]
        if at + 4 + size > end:
            raise IndexError
        if hello[at] == 0 and hello[at + 1] == 0:
            if found is not None:
                raise Malformed("wire.tls", "The ClientHello names its server twice.")
            found = _host_name(hello[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def _host_name(body: bytes) -> str:
    """The one entry of a server name list."""
    listed, size = int.from_bytes(body[:2]), int.from_bytes(body[3:5])
    if len(body) < 6 or body[2] != 0 or listed != len(body) - 2 or size != len(body) - 5:
        raise Malformed("wire.tls", "The server name list is malformed.")
    try:
        return body[5:].decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("wire.tls", "The server name is not ASCII.") from None
