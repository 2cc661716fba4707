"""Held requests and grants in a real gateway (D25, D09, B74, B43): what a yes opens, and what it never does.

Controls: the same attack against a gateway with that one defence taken away (`weaken`) gets through.
"""

import hashlib
import os

from bot_bottle.policy.effective import Route
from gateway_fixtures import Start
from gateway_stand import SECRET, Upstream, get, route


def asking(upstream: Upstream, **changes: object) -> Route:
    return route(upstream, action="ask", **changes)


def post(body: bytes, path: str = "/v1/x", *fields: str) -> bytes:
    return get(path, "api.test", f"Content-Length: {len(body)}", *fields, method="POST") + body


def test_d25_exactly_the_asked_bytes_leave_after_the_yes(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    body = os.urandom(300_000)
    client = stand.connect()
    client.send(post(body, "/v1/x?q=1"))
    asked = stand.opened(stand.asked())
    assert upstream.connections == 0 and stand.records() == []
    want = asked.wanted
    assert (want.method, want.path, want.query, want.body_bytes) == ("POST", "/v1/x", "q=1", 300_000)
    assert want.body_digest == hashlib.sha256(body).hexdigest()
    assert want.secrets == ("example",)
    stand.settle(asked, grant="")
    assert client.reply().status == 200
    seen = upstream.wait()
    assert seen.body == body
    assert seen.header("authorization") == [f"Bearer {SECRET.decode()}"]
    intent, _, outcome = stand.wait_record(3)
    assert (intent["kind"], intent["ask"], intent["approver"]) == ("intent", "ask-1", "os:0:root")
    assert intent["body_digest"] == want.body_digest and intent["request"] == asked.number
    assert outcome["up"] == 300_000 and outcome["status"] == 200
    counters = stand.status()
    assert (counters.asked, counters.held, counters.allowed) == (1, 0, 1)


def test_d25_a_no_is_a_403_with_the_ask_and_one_record(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    client = stand.connect()
    client.send(post(b"x" * 10))
    asked = stand.opened(stand.asked())
    stand.settle(asked, allow=False, slug="ask.denied", what="A person said no.")
    reply = client.reply()
    assert (reply.status, reply.json["reason"], reply.json["ask"]) == (403, "ask.denied", "ask-1")
    assert "retry" not in reply.json
    (denied,) = stand.wait_record(1)
    assert (denied["kind"], denied["ask"], denied["reason"]) == ("denied", "ask-1", "ask.denied")
    assert upstream.connections == 0
