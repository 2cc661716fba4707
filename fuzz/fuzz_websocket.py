"""WebSocket handshakes: any fields are refused or read, and no reply proves itself but for its own key."""

import sys

from bot_bottle.egress.wire import websocket


def test_one_input(data: bytes) -> None:
    lines = data.split(b"\n")
    headers = [(name, value) for name, _, value in (line.partition(b":") for line in lines)]
    key = websocket.request_key(b"GET", headers)
    assert key is None or len(key) == 24
    websocket.wants_upgrade(headers)
    other = b"AAAAAAAAAAAAAAAAAAAAAA=="
    assert not websocket.is_proved(101, headers, other) or websocket.accept_value(other) in data
    assert not websocket.is_proved(200, headers, other, websocket.subprotocols(headers))


if __name__ == "__main__":
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
