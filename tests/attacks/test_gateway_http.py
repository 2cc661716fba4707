"""The HTTP layer (B28-B34, P01-P07, P10-P13, D12, D24): what leaves is what was decided, what comes is what was asked."""

import base64
import gzip
import hashlib
import os
import socket
import threading

import pytest

from gateway_fixtures import Start
from gateway_stand import PLACEHOLDER, SECRET, Client, Seen, Stand, Upstream, Wire, get, ok, paths, route

REFUSED = {
    "p01 two Host fields": b"GET / HTTP/1.1\r\nHost: api.test\r\nHost: evil.test\r\n\r\n",
    "p03 HTTP/1.0 with Transfer-Encoding": b"POST / HTTP/1.0\r\nHost: api.test\r\nTransfer-Encoding: chunked\r\n\r\n",
    "p04 endless head": b"GET / HTTP/1.1\r\nHost: api.test\r\nX: " + b"a" * 70000 + b"\r\n\r\n",
    "p04 too many fields": b"GET / HTTP/1.1\r\nHost: api.test\r\n" + b"X: a\r\n" * 300 + b"\r\n",
    "b29 length and chunked": b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc",
    "b29 two lengths": b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "b29 list of lengths": b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: 3, 3\r\n\r\nabc",
    "b29 signed length": b"POST / HTTP/1.1\r\nHost: api.test\r\nContent-Length: +3\r\n\r\nabc",
    "b29 other coding": b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: xchunked\r\n\r\n",
    "b29 two codings": b"POST / HTTP/1.1\r\nHost: api.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "b29 bare LF": b"GET / HTTP/1.1\r\nHost: api.test\nX: a\r\n\r\n",
    "b29 space before colon": b"GET / HTTP/1.1\r\nHost : api.test\r\n\r\n",
    "b29 folded line": b"GET / HTTP/1.1\r\nHost: api.test\r\nX: a\r\n b\r\n\r\n",
    "b29 NUL in a value": b"GET / HTTP/1.1\r\nHost: api.test\r\nX: a\0b\r\n\r\n",
    "b29 CR in a value": b"GET / HTTP/1.1\r\nHost: api.test\r\nX: a\rb\r\n\r\n",
    "b29 no Host": b"GET / HTTP/1.1\r\nX: a\r\n\r\n",
    "b28 prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "b32 encoded backslash": b"GET /a%5cb HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "d24 decodes twice": b"GET /a%252fb HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "fragment": b"GET /a#b HTTP/1.1\r\nHost: api.test\r\n\r\n",
    "asterisk": b"OPTIONS * HTTP/1.1\r\nHost: api.test\r\n\r\n",
}


def test_p01_p03_p04_b28_b29_d24_ambiguous_heads_never_reach_an_upstream(stand: Stand, upstream: Upstream) -> None:
    for name, head in REFUSED.items():
        client = stand.connect()
        client.send(head)
        reply = client.reply()
        assert reply.status in (400, 403, 431), name
        client.close()
    assert upstream.connections == 0
    assert len(stand.wait_record(len(REFUSED), "denied")) == len(REFUSED)


@pytest.mark.parametrize("size", [b"0x2", b"1_0", b"+2", b" 2", b"2 ", b"2;x=y", b"-2", b"000000002", b"", b"2\t"])
def test_p05_a_chunk_size_is_hexadecimal_digits_only(stand: Stand, upstream: Upstream, size: bytes) -> None:
    client = stand.connect()
    head = get("/", "api.test", "Transfer-Encoding: chunked", method="POST")
    client.send(head + size + b"\r\nab\r\n0\r\n\r\n")
    assert client.reply().status == 400
    assert upstream.seen == []
    assert stand.wait_record(1, "outcome")[0]["reason"] == "wire.chunk"


def test_p11_trailers_of_either_side_are_dropped(stand: Stand, upstream: Upstream) -> None:
    wanted = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n2\r\nok\r\n0\r\nX-T: "
    upstream.script = lambda wire, seen: wire.send(wanted + SECRET + b"\r\n\r\n")
    client = stand.connect()
    head = get("/", "api.test", "Transfer-Encoding: chunked", "TE: trailers", method="POST")
    client.send(head + b"2\r\nab\r\n0\r\nX-Smuggled: 1\r\n\r\n")
    reply = client.reply()
    assert reply.body == b"ok" and not reply.header("x-t") and not reply.header("trailer")
    seen = upstream.wait()
    assert seen.body == b"ab" and b"smuggled" not in seen.head.lower() and seen.header("te") == []


def test_p06_bytes_behind_the_connect_head_reach_tls(stand: Stand, upstream: Upstream) -> None:
    import ssl

    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = stand.context().wrap_bio(incoming, outgoing, server_hostname="api.test")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    client = stand.plain()
    client.send(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n" + outgoing.read())
    assert client.until(b"\r\n\r\n").startswith(b"HTTP/1.1 200")
    while True:
        try:
            incoming.write(bytes(client.buffer) or client.sock.recv(65536))
            client.buffer.clear()
            tls.do_handshake()
            break
        except ssl.SSLWantReadError:
            continue
    assert tls.version() == "TLSv1.3"
    assert upstream.connections == 0


def test_p07_a_body_that_ends_without_close_notify_is_no_whole_body(stand: Stand, upstream: Upstream) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n"

    def cut(wire: Wire, _seen: Seen) -> None:
        wire.send(head + b"the first half")
        wire.sock.shutdown(socket.SHUT_RDWR)
        raise EOFError

    def whole(wire: Wire, _seen: Seen) -> None:
        wire.send(head + b"all of it")
        wire.sock.unwrap()
        raise EOFError

    upstream.script = cut
    client = stand.connect()
    client.send(get())
    with pytest.raises((EOFError, OSError)):
        client.reply()
    assert stand.wait_record(1, "outcome")[0]["reason"] == "upstream.cut"
    upstream.script = whole
    assert stand.connect().ask(get()).body == b"all of it"


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nab",
        b"HTTP/1.1 200 OK\nContent-Length: 2\r\n\r\nab",
        b"HTTP/1.1 2000 OK\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\0\r\n\r\n",
    ],
)
def test_b29_d24_an_ambiguous_answer_is_a_502(stand: Stand, upstream: Upstream, reply: bytes) -> None:
    upstream.script = lambda wire, seen: wire.send(reply)
    assert stand.connect().ask(get()).status == 502


@pytest.mark.parametrize("size", [b"0x2", b"2;x", b"+2", b" 2"])
def test_p05_an_upstreams_chunk_sizes_are_as_strict(stand: Stand, upstream: Upstream, size: bytes) -> None:
    upstream.script = lambda wire, seen: wire.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + size + b"\r\nab\r\n0\r\n\r\n"
    )
    assert stand.connect().ask(get()).status == 502


def test_p12_an_upload_that_was_answered_early_is_not_pooled(stand: Stand, upstream: Upstream) -> None:
    answered = threading.Event()

    def early(wire: Wire) -> None:
        wire.until(b"\r\n\r\n")
        wire.send(ok(b"early"))
        answered.set()
        wire.rest()

    upstream.raw = early
    client = stand.connect()
    client.send(get("/", "api.test", "Content-Length: 1000000", method="POST") + b"x" * 10)
    reply = client.reply()
    assert (reply.body, reply.header("connection")) == (b"early", ["close"])
    upstream.raw = None
    assert stand.connect().ask(get()).status == 200
    assert upstream.connections == 2


def test_p13_bytes_on_an_idle_pooled_connection_answer_nothing(stand: Stand, upstream: Upstream) -> None:
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
    upstream.script = lambda wire, seen: wire.send(ok(b"good") + (poison if len(upstream.seen) == 1 else b""))
    client = stand.connect()
    assert client.ask(get()).body == b"good"
    assert client.ask(get()).body == b"good"
    assert upstream.connections == 2


def test_p10_b42_connection_strips_neither_our_credential_nor_host(stand: Stand, upstream: Upstream) -> None:
    fields = ("Connection: Authorization, Host, Content-Length, X-Gone", "X-Gone: 1", "Content-Length: 2")
    assert stand.connect().ask(get("/", "api.test", *fields, method="POST") + b"ab").status == 200
    seen = upstream.wait()
    assert seen.header("authorization") == [f"Bearer {SECRET.decode()}"]
    assert (seen.header("host"), seen.body, seen.header("x-gone")) == (["api.test"], b"ab", [])
    assert seen.header("connection") == []


OVERRIDES = (
    "X-HTTP-Method-Override: DELETE",
    "X_HTTP_Method_Override: DELETE",
    "X-Original-URL: /admin",
    "X-Rewrite-URL: /admin",
    "X-Forwarded-Host: evil.test",
    "X-Forwarded-For: 127.0.0.1",
    "Forwarded: host=evil.test",
)


def test_d24_override_and_forwarding_fields_are_removed(start: Start, upstream: Upstream) -> None:
    guarded = start(routes=(route(upstream),))
    assert guarded.connect().ask(get("/", "api.test", *OVERRIDES)).status == 200
    head = upstream.wait().head.lower()
    assert b"override" not in head and b"admin" not in head and b"forwarded" not in head
    weak = start(
        routes=(route(upstream),), weaken="import bot_bottle.egress.prepare as p\np._is_override = lambda name: False"
    )
    weak.connect().ask(get("/", "api.test", *OVERRIDES))
    assert b"admin" in upstream.wait().head


@pytest.mark.parametrize(
    ("sent", "status"),
    [("/v1/a", 200), ("/v1/%61", 200), ("/v1/../admin", 403), ("/v1/%2e%2e/admin", 403), ("//admin", 403),
     ("/v1/..%2fadmin", 400), ("/v1/.%2e/admin", 403), ("/V1/a", 403), ("/v1/a/../../admin", 403)],
)  # fmt: skip
def test_b32_path_tricks_do_not_beat_a_path_rule(start: Start, upstream: Upstream, sent: str, status: int) -> None:
    stand = start(routes=(route(upstream, matches=paths("/v1/")),))
    assert stand.connect().ask(get(sent)).status == status
    assert all(seen.line == "GET /v1/a HTTP/1.1" for seen in upstream.seen)


def test_b30_absolute_form_passes_the_same_checks(start: Start, plain_upstream: Upstream) -> None:
    plain = route(plain_upstream, scheme="http", ports=(80,), auth=None, matches=paths("/v1/"))
    stand = start(routes=(plain,))
    client = stand.plain()
    assert client.ask(get("http://api.test/admin")).status == 403
    assert client.ask(get("http://api.test/v1/x", method="DELETE")).status == 403
    assert client.ask(get("http://api.test/v1/x")).status == 200
    assert [seen.line for seen in plain_upstream.seen] == ["GET /v1/x HTTP/1.1"]


def test_b31_every_request_of_a_kept_connection_is_judged(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream, matches=paths("/v1/")),))
    client = stand.connect()
    assert [client.ask(get(path)).status for path in ("/v1/a", "/admin", "/v1/b")] == [200, 403, 200]
    assert [seen.line.split()[1] for seen in upstream.seen] == ["/v1/a", "/v1/b"]


def test_b28_an_offered_h2c_upgrade_is_not_taken(start: Start, plain_upstream: Upstream) -> None:
    stand = start(routes=(route(plain_upstream, scheme="http", ports=(80,), auth=None),))
    fields = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA")
    assert stand.plain().ask(get("http://api.test/", "api.test", *fields)).status == 200
    head = plain_upstream.wait().head.lower()
    assert b"upgrade" not in head and b"h2c" not in head and b"http2" not in head


def test_b28_tls_offers_http1_only(stand: Stand) -> None:
    client = stand.plain()
    client.ask(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n", "HEAD")
    context = stand.context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    secure = context.wrap_socket(client.sock, server_hostname="api.test")
    assert secure.selected_alpn_protocol() == "http/1.1"
    secure.close()


def test_d12_the_request_asks_for_a_readable_answer(start: Start, upstream: Upstream) -> None:
    fields = ("Accept-Encoding: gzip, br", "Range: bytes=0-3", "If-Range: x", "TE: gzip", "A-IM: gzip")
    start(routes=(route(upstream),)).connect().ask(get("/", "api.test", *fields))
    seen = upstream.wait()
    assert seen.header("accept-encoding") == ["identity"]
    assert not any(seen.header(name) for name in ("range", "if-range", "te", "a-im"))
    start(routes=(route(upstream, auth=None),), secrets={}).connect().ask(get("/", "api.test", *fields))
    seen = upstream.wait()
    assert (seen.header("accept-encoding"), seen.header("range")) == (["gzip, br"], ["bytes=0-3"])


def test_b34_d12_a_gzip_answer_is_undone_and_scrubbed(stand: Stand, upstream: Upstream) -> None:
    packed = gzip.compress(b"x" * 30000 + SECRET + b"y" * 30000)
    upstream.script = lambda wire, seen: wire.send(ok(packed, b"Content-Encoding: gzip", b"Content-Type: text/plain"))
    reply = stand.connect().ask(get())
    assert reply.body == b"x" * 30000 + PLACEHOLDER.encode() + b"y" * 30000
    assert reply.header("content-encoding") == []
    assert stand.wait_record(1, "outcome")[0]["findings"] == ["reply.secret:example"]


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"compress"])
def test_b34_d12_another_coding_is_refused(stand: Stand, upstream: Upstream, coding: bytes) -> None:
    upstream.script = lambda wire, seen: wire.send(ok(b"\x01\x02", b"Content-Encoding: " + coding))
    assert stand.connect().ask(get()).status == 502


def test_d12_an_unrequested_part_is_refused(stand: Stand, upstream: Upstream) -> None:
    part = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-1/9\r\nContent-Length: 2\r\n\r\nab"
    upstream.script = lambda wire, seen: wire.send(part)
    assert stand.connect().ask(get()).status == 502


def test_d12_s12_a_gzip_bomb_takes_bounded_memory(stand: Stand, upstream: Upstream) -> None:
    size = 30 * 1024 * 1024
    packed = gzip.compress(bytes(size), 9)
    upstream.script = lambda wire, seen: wire.send(ok(packed, b"Content-Encoding: gzip"))
    assert stand.connect().ask(get()).body.count(0) == size
    with open(f"/proc/{stand.process.pid}/status") as status:
        peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak < 180_000


KEY = base64.b64encode(bytes(16)).decode()
HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
ACCEPT = base64.b64encode(hashlib.sha1(KEY.encode() + GUID).digest())
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "


def masked(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    mask = os.urandom(4)
    body = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    size = bytes((128 | len(payload),)) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return bytes((opcode | (128 if fin else 0),)) + size + mask + body


def unmasked(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    size = bytes((len(payload),)) if len(payload) < 126 else b"\x7e" + len(payload).to_bytes(2)
    return bytes((opcode | (128 if fin else 0),)) + size + payload


def open_socket(stand: Stand, upstream: Upstream, server: bytes = b"") -> tuple[Client, list[bytes]]:
    """A WebSocket through the gateway; what the server reads behind its 101 is collected."""
    got: list[bytes] = []

    def serve(wire: Wire) -> None:
        head = wire.until(b"\r\n\r\n")
        got.append(head)
        wire.send(SWITCH + ACCEPT + b"\r\n\r\n" + server)
        while data := wire.sock.recv(65536):
            got.append(data)

    upstream.raw = serve
    client = stand.connect()
    reply = client.ask(get("/", "api.test", *HANDSHAKE, "Sec-WebSocket-Extensions: permessage-deflate"))
    assert reply.status == 101, reply
    return client, got


def test_b33_a_websocket_needs_its_route(stand: Stand, upstream: Upstream) -> None:
    reply = stand.connect().ask(get("/", "api.test", *HANDSHAKE))
    assert (reply.status, reply.header("upgrade")) == (426, ["HTTP/1.1"])
    assert upstream.connections == 0


def test_b33_d24_frames_of_a_websocket_are_scrubbed_and_watched(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream, protocols=("http1", "websocket")),))
    half = len(SECRET) // 2
    server = unmasked(1, b"a" + SECRET[:half], fin=False) + unmasked(9, b"ping") + unmasked(0, SECRET[half:] + b"b")
    client, got = open_socket(stand, upstream, server)
    assert b"extensions" not in got[0].lower()
    assert f"Bearer {SECRET.decode()}".encode() in got[0]
    text, final = b"", False
    while not final:
        first, size = client.exactly(2)
        payload = client.exactly(size)
        if first & 15 == 9:
            assert payload == b"ping"
            continue
        text += payload
        final = bool(first & 128)
    assert text == b"a" + PLACEHOLDER.encode() + b"b"
    client.send(masked(1, b"hello"))
    client.send(masked(1, b"x" + SECRET[:20], fin=False) + masked(0, SECRET[20:]))
    assert client.rest() == b""
    outcome = stand.wait_record(1, "outcome")[0]
    assert (outcome["reason"], outcome["status"]) == ("custody.secret-sent", 101)


@pytest.mark.parametrize(
    "bad", [unmasked(1, b"plain"), b"\xc1\x81\0\0\0\0a", b"\x83\x80\0\0\0\0", b"GET / HTTP/1.1\r\n"]
)
def test_d24_a_fake_websocket_is_no_raw_pipe(start: Start, upstream: Upstream, bad: bytes) -> None:
    stand = start(routes=(route(upstream, protocols=("websocket",)),))
    client, got = open_socket(stand, upstream)
    client.send(bad)
    assert client.rest() == b""
    assert len(got) == 1


@pytest.mark.parametrize(
    "answer", [SWITCH + b"AAAA\r\n\r\n", SWITCH + ACCEPT + b"\r\nSec-WebSocket-Extensions: x\r\n\r\n"]
)
def test_d24_a_tunnel_opens_only_behind_a_proven_101(start: Start, upstream: Upstream, answer: bytes) -> None:
    stand = start(routes=(route(upstream, protocols=("websocket",)),))
    upstream.script = lambda wire, seen: wire.send(answer)
    reply = stand.connect().ask(get("/", "api.test", *HANDSHAKE))
    assert (reply.status, reply.json["reason"]) == (502, "reply.switch")


def test_expect_continue_is_decided_before_the_body(stand: Stand, upstream: Upstream) -> None:
    def script(wire: Wire, seen: Seen) -> None:
        wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert wire.exactly(3) == b"abc"
        wire.send(ok(b"got it"))

    upstream.script = script
    client = stand.connect()
    reply = client.ask(get("/", "api.test", "Content-Length: 3", "Expect: 100-continue", method="POST"))
    assert reply.status == 100
    assert client.ask(b"abc").body == b"got it"
    denied = stand.connect("evil.test")
    head = get("/", "evil.test", "Content-Length: 3", "Expect: 100-continue", method="POST")
    assert denied.ask(head).status == 403


def test_sse_events_pass_one_by_one(stand: Stand, upstream: Upstream) -> None:
    go = threading.Event()

    def script(wire: Wire, seen: Seen) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(b"b\r\ndata: one\n\n\r\n")
        go.wait(10)
        wire.send(b"b\r\ndata: two\n\n\r\n0\r\n\r\n")

    upstream.script = script
    client = stand.connect()
    client.send(get())
    assert b"data: one\n\n" in client.until(b"one\n\n")
    go.set()
    assert client.until(b"0\r\n\r\n").endswith(b"data: two\n\n\r\n0\r\n\r\n")


def test_b29_s12_a_broken_body_behind_a_denied_head_stops_nothing(stand: Stand) -> None:
    client = stand.connect("evil.test")
    head = get("/", "evil.test", "Transfer-Encoding: chunked", method="POST")
    assert client.ask(head + b"zz\r\nabc" + get("/", "evil.test")).status == 403
    assert stand.connect().ask(get()).status == 200
