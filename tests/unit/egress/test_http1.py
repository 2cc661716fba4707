"""HTTP/1.1 heads and chunks against h11: what we accept, h11 accepts with equal meaning; the reverse is enumerated."""

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot_bottle.egress.wire.chunks import LAST, Dechunker, chunk
from bot_bottle.egress.wire.http1 import (
    CHUNKED,
    UNTIL_CLOSE,
    Head,
    Malformed,
    head_end,
    parse_request,
    parse_response,
)

TOKEN = "!#$%&'*+-.^_`|~09azAZ"
METHODS = st.sampled_from(["GET", "POST", "HEAD", "DELETE", "get", "M-SEARCH", "P@ST", "", "OPTIONS"])
TARGETS = st.one_of(
    st.sampled_from(["/", "/a?b=c", "*", "http://a/b", "a:443", "/a b", "/\x7f", "/é", ""]),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=20).map(lambda t: "/" + t),
)
VERSIONS = st.sampled_from(["HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "http/1.1", "HTTP/1.1 "])
NAMES = st.one_of(
    st.sampled_from(["Host", "Content-Length", "Transfer-Encoding", "Connection", "X", "host ", "", "X\t", "Expect"]),
    st.text(TOKEN, min_size=1, max_size=8),
)
VALUES = st.one_of(
    st.sampled_from(
        ["a.test", "chunked", "Chunked", "identity", "close", "0", "5", "05", "+5", "5, 5", " 5 ", "5\t", "\x0b5"]
    ),
    st.text(st.characters(max_codepoint=255), max_size=12),
)
ENDS = st.sampled_from(["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\n "])
FIELDS = st.lists(st.tuples(NAMES, st.sampled_from([": ", ":", ":  ", " : "]), VALUES, ENDS), max_size=5)
REQUESTS = st.builds(
    lambda method, target, version, fields: _text(f"{method} {target} {version}\r\n", fields),
    METHODS, TARGETS, VERSIONS, FIELDS,
)  # fmt: skip
STATUS = st.sampled_from(
    ["200 OK", "204 No", "304 x", "200", "099 x", "600 x", "2000 x", "200 \x01", "200  é", "404 Not Found"]
)
RESPONSES = st.builds(
    lambda version, status, fields: _text(f"{version} {status}\r\n", fields), VERSIONS, STATUS, FIELDS
)
BODY = b"hello"


def _text(start: str, fields: list[tuple[str, str, str, str]]) -> bytes:
    lines = "".join(name + colon + value + end for name, colon, value, end in fields)
    return (start + lines + "\r\n").encode("latin-1")


def _ours(raw: bytes) -> Head | None:
    try:
        return parse_request(raw) if head_end(raw, 65536) == len(raw) else None
    except Malformed:
        return None


def _body(head: Head) -> bytes:
    if head.framing == CHUNKED:
        return chunk(BODY) + LAST
    return b"x" * head.framing if head.framing < 1000 else b""


def _read(connection: h11.Connection, kind: type) -> tuple[object, bytes]:
    event = connection.next_event()
    assert isinstance(event, kind), event
    body = b""
    while isinstance(data := connection.next_event(), h11.Data):
        body += bytes(data.data)
    return event, body


@settings(max_examples=1500, deadline=None)
@given(REQUESTS)
def test_h11_accepts_every_request_that_we_accept_and_reads_the_same(raw: bytes) -> None:
    head = _ours(raw)
    if head is None:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw + _body(head))
    event, body = _read(connection, h11.Request)
    assert event.method.decode() == head.method
    assert event.target.decode("latin-1") == head.target
    theirs = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
    ours = [(name, value.lower() if name == "transfer-encoding" else value) for name, value in head.fields]
    assert theirs == ours
    if head.framing < 1000:
        assert body == (BODY if head.framing == CHUNKED else b"x" * head.framing)


@settings(max_examples=1500, deadline=None)
@given(RESPONSES, st.sampled_from(["GET", "HEAD"]))
def test_h11_accepts_every_response_that_we_accept_and_reads_the_same(raw: bytes, method: str) -> None:
    try:
        if head_end(raw, 65536) != len(raw):
            return
        head = parse_response(raw, method)
    except Malformed:
        return
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("host", "a")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(raw + (b"tail" if head.framing == UNTIL_CLOSE else _body(head)))
    if head.framing == UNTIL_CLOSE:
        connection.receive_data(b"")
    event, body = _read(connection, h11.Response)
    assert event.status_code == head.status
    theirs = [(name.decode(), value.decode("latin-1")) for name, value in event.headers]
    assert theirs == [(name, value.lower() if name == "transfer-encoding" else value) for name, value in head.fields]
    if 0 <= head.framing < 1000:
        assert body == b"x" * head.framing
    elif head.framing == UNTIL_CLOSE:
        assert body == b"tail"


REVERSE = [
    # what h11 accepts and we refuse, with why: a stricter reader has nothing to disagree about
    (b"GET / HTTP/1.1\nHost: a\n\n", "bare LF"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", "obs-fold"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", "control byte in a value"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n", "DEL in a value"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n", "repeated equal lengths"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5, 5\r\n\r\n", "a list of equal lengths"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0000000000000005\r\n\r\n", "more than 15 digits"),
    (b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "two framings"),
    (b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.0 with chunked"),
    (b"GET /#a HTTP/1.1\r\nHost: a\r\n\r\n", "a fragment"),
    (b"A" * 33 + b" / HTTP/1.1\r\nHost: a\r\n\r\n", "a method of more than 32 characters"),
    (b"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\nExpect: y\r\n\r\n", "a repeated deciding field"),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 201 + b"\r\n", "more than 200 fields"),
]


@pytest.mark.parametrize(("raw", "why"), REVERSE, ids=[why for _, why in REVERSE])
def test_what_h11_accepts_and_we_refuse(raw: bytes, why: str) -> None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    assert isinstance(connection.next_event(), h11.Request), why
    assert _ours(raw) is None, why


@pytest.mark.parametrize(
    "raw", [b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: identity\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]
)
def test_both_refuse(raw: bytes) -> None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(raw)
    with pytest.raises(h11.RemoteProtocolError):
        connection.next_event()
    assert _ours(raw) is None


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.lists(st.integers(1, 9), min_size=1))
def test_chunks_give_the_same_payload_at_every_cut(pieces: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(chunk(piece) for piece in pieces) + b"0\r\nX-T: 1\r\n\r\nNEXT"
    reader, payload, rest, at = Dechunker(), b"", b"", 0
    while at < len(wire):
        step = cuts[at % len(cuts)]
        got, left = reader.feed(wire[at : at + step])
        payload, rest = payload + got, rest + left
        at += step
    assert (payload, rest, reader.done) == (b"".join(pieces), b"NEXT", True)


SIZES = st.one_of(
    st.sampled_from(["5", "05", "0x5", "5;a=b", "+5", " 5", "5 ", "1_0", "", "F", "000000005"]), st.text(max_size=4)
)


@settings(deadline=None)
@given(SIZES, st.sampled_from(["\r\n", "\n", "\r"]), st.sampled_from(["\r\n", "\n", ""]))
def test_h11_reads_the_same_from_every_chunk_that_we_accept(size: str, first: str, second: str) -> None:
    wire = size.encode() + first.encode() + b"abcdefghijklmno"[:5] + second.encode() + LAST
    reader = Dechunker()
    try:
        payload, _ = reader.feed(wire)
    except Malformed:
        return
    if not reader.done:
        return
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + wire)
    _, body = _read(connection, h11.Request)
    assert body == payload


@pytest.mark.parametrize("size", ["0x1", "1_0", "+5", " 5", "5 ", "5;x", "-1", "123456789", "g", "５"])
def test_p05_sizes_that_int_would_accept(size: str) -> None:
    with pytest.raises(Malformed):
        Dechunker().feed(size.encode() + b"\r\n")


def test_limits_of_lines_and_trailers() -> None:
    with pytest.raises(Malformed):
        Dechunker().feed(b"0" * 20)
    reader = Dechunker()
    with pytest.raises(Malformed):
        reader.feed(b"0\r\n" + b"X-T: aaaaaaaaaaaaaaaa\r\n" * 1000)


def test_responses_without_a_body() -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert parse_response(raw, "HEAD").framing == 0
    assert parse_response(raw.replace(b"200", b"304"), "GET").framing == 0
    assert parse_response(raw.replace(b"200", b"204"), "GET").framing == 0
    assert parse_response(b"HTTP/1.0 200 OK\r\n\r\n", "GET").framing == UNTIL_CLOSE
