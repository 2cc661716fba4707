"""A client of the bottle's own name for tests, and a keeper that answers asks the way it is told."""

from dataclasses import dataclass

import msgspec

from bot_bottle.egress import messages as m
from bot_bottle.policy.grants import Grant
from gateway_stand import Client, Reply, Stand

HOST = "bot-bottle.internal"
URL = f"http://{HOST}/mcp"
JSON = ("Content-Type: application/json", "Accept: application/json, text/event-stream")
YEAR = 31_536_000_000_000_000


def post(body: bytes, *fields: str, path: str = URL, host: str = HOST) -> bytes:
    """One request to the forward proxy."""
    lines = [f"POST {path} HTTP/1.1", f"Host: {host}", f"Content-Length: {len(body)}", *(fields or JSON)]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def rpc(method: str, params: dict[str, object] | None = None, id: object = 1) -> bytes:
    """One request object."""
    return msgspec.json.encode({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}})


@dataclass
class Agent:
    """Somebody in the bottle who calls tools over one connection."""

    stand: Stand

    def __post_init__(self) -> None:
        self.client: Client = self.stand.plain()

    def send(self, body: bytes, *fields: str) -> None:
        self.client.send(post(body, *fields))

    def ask(self, body: bytes, *fields: str) -> Reply:
        return self.client.ask(post(body, *fields))

    def call(self, tool: str, **arguments: object) -> dict[str, object]:
        """The structured content of a tool's result."""
        return content(self.ask(rpc("tools/call", {"name": tool, "arguments": arguments})))

    def begin(self, tool: str, **arguments: object) -> None:
        self.send(rpc("tools/call", {"name": tool, "arguments": arguments}))

    def end(self) -> dict[str, object]:
        return content(self.client.reply())


def content(reply: Reply) -> dict[str, object]:
    assert reply.status == 200, reply
    result = reply.json["result"]
    assert isinstance(result, dict)
    found = result["structuredContent"]
    assert isinstance(found, dict)
    return found


@dataclass
class Keeper:
    """The keeper's side of the stand."""

    stand: Stand

    def asked(self) -> m.Asked:
        found = self.stand.messages.get(timeout=10)
        assert isinstance(found, m.Asked), found
        return found

    def open(self, ask: str = "ask-1") -> m.Asked:
        """Takes the next question and gives it an id."""
        asked = self.asked()
        self.stand.keeper.send(m.AskOpened(number=asked.number, ask=ask, deadline=2_000_000_000_000_000_000))
        return asked

    def yes(self, asked: m.Asked, ask: str = "ask-1") -> None:
        """A person allows it: the grant, then the word."""
        wanted = asked.wanted
        target = wanted.target
        grant = Grant(
            id="grant-1", ask=ask, rule=asked.rule, scheme=target.scheme, host=target.host, port=target.port,
            protocol=wanted.protocol, path=wanted.path, expires=9_000_000_000_000_000_000, methods=wanted.methods,
            prefix=True, approver="os:0",
        )  # fmt: skip
        self.stand.keeper.send(m.Grants(grants=(grant,)))
        self.stand.keeper.send(
            m.Settled(number=asked.number, ask=ask, allow=True, state="allowed", grant="grant-1", approver="os:0")
        )

    def no(self, asked: m.Asked, ask: str = "ask-1", state: str = "denied", what: str = "") -> None:
        self.stand.keeper.send(m.Settled(number=asked.number, ask=ask, allow=False, state=state, what=what))
