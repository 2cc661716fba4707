"""Held requests end to end: what kinds there are, how they wait, what a person is shown."""

from bot_bottle.egress import messages as m
from bot_bottle.policy.effective import Route
from gateway_fixtures import Start
from gateway_stand import PLACEHOLDER, SECRET, Client, Stand, Upstream, get, ok, route


def asking(upstream: Upstream, **changes: object) -> Route:
    return route(upstream, action="ask", **changes)


def post(body: bytes, path: str = "/v1/x", *fields: str) -> bytes:
    return get(path, "api.test", f"Content-Length: {len(body)}", *fields, method="POST") + body


def held(stand: Stand, request: bytes, client: Client | None = None) -> tuple[Client, m.Asked]:
    """A request that waits for its answer."""
    client = client or stand.connect()
    client.send(request)
    return client, stand.opened(stand.asked())


def test_expect_is_met_by_the_gateway_and_the_body_comes(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    client = stand.connect()
    client.send(get("/v1/x", "api.test", "Content-Length: 3", "Expect: 100-continue", method="POST"))
    assert client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert stand.quiet() == []
    client.send(b"abc")
    stand.settle(stand.opened(stand.asked()))
    assert client.reply().status == 200
    seen = upstream.wait()
    assert seen.body == b"abc" and seen.header("expect") == []


def test_pipelined_requests_wait_behind_a_held_one(start: Start, upstream: Upstream) -> None:
    upstream.script = lambda wire, seen: wire.send(ok(seen.line.encode()))
    stand = start(routes=(asking(upstream),))
    client = stand.connect()
    client.send(get("/a") + get("/b") + get("/c"))
    for path in ("/a", "/b", "/c"):
        asked = stand.opened(stand.asked())
        assert asked.wanted.path == path and stand.quiet() == []
        stand.settle(asked)
        assert path.encode() in client.reply().body


def test_http_1_0_and_head_are_held_like_others(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    client, asked = held(stand, b"GET /old HTTP/1.0\r\nHost: api.test\r\n\r\n")
    stand.settle(asked)
    assert client.rest().endswith(b"ok")
    client, asked = held(stand, get(method="HEAD"))
    stand.settle(asked, allow=False)
    assert client.reply("HEAD").status == 403
    _, asked = held(stand, get("/next"), client)
    assert asked.wanted.path == "/next"


def test_what_is_held_is_shown_with_placeholders(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    client, asked = held(stand, post(b"z" * 100_000, "/v1/x", "Cookie: a=1", f"X-Key: {PLACEHOLDER}"))
    shown = stand.tell(m.ShowHeld(asked.number, 70_000), m.HeldBytes)
    assert isinstance(shown, m.HeldBytes)
    assert (shown.body, shown.size) == (b"z" * 70_000, 100_000)
    assert f"authorization: Bearer {PLACEHOLDER}".encode() in shown.head and SECRET not in shown.head
    assert shown.head.startswith(b"POST /v1/x HTTP/1.1\r\nHost: api.test\r\n")
    stand.settle(asked)
    assert client.reply().status == 200
    gone = stand.tell(m.ShowHeld(asked.number), m.HeldBytes)
    assert isinstance(gone, m.HeldBytes) and (gone.head, gone.size) == (b"", 0)
