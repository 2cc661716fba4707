"""egress.mcp in a real gateway: HTTP, revisions, the five tools, waiting, records."""

import json
import socket
import time

import msgspec
import pytest

from bot_bottle.egress import messages as m
from bot_bottle.egress.mcp.catalogue import ARGUMENTS, TOOLS
from bot_bottle.egress.mcp.protocol import LEGACY, MODERN, SUPPORTED
from bot_bottle.policy.effective import Route
from gateway_fixtures import Start
from gateway_stand import Stand, Upstream, get, paths, route
from mcp_stand import HOST, JSON, Agent, Keeper, post, rpc

META = {"io.modelcontextprotocol/protocolVersion": MODERN, "io.modelcontextprotocol/clientCapabilities": {}}
NEW = "https://new.test/x"


def modern(method: str, params: dict[str, object] | None = None, name: str = "") -> tuple[bytes, tuple[str, ...]]:
    fields = (
        *JSON,
        f"MCP-Protocol-Version: {MODERN}",
        f"Mcp-Method: {method}",
        *([f"Mcp-Name: {name}"] if name else []),
    )
    return rpc(method, {**(params or {}), "_meta": META}), fields


def ask(agent: Agent, keeper: Keeper, **arguments: object) -> tuple[m.Asked, dict[str, object]]:
    agent.begin("request_access", **{"url": NEW, "justification": "needed", **arguments})
    asked = keeper.open()
    return asked, agent.end()


# HTTP


def test_the_handshake_of_each_older_revision(stand: Stand) -> None:
    agent = Agent(stand)
    for version in LEGACY:
        reply = agent.ask(rpc("initialize", {"protocolVersion": version, "capabilities": {}}))
        assert reply.status == 200 and reply.header("mcp-session-id") == []
        result = reply.json["result"]
        assert isinstance(result, dict) and result["protocolVersion"] == version
        assert agent.ask(rpc("tools/list"), *JSON, f"MCP-Protocol-Version: {version}").status == 200
        assert agent.ask(rpc("ping")).json["result"] == {}
    note = agent.ask(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
    assert (note.status, note.body) == (202, b"")


def test_a_request_of_the_newest_revision_carries_everything(stand: Stand) -> None:
    agent = Agent(stand)
    body, fields = modern("server/discover")
    found = agent.ask(body, *fields).json["result"]
    assert isinstance(found, dict) and found["supportedVersions"] == list(SUPPORTED)
    body, fields = modern("tools/list")
    listed = agent.ask(body, *fields).json["result"]
    assert isinstance(listed, dict) and listed["resultType"] == "complete" and listed["ttlMs"] > 0
    assert listed["_meta"]["io.modelcontextprotocol/serverInfo"]["name"] == "bot-bottle"
    body, fields = modern("tools/call", {"name": "list_routes", "arguments": {}}, "list_routes")
    assert agent.ask(body, *fields).json["result"]["resultType"] == "complete"  # type: ignore[index]
    body, fields = modern("no/such")
    missing = agent.ask(body, *fields)
    assert missing.status == 404 and missing.json["error"]["code"] == -32601  # type: ignore[index]
    body, fields = modern("tools/list")
    assert agent.ask(body, *fields[:-1]).status == 400


@pytest.mark.parametrize(
    ("method", "path", "fields", "status"),
    [
        ("GET", "/mcp", JSON, 405), ("DELETE", "/mcp", JSON, 405), ("PUT", "/mcp", JSON, 405), ("POST", "/other", JSON, 404),
        ("POST", "/mcp", ("Content-Type: text/plain",), 415), ("POST", "/mcp", (), 415),
        ("POST", "/mcp", (*JSON, "Content-Encoding: gzip"), 415), ("POST", "/mcp", (*JSON, "Origin: http://evil.test"), 403),
        ("POST", "/mcp", (*JSON, f"Origin: http://{HOST}"), 403), ("POST", "/mcp", (*JSON, "Origin: null"), 403),
        ("POST", "/mcp", (*JSON, "MCP-Protocol-Version: 1900-01-01"), 400),
    ],
)  # fmt: skip
def test_what_http_alone_decides(stand: Stand, method: str, path: str, fields: tuple[str, ...], status: int) -> None:
    agent = Agent(stand)
    body = rpc("tools/list")
    lines = [f"{method} http://{HOST}{path} HTTP/1.1", f"Host: {HOST}", f"Content-Length: {len(body)}", *fields]
    reply = agent.client.ask("\r\n".join([*lines, "", ""]).encode() + body)
    assert reply.status == status and (status != 405 or reply.header("allow") == ["POST"])
    assert agent.ask(rpc("tools/list")).status == 200, "the connection goes on"


def test_a_body_in_pieces_chunked_and_with_expect(stand: Stand) -> None:
    body = rpc("tools/list")
    agent = Agent(stand)
    head = f"POST http://{HOST}/mcp HTTP/1.1\r\nHost: {HOST}\r\nContent-Type: application/json\r\n"
    for part in (head + "Transfer-Encoding: chunked\r\n\r\n", f"{len(body):x}\r\n"):
        agent.client.send(part.encode())
    for at in range(len(body)):
        agent.client.send(body[at : at + 1])
    agent.client.send(b"\r\n0\r\n\r\n")
    assert agent.client.reply().status == 200
    agent.client.send(f"{head}Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
    assert agent.client.reply().status == 100
    agent.client.send(body)
    assert agent.client.reply().status == 200


def test_what_is_no_message_is_an_error_object(stand: Stand) -> None:
    agent = Agent(stand)
    for body, status, code in (
        (b"{", 400, -32700), (b"[]", 400, -32600), (b"1", 400, -32600), (rpc("nothing"), 200, -32601),
        (b"", 400, -32700), (rpc("tools/call", {"name": "approve"}), 200, -32602),
        (rpc("tools/call", {"name": "list_routes", "arguments": []}), 200, -32602),
    ):  # fmt: skip
        reply = agent.ask(body)
        assert reply.status == status and reply.json["error"]["code"] == code, body  # type: ignore[index]


def test_a_batch_is_answered_in_order_and_never_waits(stand: Stand) -> None:
    agent, keeper = Agent(stand), Keeper(stand)
    ask(agent, keeper)
    wait = {"name": "check_request", "arguments": {"wait": 60}}
    items = [
        {"jsonrpc": "2.0", "method": "notifications/x"}, {"jsonrpc": "2.0", "id": "a", "method": "ping"}, 7,
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": wait}, {"jsonrpc": "2.0", "id": 9, "result": {}},
    ]  # fmt: skip
    replies = msgspec.json.decode(agent.ask(msgspec.json.encode(items)).body)
    assert [one.get("id") for one in replies] == ["a", None, 2]
    assert agent.ask(json.dumps([items[0]]).encode()).status == 202
    assert agent.ask(msgspec.json.encode(items), *JSON, "MCP-Protocol-Version: 2025-06-18").status == 400


def test_its_name_has_a_synthetic_address_that_alone_is_no_name(stand: Stand) -> None:
    client = stand.plain("dns-tcp")
    labels = b"".join(bytes([len(part)]) + part.encode() for part in HOST.split("."))
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1"
    client.send(len(question).to_bytes(2, "big") + question)
    answer = client.exactly(int.from_bytes(client.exactly(2), "big"))
    address = socket.inet_ntoa(answer[-4:])
    assert address.startswith("198.18.")
    reply = stand.plain("forward").ask(post(rpc("tools/list"), path=f"http://{address}/mcp", host=address))
    assert reply.status == 403, "the address alone is no name"


# the tools


def test_every_tool_has_a_schema_and_the_list_is_short(stand: Stand) -> None:
    listed = Agent(stand).ask(rpc("tools/list")).json["result"]["tools"]  # type: ignore[index]
    assert [one["name"] for one in listed] == [one["name"] for one in TOOLS] == list(ARGUMENTS)
    assert len(msgspec.json.encode(listed)) < 2500, "it stands in every request to a model"
    for tool in listed:
        fields = {field.name for field in msgspec.structs.fields(ARGUMENTS[tool["name"]])}
        assert set(tool["inputSchema"]["properties"]) == fields
        assert not tool["inputSchema"]["additionalProperties"]


def test_list_routes_says_what_the_agent_may_know(start: Start, upstream: Upstream) -> None:
    stand = start(
        routes=(
            route(upstream, matches=paths("/v1", methods=("GET",))),
            Route("dev/shut", "shut.test", scheme="", ports=(), action="deny"),
            Route("dev/ask", "ask.test", action="ask", protocols=("http1", "websocket")),
        )
    )
    found = Agent(stand).call("list_routes")
    assert found["routes"] == [
        "allow https://api.test:443 GET prefix /v1, a credential is added (rule dev/api.test)",
        "deny http(s)://shut.test:any every request (rule dev/shut)",
        "ask https://ask.test:443 every request, websocket (rule dev/ask)",
    ]
    text = json.dumps(found)
    assert "127.0.0.1" not in text and "example" not in text and "BEGIN" not in text


def test_explain_by_number_and_by_url_says_rule_reason_and_what_would_allow_it(
    start: Start, upstream: Upstream
) -> None:
    stand = start(routes=(route(upstream, matches=paths("/v1")), Route("dev/shut", "shut.test", action="deny")))
    agent = Agent(stand)
    denied = stand.connect("api.test").ask(get("/v2/y"))
    assert denied.status == 403 and "request_access" in str(denied.json["how"])
    instance = str(denied.json["instance"])
    for number in (instance, instance.rpartition("/")[2], int(instance.rpartition("/")[2])):
        found = agent.call("explain_denial", request=number)
        assert (found["state"], found["reason"]) == ("denied", "policy.request-not-allowed")
        assert found["url"] == "https://api.test/v2/y" and found["method"] == "GET"
        assert "/v2/y" in str(found["allow"]) and "path" in str(found["message"])
    by_url = agent.call("explain_denial", method="get", url="https://shut.test/")
    assert (by_url["state"], by_url["rule"]) == ("denied", "dev/shut")
    assert agent.call("explain_denial", url="https://api.test/v1/z")["state"] == "allowed"
    for wrong in ({"request": 999}, {"request": "run-2/1"}, {"request": "x"}, {}, {"url": "nonsense"}):
        assert agent.call("explain_denial", **wrong)["state"] == "error"


def test_a_denial_that_is_no_policy_is_explained_as_it_was(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),))
    refused = stand.connect("api.test").ask(get("/v1/x", "api.test", "Host: other.test"))
    assert refused.status == 400
    number = stand.wait_record(1, "denied")[0]["request"]
    found = Agent(stand).call("explain_denial", request=number)
    assert found["state"] == "denied" and found["reason"] == "wire.repeated-field"


def test_request_wait_yes_and_the_request_goes_through(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),))
    agent, keeper = Agent(stand), Keeper(stand)
    asked, told = ask(agent, keeper, methods=["POST", "GET"])
    assert (told["state"], told["ask"], told["url"]) == ("waiting", "ask-1", NEW)
    assert asked.kind == "access" and asked.wanted.methods == ("GET", "POST") and asked.says == "needed"
    assert asked.number == stand.records("report")[0]["request"]
    agent.begin("check_request", ask="ask-1", wait=60)
    other = Agent(stand)
    assert other.call("check_request")["state"] == "waiting", "holding one blocks nobody"
    keeper.yes(asked)
    assert agent.end()["state"] == "allowed"
    assert other.call("explain_denial", url=NEW + "/below")["state"] == "allowed"
    assert other.call("explain_denial", url=NEW + "y")["state"] == "denied"
    assert other.call("list_routes")["granted"] == ["https://new.test:443/x GET|POST"]
    assert other.call("request_access", url=NEW, justification="again")["state"] == "allowed"


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("denied", "denied"),
        ("expired", "expired"),
        ("withdrawn", "withdrawn"),
        ("ended", "ended"),
        ("weird", "denied"),
        ("allowed", "denied"),
    ],
)
def test_a_no_in_every_form_is_a_no(stand: Stand, state: str, expected: str) -> None:
    agent, keeper = Agent(stand), Keeper(stand)
    asked, _ = ask(agent, keeper)
    agent.begin("check_request", wait=60)
    assert Agent(stand).call("check_request")["state"] == "waiting"
    keeper.no(asked, state=state, what="Not \u202e today.")
    found = agent.end()
    assert found["state"] == expected and "\u202e" not in json.dumps(found, ensure_ascii=False)
    assert agent.call("explain_denial", url=NEW)["state"] == "denied"


def test_a_late_yes_is_seen_by_what_the_policy_allows(stand: Stand) -> None:
    agent, keeper = Agent(stand), Keeper(stand)
    asked, _ = ask(agent, keeper)
    keeper.no(asked, state="expired")
    agent.begin("check_request")
    assert agent.end()["state"] == "expired"
    keeper.yes(asked)
    stand.status()
    assert agent.call("check_request")["state"] == "allowed"


def test_a_wait_ends_by_itself(stand: Stand) -> None:
    agent, keeper = Agent(stand), Keeper(stand)
    ask(agent, keeper)
    before = time.monotonic()
    assert agent.call("check_request", wait=0.3)["state"] == "waiting"
    assert 0.25 < time.monotonic() - before < 5


def test_a_query_that_was_left_out_is_said(stand: Stand) -> None:
    """A yes is for any query: the agent is told that its own was not put to the person."""
    agent, keeper = Agent(stand), Keeper(stand)
    asked, told = ask(agent, keeper, url=f"{NEW}?key=1")
    assert asked.wanted.query == "" and "key=1" not in asked.wanted.path
    assert str(told["message"]).endswith("The query of the URL was left out: a yes is for any query.")
    assert "query" not in str(agent.call("request_access", url=NEW, justification="x")["message"])


def test_the_same_question_is_asked_once(stand: Stand) -> None:
    agent, keeper = Agent(stand), Keeper(stand)
    agent.begin("request_access", url=NEW, justification="one")
    other = Agent(stand)
    other.begin("request_access", url=NEW, justification="two")
    assert keeper.open().says in ("one", "two")
    assert agent.end()["ask"] == other.end()["ask"] == "ask-1"
    assert agent.call("request_access", url=NEW, justification="three")["ask"] == "ask-1"
    assert stand.messages.empty()


def test_a_question_that_the_keeper_refuses_at_once(stand: Stand) -> None:
    agent, keeper = Agent(stand), Keeper(stand)
    agent.begin("request_access", url=NEW, justification="x")
    asked = keeper.asked()
    stand.keeper.send(m.AskOpened(number=asked.number, ask="", deadline=0, slug="ask.forbidden", what="Not here."))
    found = agent.end()
    assert found["state"] == "refused" and "Not here." in str(found["message"])


def test_a_keeper_that_is_slow_to_open_an_ask_blocks_nobody(start: Start) -> None:
    stand = start(weaken="from bot_bottle.egress.mcp import ledger\nledger._UNOPENED = 0.2")
    agent, keeper = Agent(stand), Keeper(stand)
    told = agent.call("request_access", url=NEW, justification="x")
    assert (told["state"], told["ask"]) == ("waiting", "")
    assert agent.call("check_request")["state"] == "waiting"
    asked = keeper.open()
    stand.status()
    assert agent.call("check_request")["ask"] == "ask-1"
    keeper.yes(asked)
    stand.status()
    assert agent.call("check_request", ask="ask-1")["state"] == "allowed"


def test_who_hangs_up_is_forgotten_and_the_ask_stays(stand: Stand) -> None:
    agent, keeper = Agent(stand), Keeper(stand)
    asked, _ = ask(agent, keeper)
    waiting = Agent(stand)
    waiting.begin("check_request", wait=60)
    stand.wait_record(2, "report")
    waiting.client.close()
    keeper.yes(asked)
    stand.status()
    assert agent.call("check_request")["state"] == "allowed"


def test_asks_of_held_requests_are_known_by_their_id(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream, action="ask", auth=None),))
    agent, keeper = Agent(stand), Keeper(stand)
    client = stand.connect("api.test")
    client.send(get())
    asked = keeper.open("ask-7")
    assert asked.kind == "request"
    stand.status()
    assert agent.call("check_request", ask="ask-7")["state"] == "waiting"
    keeper.no(asked, "ask-7", state="expired", what="Nobody answered.")
    assert client.reply().status == 403
    assert agent.call("check_request", ask="ask-7")["state"] == "expired"


def test_a_held_request_that_was_refused_is_explained_by_its_number(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream, action="ask", auth=None),))
    agent, keeper = Agent(stand), Keeper(stand)
    client = stand.connect("api.test")
    client.send(get())
    asked = keeper.open("ask-7")
    keeper.no(asked, "ask-7", what="Not today.")
    number = str(client.reply().json["instance"])
    found = agent.call("explain_denial", request=number)
    assert (found["state"], found["reason"], found["rule"]) == ("denied", "ask.denied", "dev/api.test")
    assert "Not today." in str(found["message"])


def test_an_ask_that_is_not_of_this_bottle_is_unknown(stand: Stand) -> None:
    agent, keeper = Agent(stand), Keeper(stand)
    assert agent.call("check_request")["state"] == "error"
    ask(agent, keeper)
    unknown = agent.call("check_request", ask="ask-2")
    assert (
        unknown == agent.call("check_request", ask="20260101t000000-000000000000/ask") and unknown["state"] == "error"
    )


def test_arguments_that_do_not_fit_are_told_to_the_model(stand: Stand) -> None:
    agent = Agent(stand)
    for tool, wrong in (
        ("list_routes", {"x": 1}), ("request_access", {"url": NEW}), ("request_access", {"url": NEW, "justification": ""}),
        ("request_access", {"url": NEW, "justification": "x" * 1001}), ("request_access", {"url": 7, "justification": "x"}),
        ("check_request", {"wait": 61}), ("check_request", {"wait": -1}), ("report_done", {"status": "approved"}),
        ("report_done", {"status": "done", "summary": "x" * 5000}), ("check_request", {"ask": "x" * 254}),
    ):  # fmt: skip
        reply = agent.ask(rpc("tools/call", {"name": tool, "arguments": wrong}))
        result = reply.json["result"]
        assert isinstance(result, dict) and result["isError"] and result["structuredContent"]["state"] == "error"
    assert stand.messages.empty()
    refused = stand.records("report")
    assert len(refused) == 10 and all(one["detail"] == {"refused": "arguments"} for one in refused)


def test_report_done_is_a_record_of_quoted_words(stand: Stand) -> None:
    agent = Agent(stand)
    assert agent.call("report_done", status="blocked", summary="no\r\naccess \x1b[2J\u202e to it")["state"] == "ok"
    (record,) = stand.records("report")
    assert (
        record["method"] == "report_done" and record["rule"] == "bot-bottle/inside" and record["entry"] == "forward"
    )
    assert record["detail"] == {"status": "blocked", "summary": "no access \\u{1b}[2J\\u{202e} to it"}


def test_every_call_is_one_record_and_none_is_an_intent(stand: Stand) -> None:
    agent, keeper = Agent(stand), Keeper(stand)
    agent.call("list_routes")
    agent.call("explain_denial", url=NEW)
    ask(agent, keeper)
    agent.call("check_request")
    agent.ask(rpc("tools/list"))
    assert [one["method"] for one in stand.records()] == [
        "list_routes",
        "explain_denial",
        "request_access",
        "check_request",
    ]
    assert {one["kind"] for one in stand.records()} == {"report"}
    assert stand.records()[2]["detail"] == {"url": NEW, "methods": "", "says": "needed"}


def test_a_shell_gets_text(stand: Stand) -> None:
    agent = Agent(stand)
    plain = ("Content-Type: application/json", "Accept: text/plain")
    reply = agent.ask(rpc("tools/call", {"name": "list_routes", "arguments": {}}), *plain)
    assert reply.header("content-type") == ["text/plain; charset=utf-8"]
    lines = reply.body.decode().splitlines()
    assert lines[0] == "ok" and lines[2].startswith("allow https://api.test:443")
    assert agent.ask(rpc("tools/list"), *plain).header("content-type") == ["application/json"]
    several = ("Content-Type: application/json", "Accept: application/json, text/plain, */*")
    reply = agent.ask(rpc("tools/call", {"name": "list_routes"}), *several)
    assert reply.header("content-type") == ["application/json"], "a library that takes anything gets JSON"


def test_a_reload_changes_what_is_told(stand: Stand) -> None:
    agent = Agent(stand)
    policy = msgspec.structs.replace(stand.policy, routes=(), default="ask")
    stand.tell(m.Reload(policy=policy))
    stand.status()
    found = agent.call("list_routes")
    assert found["routes"] == [] and "waits" in str(found["message"])
    assert agent.call("explain_denial", url=NEW)["state"] == "ask"
