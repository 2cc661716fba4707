"""Secrets on the wire (B36, B38, B40-B43, B45, B46, B48, D02, D11, D12): ours goes where its route says, and nowhere else."""

import base64
import json

import pytest

from bot_bottle.egress import messages as m
from bot_bottle.policy.verdict import Auth
from gateway_fixtures import Start
from gateway_stand import PLACEHOLDER, SECRET, Seen, Stand, Upstream, Wire, get, ok, paths, route

OTHER = b"other-real-9876543210zyxwvutsrqponmlkjihgfedcba"


def credential_lines(seen: Seen) -> str:
    return seen.head.decode("latin-1")


def test_b36_d11_the_agents_own_credentials_do_not_leave(stand: Stand, upstream: Upstream) -> None:
    fields = (
        "Authorization: Bearer attackers-own-key",
        "X-Api-Key: attackers-own-key",
        "x_api_key: attackers-own-key",
        "Cookie: session=attackers-own-key",
        "Proxy-Authorization: Basic attackers-own-key",
    )
    assert stand.connect().ask(get("/v1/x?api_key=attackers-own-key&q=1", "api.test", *fields)).status == 200
    seen = upstream.wait()
    assert "attackers-own-key" not in credential_lines(seen)
    assert seen.header("authorization") == [f"Bearer {SECRET.decode()}"]
    assert seen.line == "GET /v1/x?q=1 HTTP/1.1"


def test_d11_without_auth_only_a_route_that_says_so_passes_credentials(start: Start, upstream: Upstream) -> None:
    field = "Authorization: Bearer agents-own"
    start(routes=(route(upstream, auth=None),)).connect().ask(get("/", "api.test", field))
    assert upstream.wait().header("authorization") == []
    start(routes=(route(upstream, auth=None, agent_credentials=True),)).connect().ask(get("/", "api.test", field))
    assert upstream.wait().header("authorization") == ["Bearer agents-own"]


FORMS = {
    "plain": SECRET,
    "base64": base64.b64encode(b"user:" + SECRET),
    "hex": SECRET.hex().encode(),
    "percent": b"".join(b"%%%02X" % byte for byte in SECRET),
    "json": json.dumps({"key": SECRET.decode()}).encode(),
}


@pytest.mark.parametrize("form", FORMS)
def test_b38_d12_an_echo_in_any_form_shows_the_placeholder(stand: Stand, upstream: Upstream, form: str) -> None:
    upstream.script = lambda wire, seen: wire.send(ok(b"<" + FORMS[form] + b">", b"X-Echo: " + FORMS[form]))
    reply = stand.connect().ask(get())
    assert FORMS[form] not in reply.head + reply.body
    assert stand.wait_record(1, "outcome")[0]["findings"] == ["reply.secret:example"]


def test_b38_without_the_scrubber_the_echo_leaks(start: Start, upstream: Upstream) -> None:
    upstream.script = lambda wire, seen: wire.send(ok(seen.head))
    weak = start(routes=(route(upstream),), weaken="import bot_bottle.egress.rules as r\nr._needles = lambda s: []")
    assert SECRET in weak.connect().ask(get()).body


@pytest.mark.parametrize("step", [1, 7, 23, 16384])
def test_b38_d12_an_echo_in_pieces_shows_the_placeholder(stand: Stand, upstream: Upstream, step: int) -> None:
    whole = b"a" * 50 + SECRET + b"b" * 50

    def script(wire: Wire, _seen: Seen) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(whole), step):
            piece = whole[at : at + step]
            wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        wire.send(b"0\r\n\r\n")

    upstream.script = script
    assert stand.connect().ask(get()).body == b"a" * 50 + PLACEHOLDER.encode() + b"b" * 50


def test_d12_a_secret_comes_back_on_a_route_that_never_carried_it(start: Start, upstream: Upstream) -> None:
    stand = start(
        routes=(route(upstream, auth=None),),
        secrets={"example": SECRET, "other": OTHER},
        placeholders={"example": PLACEHOLDER, "other": "other-PLACEHOLDER"},
    )
    upstream.script = lambda wire, seen: wire.send(ok(OTHER))
    assert stand.connect().ask(get()).body == b"other-PLACEHOLDER"


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream"])
def test_b38_a_long_answer_with_a_promised_length_is_scrubbed(stand: Stand, upstream: Upstream, kind: str) -> None:
    body = b"x" * 40000 + SECRET + b"y" * 40000
    upstream.script = lambda wire, seen: wire.send(ok(body, b"Content-Type: " + kind.encode()))
    reply = stand.connect().ask(get())
    assert SECRET not in reply.body
    assert reply.body.replace(PLACEHOLDER.encode(), b"") == b"x" * 40000 + b"y" * 40000


def test_b40_an_agent_cannot_choose_where_the_secret_goes(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream, auth=Auth("header", "example", "x-api-key")),))
    reply = stand.connect().ask(get(f"/v1/{PLACEHOLDER}?k={PLACEHOLDER}", "api.test", f"X-Other: {PLACEHOLDER}"))
    assert reply.status == 200
    seen = upstream.wait()
    assert seen.head.count(SECRET) == 1
    assert seen.header("x-api-key") == [SECRET.decode()]


@pytest.mark.parametrize(
    "request_head",
    [
        get("/v1/" + SECRET.decode()),
        get("/v1/x?q=" + SECRET.decode()),
        get("/v1/x", "api.test", "Authorization: Bearer " + SECRET.decode()),
        get("/v1/x", "api.test", "X-Data: " + base64.b64encode(SECRET).decode()),
    ],
)
def test_b43_b48_a_real_secret_in_a_head_is_refused_and_not_recorded(
    stand: Stand, upstream: Upstream, request_head: bytes
) -> None:
    reply = stand.connect().ask(request_head)
    assert (reply.status, reply.json["reason"]) == (403, "custody.secret-sent")
    assert upstream.connections == 0
    (record,) = stand.wait_record(1, "denied")
    assert "custody.secret-sent" in record["findings"]
    assert SECRET not in stand.log.read_bytes() and base64.b64encode(SECRET) not in stand.log.read_bytes()


def test_b48_a_secret_sent_to_a_denied_host_is_not_recorded_either(stand: Stand) -> None:
    stand.connect("evil.test").ask(get("/" + SECRET.decode(), "evil.test"))
    stand.wait_record(1, "denied")
    assert SECRET not in stand.log.read_bytes()


def _upload(stand: Stand, body: bytes, step: int, chunked: bool) -> int:
    client = stand.connect()
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {len(body)}"
    client.send(get("/", "api.test", framing, method="POST"))
    try:
        for at in range(0, len(body), step):
            piece = body[at : at + step]
            client.send(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        client.send(b"0\r\n\r\n" if chunked else b"")
        return client.reply().status
    except OSError:
        return 0


@pytest.mark.parametrize(("step", "chunked"), [(5, True), (40000, True), (5, False), (40000, False)])
def test_b43_a_real_secret_in_a_streamed_body_is_cut(
    start: Start, upstream: Upstream, step: int, chunked: bool
) -> None:
    stand = start(routes=(route(upstream),))
    body = b"a" * 200 + SECRET + b"b" * 200
    assert _upload(stand, body, step, chunked) == 403
    assert all(SECRET not in seen.body for seen in upstream.seen)
    assert stand.wait_record(1, "outcome")[0]["reason"] == "custody.secret-sent"


def test_b43_without_inspection_the_body_leaks(start: Start, upstream: Upstream) -> None:
    weak = start(routes=(route(upstream),), weaken="import bot_bottle.egress.rules as r\nr._needles = lambda s: []")
    assert _upload(weak, SECRET, 100, False) == 200
    assert upstream.wait().body == SECRET


def test_d02_the_third_real_secret_freezes_the_bottle(stand: Stand) -> None:
    for _ in range(2):
        assert stand.connect().ask(get("/" + SECRET.decode())).status == 403
    client = stand.connect()
    client.send(get("/" + SECRET.decode()))
    frozen = stand.messages.get(timeout=10)
    assert isinstance(frozen, m.Frozen)
    assert stand.status().frozen == frozen.reason
    stand.tell(m.Thaw())
    assert client.reply().status == 403


def test_b46_a_secret_never_leaves_over_cleartext(start: Start, plain_upstream: Upstream) -> None:
    stand = start(routes=(route(plain_upstream, scheme="http", ports=(80,)),))
    reply = stand.plain().ask(get("http://api.test/"))
    assert (reply.status, reply.json["reason"]) == (403, "custody.cleartext")
    assert plain_upstream.connections == 0


def test_b41_an_unset_secret_blocks_with_the_reason(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), secrets={}, placeholders={"example": PLACEHOLDER})
    reply = stand.connect().ask(get("/", "api.test", f"Authorization: Bearer {PLACEHOLDER}"))
    assert (reply.status, reply.json["reason"]) == (403, "custody.unset")
    assert upstream.connections == 0


def test_b41_a_wrong_certificate_gets_no_secret(start: Start, upstream: Upstream) -> None:
    other = route(upstream, host="other.test")
    stand = start(routes=(other,))
    reply = stand.connect("other.test").ask(get("/", "other.test"))
    assert (reply.status, reply.json["reason"]) == (502, "upstream.certificate")
    assert "other.test" in str(reply.json["detail"])
    assert upstream.seen == []
    untrusted = start(routes=(route(upstream),), trust="")
    assert untrusted.connect().ask(get()).json["reason"] == "upstream.certificate"
    assert upstream.seen == []


def test_pool_never_crosses_secrets_or_routes(start: Start, upstream: Upstream) -> None:
    first = route(upstream, rule="dev/a", matches=paths("/a"))
    second = route(upstream, rule="dev/b", matches=paths("/b"), auth=Auth("bearer", "other"))
    stand = start(
        routes=(first, second),
        secrets={"example": SECRET, "other": OTHER},
        placeholders={"example": PLACEHOLDER, "other": "other-PLACEHOLDER"},
    )
    client = stand.connect()
    for path in ("/a", "/b", "/a", "/b"):
        assert client.ask(get(path)).status == 200
    by_connection = {seen.connection: seen.header("authorization")[0] for seen in upstream.seen}
    assert len(by_connection) == 2
    assert all(by_connection[seen.connection] == seen.header("authorization")[0] for seen in upstream.seen)


def test_b45_a_host_that_no_route_names_is_no_relay(stand: Stand, upstream: Upstream) -> None:
    reply = stand.connect("relay.test").ask(get(f"/?to=127.0.0.1:{upstream.port}", "relay.test"))
    assert reply.status == 403
    assert upstream.connections == 0


def test_new_secrets_replace_the_old_at_once(stand: Stand, upstream: Upstream) -> None:
    client = stand.connect()
    client.ask(get())
    stand.keeper.send(m.Secrets({"example": OTHER}, {"example": "other-PLACEHOLDER"}))
    stand.status()
    client.ask(get())
    assert [seen.header("authorization")[0].split()[1].encode() for seen in upstream.seen] == [SECRET, OTHER]
    assert upstream.connections == 2


@pytest.mark.parametrize("level", ["off", "blocks", "full"])
def test_b48_levels_of_the_log_keep_decisions_and_no_secret(start: Start, upstream: Upstream, level: str) -> None:
    stand = start(routes=(route(upstream),), level=level)
    upstream.script = lambda wire, seen: wire.send(ok(b"<" + SECRET + b">"))
    body = b"what was asked"
    head = get("/v1/x", "api.test", f"Content-Length: {len(body)}", "X-Kind: a", method="POST")
    stand.connect().ask(head + body)
    intent, *_ = stand.wait_record(1, "outcome") and stand.records("intent")
    assert intent["verdict"] == "allow" and ("headers" in intent) == (level != "off")
    bodies = {record["reason"]: record["detail"]["body"] for record in stand.records("body")}
    expected = {"request-body": body.decode(), "reply-body": f"<{PLACEHOLDER}>"} if level == "full" else {}
    assert bodies == expected
    assert SECRET not in stand.log.read_bytes()
