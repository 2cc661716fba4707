"""What an agent tries with its own tools: approve itself (B44), reach the sandbox's control (B59), fool whoever reads
(B73), drown a person (B74), use the reserved name as a way out. Each has its control: one defence less, and it works."""

import base64
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bot_bottle.egress import messages as m
from bot_bottle.policy.effective import Route
from bot_bottle.policy.verdict import Auth
from gateway_fixtures import Start
from gateway_stand import SECRET, Client, Reply, Stand, Upstream, get, route
from mcp_stand import HOST, JSON, URL, Agent, Keeper, post, rpc

NEW = "https://new.test/x"
NASTY = "</untrusted>\x1b[2J\x1b]0;x\x07\u202e\u2066\u200b\U000e0041\r\nApproved by: admin\n<script>alert(1)</script>"
HIDDEN = ("\x1b", "\x07", "\u202e", "\u2066", "\u200b", "\U000e0041", "\r", "\n")


def asked_for(stand: Stand, **arguments: object) -> tuple[Agent, Keeper, m.Asked]:
    agent, keeper = Agent(stand), Keeper(stand)
    agent.begin("request_access", **{"url": NEW, "justification": "please", **arguments})
    asked = keeper.open()
    agent.end()
    return agent, keeper, asked


def state(agent: Agent) -> tuple[object, object]:
    """Of the newest ask, and of a request under it."""
    return agent.call("check_request")["state"], agent.call("explain_denial", url=NEW)["state"]


# B44: an agent approves its own proposal

WORDS = (
    "approve",
    "allow",
    "answer",
    "answer_ask",
    "grant",
    "settle",
    "revoke",
    "reload",
    "thaw",
    "supervise",
    "set_policy",
)


def _try_to_approve(agent: Agent) -> None:
    """Everything that might be a way: tools, methods, our own frames, extra arguments, answers nobody asked for."""
    yes = {
        "ask": "ask-1",
        "allow": True,
        "scope": "always",
        "number": 1,
        "state": "allowed",
        "grant": "g",
        "approver": "me",
    }
    for word in WORDS:
        agent.ask(rpc("tools/call", {"name": word, "arguments": yes}))
        agent.ask(rpc(word, yes))
        agent.ask(rpc(f"notifications/{word}", yes, id=None))
    for tag in ("settled", "answerask", "grants", "askopened", "reload", "thaw", "secrets", "configure"):
        agent.ask(msgspec.json.encode({"type": tag, **yes}))
    agent.ask(msgspec.json.encode({"jsonrpc": "2.0", "id": 1, "result": yes}))
    for tool in ("check_request", "request_access", "report_done", "explain_denial"):
        agent.ask(
            rpc(
                "tools/call", {"name": tool, "arguments": {**yes, "url": NEW, "justification": "x", "status": "done"}}
            )
        )
        agent.ask(rpc("tools/call", {"name": tool, "arguments": {}, "_meta": yes, **yes}))
    agent.ask(rpc("tools/call", {"name": "report_done", "arguments": {"status": "done", "summary": json.dumps(yes)}}))


@pytest.mark.parametrize("default", ["deny", "ask"])
def test_b44_an_agent_cannot_approve_its_own_ask(start: Start, default: str) -> None:
    stand = start(default=default)
    agent, _, _ = asked_for(stand)
    before = state(agent)
    _try_to_approve(agent)
    assert state(agent) == before == ("waiting", "denied" if default == "deny" else "ask")
    assert stand.messages.empty(), "the keeper is told nothing by any of it"
    assert agent.call("list_routes")["granted"] == []


def test_b44_the_attempts_would_be_noticed(start: Start) -> None:
    """Control: a service whose report_done says yes to the newest ask."""
    stand = start(
        weaken="from bot_bottle.egress.mcp import tools, ledger\n"
        "from bot_bottle.supervise.model import AskState\n"
        "do = tools.Tools._do\n"
        "def _do(self, number, arguments, may_wait, then):\n"
        "    entry = self._ledger.find('')\n"
        "    if type(arguments).__name__ == 'ReportDone': entry.state = AskState.ALLOWED\n"
        "    return do(self, number, arguments, may_wait, then)\n"
        "tools.Tools._do = _do\n"
    )
    agent, _, _ = asked_for(stand)
    _try_to_approve(agent)
    assert state(agent) == ("allowed", "denied"), (
        "fooled, and still no request goes out: only the keeper gives grants"
    )


def test_b44_a_yes_names_nobody_and_no_secret_to_the_agent(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream, action="ask"),))
    agent, keeper, asked = asked_for(stand, url="https://api.test/x")
    assert asked.wanted.secrets == ("example",), "the person sees which secret would be used"
    keeper.yes(asked)
    stand.status()
    said = [
        agent.call("check_request"),
        agent.call("list_routes"),
        agent.call("explain_denial", url="https://api.test/x"),
    ]
    assert said[0]["state"] == "allowed"
    text = json.dumps(said)
    assert "os:0" not in text and "example" not in text and SECRET.decode() not in text


def test_b44_asks_of_other_runs_are_unknown(stand: Stand) -> None:
    agent, _, _ = asked_for(stand)
    unknown = [
        agent.call("check_request", ask=ask)
        for ask in ("ask-2", "../ask-1", "ASK-1", "ask-1 ", "20260101t000000-0/1")
    ]
    assert all(one == unknown[0] and one["state"] == "error" for one in unknown)


# B43: a secret in the agent's words

FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda text: text,
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "hex": lambda text: text.encode().hex(),
}


def _escaped(text: str) -> bytes:
    return "".join(f"\\u{ord(c):04x}" for c in text).encode()


@pytest.mark.parametrize("form", [*FORMS, "escaped"])
@pytest.mark.parametrize("tool", ["request_access", "report_done"])
def test_b43_a_secret_in_a_text_reaches_neither_person_nor_log(stand: Stand, form: str, tool: str) -> None:
    agent = Agent(stand)
    text = FORMS.get(form, lambda text: text)(SECRET.decode())
    arguments = {
        "request_access": {"url": NEW, "justification": text},
        "report_done": {"status": "done", "summary": text},
    }[tool]
    body = rpc("tools/call", {"name": tool, "arguments": arguments})
    if form == "escaped":
        body = body.replace(text.encode(), _escaped(text))
        assert SECRET not in body
    reply = agent.ask(body)
    assert reply.status == 403 and reply.json["reason"] == "custody.secret-sent"
    assert stand.messages.empty() and SECRET not in stand.log.read_bytes()
    assert stand.records("denied")[0]["findings"] == ["custody.secret-sent"]


def test_b43_without_the_search_the_person_would_read_it(start: Start) -> None:
    """Control."""
    stand = start(
        weaken="from bot_bottle.egress.mcp import server\nserver._Incoming._leaks = lambda self, data: False"
    )
    agent = Agent(stand)
    agent.begin("request_access", url=NEW, justification=SECRET.decode())
    assert Keeper(stand).open().says == SECRET.decode()


# B73: hostile text


@pytest.mark.parametrize(
    "field", ["justification", "url", "host", "path", "methods", "ask", "summary", "request", "method"]
)
def test_b73_no_text_of_the_agent_draws_or_hides(stand: Stand, field: str) -> None:
    agent = Agent(stand)
    tool = {
        "summary": "report_done",
        "ask": "check_request",
        "request": "explain_denial",
        "method": "explain_denial",
    }.get(field, "request_access")
    usual: dict[str, dict[str, object]] = {
        "request_access": {"host": "new.test", "justification": "x"} if field != "url" else {"justification": "x"},
        "report_done": {"status": "done"}, "check_request": {}, "explain_denial": {"url": NEW} if field == "method" else {},
    }  # fmt: skip
    value: object = [NASTY[:32]] if field == "methods" else NASTY[:32] if field == "method" else NASTY
    agent.begin(tool, **{**usual[tool], field: value})
    if field == "justification":
        asked = Keeper(stand).open()
        assert not any(mark in asked.says for mark in HIDDEN) and asked.says.startswith("</untrusted>\\u{1b}[2J")
    found = json.dumps(agent.end(), ensure_ascii=False)
    log = stand.log.read_text()
    assert not any(mark in found for mark in HIDDEN) and not any(
        mark in log.rstrip("\n").replace("\n", "") for mark in HIDDEN
    )


def test_b73_without_quoting_the_text_would_draw(start: Start) -> None:
    """Control."""
    stand = start(weaken="from bot_bottle.egress.mcp import tools\ntools.quoted = lambda text: text")
    Agent(stand).begin("request_access", url=NEW, justification=NASTY)
    assert "\x1b" in Keeper(stand).open().says


def test_b73_instructions_in_a_reason_stay_in_the_one_field_for_the_agents_words(stand: Stand, shared: Path) -> None:
    """A person's page shows `says` as quoted data; no sentence of ours repeats it."""
    texts = json.loads((shared / "prompt-injection/BIPIA_text_attack_test.json").read_text())
    injections = [text for some in texts.values() for text in some][:12]
    assert injections
    agent, keeper = Agent(stand), Keeper(stand)
    for number, text in enumerate(injections):
        agent.begin("request_access", url=f"https://new.test/{number}", justification=text)
        asked = keeper.open(f"ask-{number}")
        assert asked.says == " ".join(text.split())[:1000]
        rest = msgspec.json.encode(msgspec.structs.replace(asked, says="")).decode()
        assert text[:20] not in rest and text[:20] not in json.dumps(agent.end())


# B74, S12: drowning


def test_b74_asks_are_few_whatever_the_agent_does(start: Start) -> None:
    stand = start(limits=m.Limits(held=3, asks=0.001))
    agents = [Agent(stand) for _ in range(10)]
    for number, agent in enumerate(agents):
        agent.begin("request_access", url=f"https://n{number}.test/", justification="x")
    keeper = Keeper(stand)
    for number in range(3):
        keeper.open(f"ask-{number}")
    states = sorted(str(agent.end()["state"]) for agent in agents)
    assert states == ["refused"] * 7 + ["waiting"] * 3 and stand.messages.empty()


def test_b74_without_its_limit_every_one_would_be_asked(start: Start) -> None:
    """Control."""
    stand = start(limits=m.Limits(held=1000, asks=0))
    agents = [Agent(stand) for _ in range(10)]
    for number, agent in enumerate(agents):
        agent.begin("request_access", url=f"https://n{number}.test/", justification="x")
    assert len({Keeper(stand).open(f"ask-{number}").wanted.target.host for number in range(10)}) == 10


def _storm(stand: Stand, count: int) -> tuple[int, int]:
    """(answered, refused) calls of so many."""
    answered = refused = 0
    for _ in range(count):
        reply = Agent(stand).ask(rpc("tools/call", {"name": "list_routes", "arguments": {}}))
        answered, refused = answered + (reply.status == 200), refused + (reply.status == 429)
    return answered, refused


def test_s12_a_storm_of_calls_is_counted_not_recorded_one_by_one(stand: Stand) -> None:
    answered, refused = _storm(stand, 250)
    assert answered + refused == 250 and answered < 200 and refused
    assert len(stand.records("report")) == answered
    limited = [one for one in stand.wait_record(1, "limited") if one["reason"] == "limit.inside"]
    assert limited


def test_s12_without_its_bucket_the_storm_fills_the_log(start: Start) -> None:
    """Control."""
    stand = start(weaken="from bot_bottle.egress.mcp import server\nserver.RATE = 0")
    assert _storm(stand, 250) == (250, 0)


def test_s12_waiting_calls_are_bounded_and_block_nobody(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),))
    agent, _, _ = asked_for(stand)
    waiting = [Agent(stand) for _ in range(40)]
    for one in waiting:
        one.begin("check_request", wait=60)
    stand.wait_record(41, "report")
    assert stand.connect().ask(get()).status == 200
    assert agent.call("check_request", wait=60)["state"] == "waiting", "the 41st is answered at once"


@pytest.mark.parametrize("chunked", [False, True])
def test_s12_a_long_message_is_refused(stand: Stand, chunked: bool) -> None:
    agent = Agent(stand)
    head = f"POST {URL} HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    if chunked:
        agent.client.send(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode())
        agent.client.send(b"10001\r\n" + b" " * 0x10001 + b"\r\n0\r\n\r\n")
    else:
        agent.client.send(f"{head}Content-Length: 100000000\r\n\r\n".encode())
    assert agent.client.reply().status == 413


@pytest.mark.parametrize(
    "opening", ["[", '{"a":', '{"jsonrpc":"2.0","id":1,"method":"ping","params":{"a":' + "[" * 60]
)
def test_s12_deep_json_is_refused_before_it_is_built(stand: Stand, opening: str) -> None:
    agent = Agent(stand)
    reply = agent.ask(opening.encode() * (60000 // len(opening)))
    assert reply.status == 400 and "nests" in reply.body.decode()
    assert agent.ask(rpc("ping")).status == 200


def test_s12_a_body_that_does_not_come_ends(start: Start) -> None:
    stand = start(weaken="from bot_bottle.egress.mcp import server\nserver.BODY_SECONDS = 0.2")
    agent = Agent(stand)
    agent.client.send(post(b"x" * 50)[:-10])
    assert agent.client.reply().status == 408


# The reserved name as a way out, or in


def _refused(reply: Reply, upstream: Upstream) -> bool:
    return reply.status in (400, 403, 404, 405, 415, 426) and upstream.seen == []


def _tunnel(stand: Stand, host: str, port: int) -> Client:
    client = stand.plain()
    assert client.ask(f"CONNECT {host}:{port} HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode(), "HEAD").status == 200
    return client


@pytest.mark.parametrize("spelled", [HOST, HOST.upper(), HOST + "."])
def test_b59_the_name_is_never_forwarded_nor_asked_about_whatever_the_policy_says(
    start: Start, upstream: Upstream, plain_upstream: Upstream, spelled: str
) -> None:
    everything = {"address": f"127.0.0.1:{plain_upstream.port}", "auth": None, "scheme": "http", "ports": (80, 8080)}
    stand = start(
        routes=(route(plain_upstream, HOST, **everything), route(plain_upstream, "*.internal", **everything)),
        default="ask",
    )
    body = rpc("ping")
    assert Agent(stand).client.ask(post(body, path=f"http://{spelled}/mcp", host=spelled)).json["result"] == {}
    other = stand.plain().ask(post(body, path=f"http://{spelled}:8080/mcp", host=f"{spelled}:8080"))
    assert _refused(other, plain_upstream) and other.json["reason"] == "inside.http-only"
    assert stand.messages.empty() and not stand.records("intent", "pinned")


def test_b59_a_name_that_is_not_reserved_would_go_there(start: Start, plain_upstream: Upstream) -> None:
    """Control: the same request, the name taken off the list."""
    where = {"address": f"127.0.0.1:{plain_upstream.port}", "auth": None, "scheme": "http", "ports": (80,)}
    stand = start(
        routes=(route(plain_upstream, "*.internal", **where),),
        weaken="from bot_bottle.egress import prepare\nprepare.HOST = 'other.internal'\n"
        "from bot_bottle.policy import decide\ndecide.is_inside = lambda host: False",
    )
    assert Agent(stand).ask(rpc("ping")).status == 200
    assert len(plain_upstream.seen) == 1


def test_b59_https_and_other_ports_of_the_name_are_refused(stand: Stand, upstream: Upstream) -> None:
    reply = stand.connect(HOST).ask(get("/mcp", HOST))
    assert _refused(reply, upstream) and reply.json["reason"] == "inside.http-only"
    for port in (8080, 3128, 53, 22):
        reply = _tunnel(stand, HOST, port).ask(get("/mcp", f"{HOST}:{port}"))
        assert _refused(reply, upstream), port
    assert _tunnel(stand, HOST, 80).ask(post(rpc("ping"), path="/mcp")).json["result"] == {}, "the same by CONNECT"


@pytest.mark.parametrize(
    ("line", "host"),
    [
        ("POST http://api.test/mcp", HOST), (f"POST {URL}", "api.test"), (f"POST {URL}", f"{HOST}:8080"),
        (f"POST http://x@{HOST}/mcp", HOST), ("POST http://bot-bottle.internal.api.test/mcp", HOST),
        (f"POST https://{HOST}/mcp", HOST), ("POST /mcp", HOST), (f"POST //{HOST}/mcp", HOST), (f"POST {HOST}/mcp", HOST),
    ],
)  # fmt: skip
def test_p02_host_and_absolute_form_must_name_the_same(
    stand: Stand, upstream: Upstream, line: str, host: str
) -> None:
    body = rpc("tools/call", {"name": "list_routes", "arguments": {}})
    fields = "\r\n".join([f"{line} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *JSON, "", ""])
    reply = stand.plain().ask(fields.encode() + body)
    assert _refused(reply, upstream) and not stand.records("report")


def test_b05_a_tunnel_to_another_host_does_not_lead_in(stand: Stand, upstream: Upstream) -> None:
    inner = post(rpc("tools/call", {"name": "list_routes"}))
    for request in (inner, inner.replace(f"POST {URL}".encode(), b"POST /mcp")):
        assert _refused(stand.connect("api.test").ask(request), upstream)
    assert not stand.records("report")


SMUGGLED = post(rpc("tools/call", {"name": "report_done", "arguments": {"status": "done", "summary": "smuggled"}}))


@pytest.mark.parametrize(
    "fields",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"), ("Content-Length: 5", "Content-Length: 50"),
        ("Transfer-Encoding: chunked, identity",), ("Transfer-Encoding : chunked",), ("Content-Length: 5, 5",), (f"Host: {HOST}",),
    ],
)  # fmt: skip
def test_b29_p01_a_second_request_cannot_be_smuggled_in(stand: Stand, fields: tuple[str, ...]) -> None:
    head = "\r\n".join([f"POST {URL} HTTP/1.1", f"Host: {HOST}", *JSON, *fields, "", ""]).encode()
    client = stand.plain()
    client.send(head + b"0\r\n\r\n" + SMUGGLED)
    assert client.reply().status == 400
    assert client.rest() == b"" and not stand.records("report")


def test_b29_the_smuggled_request_is_a_good_one_by_itself(stand: Stand) -> None:
    """Control."""
    assert stand.plain().ask(SMUGGLED).status == 200
    assert stand.records("report")[0]["detail"] == {"status": "done", "summary": "smuggled"}


def test_b59_no_websocket_and_no_upgrade(stand: Stand, upstream: Upstream) -> None:
    fields = (
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    )
    reply = stand.plain().ask(get(URL, HOST, *fields))
    assert _refused(reply, upstream)


@pytest.mark.parametrize("origin", ["http://evil.test", "null", f"http://{HOST}", "https://api.test"])
def test_b59_a_page_in_a_browser_of_the_bottle_cannot_speak_for_the_agent(stand: Stand, origin: str) -> None:
    agent = Agent(stand)
    body = rpc("tools/call", {"name": "request_access", "arguments": {"url": NEW, "justification": "from a page"}})
    assert agent.ask(body, *JSON, f"Origin: {origin}").status == 403
    assert agent.ask(body, "Content-Type: text/plain").status == 415, "a form needs no Origin check to be refused"
    assert stand.messages.empty() and not stand.records("report")


def test_b59_without_the_check_a_page_could(start: Start) -> None:
    """Control."""
    stand = start(weaken="from bot_bottle.egress.mcp import server\nserver._refusal = lambda head, path: None")
    body = rpc("tools/call", {"name": "request_access", "arguments": {"url": NEW, "justification": "from a page"}})
    Agent(stand).send(body, "Content-Type: text/plain", "Origin: http://evil.test")
    assert Keeper(stand).open().says == "from a page"


def test_b45_access_that_a_rule_denies_is_asked_of_nobody_and_granted_by_nothing(
    start: Start, upstream: Upstream
) -> None:
    stand = start(
        routes=(
            Route("dev/no", "shut.test", scheme="", ports=(), action="deny"),
            route(upstream, action="ask", auth=Auth("bearer", "example")),
        )
    )
    agent = Agent(stand)
    for url in ("https://shut.test/", "http://shut.test:8080/x", "https://SHUT.test./"):
        assert agent.call("request_access", url=url, justification="x")["state"] == "refused"
    assert stand.messages.empty()


# Each defence that has no control above, taken away: the attack is then noticed

_PLAIN = (
    "from bot_bottle.egress.mcp import server\n"
    "serve = server.Inside.serve\n"
    "def plain(self, session, prepared):\n"
    "    target = type(prepared.place.target)('http', prepared.place.target.host, 80)\n"
    "    serve(self, session, prepared._replace(place=prepared.place._replace(target=target)))\n"
    "server.Inside.serve = plain\n"
)
_ASKED = (
    "from bot_bottle.egress.mcp import access, ledger\n"
    "class Everything: __contains__ = lambda self, reason: True\n"
    "access.LIFTED, ledger._UNOPENED = Everything(), 0.1\n"
)
CONTROLS: dict[str, tuple[str, Callable[[Stand, Upstream], None]]] = {
    "length": (
        "from bot_bottle.egress.mcp import jsonrpc\njsonrpc.MAX_BODY = 1 << 30",
        lambda stand, _: test_s12_a_long_message_is_refused(stand, True),
    ),
    "depth": (
        "from bot_bottle.egress.mcp import jsonrpc\njsonrpc.MAX_DEPTH = 1 << 30",
        lambda stand, _: test_s12_deep_json_is_refused_before_it_is_built(stand, "["),
    ),
    "ids": (
        "from bot_bottle.egress.mcp import ledger\nledger.Ledger.find = lambda self, ask: self._newest",
        lambda stand, _: test_b44_asks_of_other_runs_are_unknown(stand),
    ),
    "http only": (_PLAIN, test_b59_https_and_other_ports_of_the_name_are_refused),
    "agreement": (
        "from bot_bottle.egress import target\ntarget._agree = lambda *_: None",
        lambda stand, upstream: test_p02_host_and_absolute_form_must_name_the_same(
            stand, upstream, f"POST {URL}", "api.test"
        ),
    ),
    "refused at once": (_ASKED, lambda stand, _: _denied_by_a_rule(stand)),
}


def _denied_by_a_rule(stand: Stand) -> None:
    assert Agent(stand).call("request_access", url="https://shut.test/", justification="x")["state"] == "refused"


@pytest.mark.parametrize("name", CONTROLS)
def test_s12_b44_b59_b45_each_defence_taken_away_is_noticed(start: Start, upstream: Upstream, name: str) -> None:
    weaken, attack = CONTROLS[name]
    shut = Route("dev/no", "shut.test", scheme="", ports=(), action="deny")
    with pytest.raises(AssertionError):
        attack(start(routes=(route(upstream), shut), weaken=weaken), upstream)
    attack(start(routes=(route(upstream), shut)), upstream)
