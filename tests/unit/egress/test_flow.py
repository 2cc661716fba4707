"""The one path, end to end through a real process."""

from gateway_stand import PLACEHOLDER, SECRET, Seen, Stand, Upstream, Wire, get, ok


def test_an_allowed_request_carries_the_real_secret_and_two_records(stand: Stand, upstream: Upstream) -> None:
    client = stand.connect()
    reply = client.ask(get("/v1/x?q=1", "api.test", f"Authorization: Bearer {PLACEHOLDER}"))
    assert (reply.status, reply.body) == (200, b"ok")
    seen = upstream.wait()
    assert seen.line == "GET /v1/x?q=1 HTTP/1.1"
    assert seen.header("authorization") == [f"Bearer {SECRET.decode()}"]
    assert seen.header("accept-encoding") == ["identity"]
    intent, pinned, outcome = stand.wait_record(3)
    assert [intent["kind"], pinned["kind"], outcome["kind"]] == ["intent", "pinned", "outcome"]
    assert intent["rule"] == "dev/api.test" and intent["secrets"] == ["example"]
    assert outcome["status"] == 200 and outcome["down"] == 2
    assert SECRET not in stand.log.read_bytes()


def test_a_denied_host_gets_403_inside_tls(stand: Stand, upstream: Upstream) -> None:
    client = stand.connect("evil.test")
    reply = client.ask(get("/", "evil.test"))
    assert reply.status == 403
    assert reply.json["reason"] == "policy.host-not-allowed"
    assert upstream.connections == 0
    (denied,) = stand.wait_record(1)
    assert denied["kind"] == "denied"


def test_an_echoed_secret_comes_back_as_the_placeholder(stand: Stand, upstream: Upstream) -> None:
    def echo(wire: Wire, seen: Seen) -> None:
        wire.send(ok(seen.head))

    upstream.script = echo
    reply = stand.connect().ask(get())
    assert SECRET not in reply.body
    assert PLACEHOLDER.encode() in reply.body


def test_a_kept_connection_serves_many_requests_over_one_upstream_connection(
    stand: Stand, upstream: Upstream
) -> None:
    client = stand.connect()
    for _ in range(5):
        assert client.ask(get()).status == 200
    assert upstream.connections == 1


def test_pipelined_requests_are_answered_in_order(stand: Stand, upstream: Upstream) -> None:
    upstream.script = lambda wire, seen: wire.send(ok(seen.line.encode()))
    client = stand.connect()
    client.send(get("/a") + get("/b") + get("/c"))
    assert [client.reply().body.split()[1] for _ in range(3)] == [b"/a", b"/b", b"/c"]


def test_an_upload_with_a_length_and_a_chunked_one_arrive_whole(stand: Stand, upstream: Upstream) -> None:
    body = bytes(range(256)) * 4096
    client = stand.connect()
    head = get("/v1/x", "api.test", f"Content-Length: {len(body)}", method="POST")
    assert client.ask(head + body).status == 200
    assert upstream.wait().body == body
    head = get("/v1/x", "api.test", "Transfer-Encoding: chunked", method="POST")
    assert client.ask(head + b"%x\r\n%b\r\n0\r\nX-T: 1\r\n\r\n" % (len(body), body)).status == 200
    assert upstream.wait().body == body
