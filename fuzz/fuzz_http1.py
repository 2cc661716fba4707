"""Request and response heads: nothing but Malformed, and h11 agrees with what is accepted."""

import h11

from bot_bottle.egress.wire.http1 import CHUNKED, Malformed, head_end, parse_request, parse_response


def test_one_input(data: bytes) -> None:
    """One head."""
    try:
        end = head_end(data, 65536)
    except Malformed:
        return
    if end < 0:
        return
    raw = data[:end]
    try:
        parse_response(raw, "GET")
    except Malformed:
        pass
    try:
        head = parse_request(raw)
    except Malformed:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    event = connection.next_event()
    assert isinstance(event, h11.Request)
    assert (event.method.decode(), event.target.decode("latin-1")) == (head.method, head.target)
    assert [name.decode() for name, _ in event.headers] == [name for name, _ in head.fields]
    assert head.framing >= CHUNKED


if __name__ == "__main__":
    import sys

    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
