"""RFC 6455 opening handshake: what asks rightly, and which 101 proves itself."""

import pytest
import wsproto.utilities
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.egress.wire import websocket

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
REQUEST = {
    b"Host": b"server.example.com",
    b"Upgrade": b"websocket",
    b"Connection": b"keep-alive, Upgrade",
    b"Sec-WebSocket-Key": KEY,
    b"Sec-WebSocket-Version": b"13",
}
REPLY = {
    b"Upgrade": b"WebSocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Accept": b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
}
Fields = list[tuple[bytes, bytes]]


def fields(base: dict[bytes, bytes], change: dict[bytes, bytes | None]) -> Fields:
    return [(name, value) for name, value in {**base, **change}.items() if value is not None]


def test_the_example_of_the_rfc() -> None:
    assert websocket.request_key(b"GET", fields(REQUEST, {})) == KEY
    assert websocket.accept_value(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert websocket.is_proved(101, fields(REPLY, {}), KEY)


@pytest.mark.parametrize(
    "change",
    [
        {b"Upgrade": None},
        {b"Upgrade": b"h2c"},
        {b"Upgrade": b"websocket, h2c"},
        {b"Connection": b"keep-alive"},
        {b"Connection": None},
        {b"Sec-WebSocket-Version": b"12"},
        {b"Sec-WebSocket-Version": None},
        {b"Sec-WebSocket-Key": b"short"},
        {b"Sec-WebSocket-Key": b"!" * 24},
        {b"Sec-WebSocket-Key": None},
        {b"Content-Length": b"5"},
        {b"Transfer-Encoding": b"chunked"},
    ],
)
def test_a_wrong_request_is_no_handshake(change: dict[bytes, bytes | None]) -> None:
    assert websocket.request_key(b"GET", fields(REQUEST, change)) is None


def test_only_get_and_only_one_key() -> None:
    assert websocket.request_key(b"POST", fields(REQUEST, {})) is None
    assert websocket.request_key(b"GET", [*fields(REQUEST, {}), (b"sec-websocket-key", KEY)]) is None


@pytest.mark.parametrize(
    "change",
    [
        {b"Upgrade": None},
        {b"Upgrade": b"h2c"},
        {b"Connection": b"close"},
        {b"Sec-WebSocket-Accept": None},
        {b"Sec-WebSocket-Accept": b"x3pPLMBiTxaQ9kYGzzhZRbK+xOo="},
        {b"Sec-WebSocket-Protocol": b"never-offered"},
        {b"Content-Length": b"10"},
        {b"Transfer-Encoding": b"chunked"},
    ],
)
def test_a_wrong_101_proves_nothing(change: dict[bytes, bytes | None]) -> None:
    assert not websocket.is_proved(101, fields(REPLY, change), KEY, [b"chat"])


def test_only_101_and_only_one_accept_value() -> None:
    assert not websocket.is_proved(200, fields(REPLY, {}), KEY)
    twice = [*fields(REPLY, {}), (b"sec-websocket-accept", websocket.accept_value(KEY))]
    assert not websocket.is_proved(101, twice, KEY)


def test_an_offered_subprotocol_may_be_chosen() -> None:
    offered = websocket.subprotocols([(b"Sec-WebSocket-Protocol", b"chat, superchat"), (b"x", b"y")])
    assert offered == (b"chat", b"superchat")
    assert websocket.is_proved(101, fields(REPLY, {b"Sec-WebSocket-Protocol": b"superchat"}), KEY, offered)


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [([(b"upgrade", b"h2c")], True), ([(b"Connection", b"x, UPGRADE")], True), ([(b"Connection", b"close")], False)],
)
def test_any_upgrade_is_noticed(headers: Fields, wanted: bool) -> None:
    assert websocket.wants_upgrade(headers) is wanted


@given(st.binary(min_size=16, max_size=16))
def test_accept_values_agree_with_wsproto(nonce: bytes) -> None:
    import base64

    key = base64.b64encode(nonce)
    assert websocket.accept_value(key) == wsproto.utilities.generate_accept_token(key)
    assert websocket.request_key(b"GET", fields(REQUEST, {b"Sec-WebSocket-Key": key})) == key


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=8))
def test_any_fields_are_refused_or_read(headers: Fields) -> None:
    assert websocket.request_key(b"GET", headers) is None
    assert not websocket.is_proved(101, headers, KEY)
