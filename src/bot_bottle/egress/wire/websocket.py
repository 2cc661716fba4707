"""The opening handshake of RFC 6455: a tunnel opens only after a right request and a 101 that proves itself.

A 101 without the accept value of our key is not a WebSocket server, but a raw pipe under that name (D24, B33).
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
Headers = Iterable[tuple[bytes, bytes]]


def wants_upgrade(headers: Headers) -> bool:
    """Whether the request asks for any upgrade at all: an `Upgrade` field, or `Connection: upgrade`."""
    return any(
        name.lower() == b"upgrade" or (name.lower() == b"connection" and b"upgrade" in _tokens(value))
        for name, value in headers
    )


def request_key(method: bytes, headers: Headers) -> bytes | None:
    """The ``Sec-WebSocket-Key`` of a correct opening handshake (RFC 6455 4.2.1), or None.

    Correct: GET, ``Upgrade: websocket`` alone, ``Connection`` with the token upgrade, version 13, one key of 16
    bytes, no body.
    """
    fields = _fields(headers)
    keys, versions = fields.get(b"sec-websocket-key", []), fields.get(b"sec-websocket-version", [])
    correct = (
        method == b"GET"
        and _upgrades(fields)
        and versions == [b"13"]
        and len(keys) == 1
        and _is_key(keys[0])
        and fields.get(b"content-length", [b"0"]) == [b"0"]
        and b"transfer-encoding" not in fields
    )
    return keys[0] if correct else None


def accept_value(key: bytes) -> bytes:
    """What a WebSocket server answers to this key (RFC 6455 4.2.2)."""
    return base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest())


def is_proved(status: int, headers: Headers, key: bytes, offered: Iterable[bytes] = ()) -> bool:
    """Whether this response opens the WebSocket that the request with `key` asked for (RFC 6455 4.1).

    offered: subprotocols of the request; the server may choose one of them or none.
    """
    fields = _fields(headers)
    chosen = fields.get(b"sec-websocket-protocol", [])
    return (
        status == 101
        and _upgrades(fields)
        and fields.get(b"sec-websocket-accept") == [accept_value(key)]
        and (not chosen or (len(chosen) == 1 and chosen[0] in frozenset(offered)))
        and b"transfer-encoding" not in fields
        and fields.get(b"content-length", [b"0"]) == [b"0"]
    )


def subprotocols(headers: Headers) -> tuple[bytes, ...]:
    """The subprotocols that a request offers, in order."""
    offered = (value for name, value in headers if name.lower() == b"sec-websocket-protocol")
    return tuple(token for value in offered for part in value.split(b",") if (token := part.strip()))


def _fields(headers: Headers) -> dict[bytes, list[bytes]]:
    fields: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        fields.setdefault(name.lower(), []).append(value.strip())
    return fields


def _upgrades(fields: dict[bytes, list[bytes]]) -> bool:
    options = {token for value in fields.get(b"connection", []) for token in _tokens(value)}
    return b"upgrade" in options and [value.lower() for value in fields.get(b"upgrade", [])] == [b"websocket"]


def _tokens(value: bytes) -> list[bytes]:
    return [token.strip().lower() for token in value.split(b",")]


def _is_key(key: bytes) -> bool:
    try:
        return len(key) == 24 and len(base64.b64decode(key, validate=True)) == 16
    except binascii.Error:
        return False
