"""The service at the bottle's own name: HTTP in front of the tools (B44, B59, S12).

Reached only through the bottle's doors, by plain http on port 80; nothing of it leaves, and nothing here is a way to
the keeper's control socket. A page in a browser inside the bottle is no agent: requests with an Origin are refused.
"""

from typing import TYPE_CHECKING

import msgspec

from bot_bottle.audit.record import Kind as RecordKind
from bot_bottle.egress import answer
from bot_bottle.egress.answer import Answer
from bot_bottle.egress.limits import Bucket
from bot_bottle.egress.mcp import jsonrpc, protocol
from bot_bottle.egress.mcp.answers import Result
from bot_bottle.egress.mcp.dialogue import Dialogue, Object
from bot_bottle.egress.mcp.jsonrpc import Fault
from bot_bottle.egress.mcp.ledger import Ledger
from bot_bottle.egress.mcp.protocol import Refusal
from bot_bottle.egress.mcp.tools import Forget, Then, Tools
from bot_bottle.egress.wire.http1 import Head
from bot_bottle.policy.inside import URL
from bot_bottle.policy.verdict import Kind, deny

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway
    from bot_bottle.egress.prepare import Prepared
    from bot_bottle.egress.session import Session

PATHS = ("/mcp", "/")
RATE, BURST = 20, 100
BODY_SECONDS = 20.0
_JSON = (("content-type", "application/json"),)
_TEXT = (("content-type", "text/plain; charset=utf-8"),)
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Inside:
    """One per gateway."""

    def __init__(self, gateway: "Gateway") -> None:
        self.gateway = gateway
        self.ledger = Ledger(gateway)
        gateway.asks.listener = self.ledger.hear
        self.tools = Tools(gateway, self.ledger)
        self.bucket = Bucket(RATE, BURST)

    def serve(self, session: "Session", prepared: "Prepared", /) -> None:
        """One request head, whose target is this name."""
        gateway, place, head = self.gateway, prepared.place, prepared.head
        assert place is not None
        if (place.target.scheme, place.target.port) != ("http", 80) or prepared.protocol != "http1":
            verdict = deny("inside.http-only", f"This name answers plain http on port 80 only: {URL}")
            facts = {**prepared.facts, "verdict": Kind.DENY.value, "reason": verdict.reason, "rule": ""}
            gateway.flow.deny(session, prepared._replace(verdict=verdict, facts=facts))
            return
        if not self.bucket.take(gateway.loop.now):
            gateway.flow.limited(session, "inside")
            return
        refusal = _refusal(head, place.path)
        if refusal is not None:
            session.begin(head, None, drain=True)
            session.closing = session.closing or head.get("expect") is not None
            session.answer(refusal, head.method)
            return
        if head.get("expect") is not None and head.minor and head.framing:
            session.leg.write(_CONTINUE)
        incoming = _Incoming(self, session, prepared)
        session.begin(head, incoming)
        if not head.framing:
            incoming.upload(b"", last=True)


class _Incoming:
    """Takes one body and owes its answer (`session.Taker`)."""

    def __init__(self, inside: Inside, session: "Session", prepared: "Prepared") -> None:
        self._inside = inside
        self._session = session
        self._prepared = prepared
        self._body = bytearray()
        self._since = inside.gateway.loop.now
        self._whole = False
        self._done = False
        self._forget: list[Forget] = []
        self._plain = (prepared.head.get("accept") or "").strip().lower() == "text/plain"

    def upload(self, data: bytes, last: bool) -> None:
        """Collects the body, up to its limit."""
        if self._done:
            return
        self._body += data
        if len(self._body) > jsonrpc.MAX_BODY:
            self.fail(413, "inside.too-large", f"A message has at most {jsonrpc.MAX_BODY} bytes.")
        elif last:
            self._whole = True
            self._handle(bytes(self._body))

    def client_gone(self) -> None:
        """Whoever waited hung up."""
        self._done = True
        for forget in self._forget:
            forget()

    def client_drained(self) -> None:
        """Nothing waits for that."""

    def sweep(self, now: float) -> None:
        """A body that does not come."""
        if not self._whole and now - self._since > BODY_SECONDS:
            self.fail(408, "limit.body-seconds", "The message did not arrive in time.")

    def fail(self, status: int, slug: str, what: str) -> None:
        """Ends with an answer of ours that is no message."""
        if status in (400, 408):
            self._session.closing = True
        self._send(answer.fault(status, slug, "Refused", hint=what))

    def _handle(self, body: bytes) -> None:
        try:
            message = jsonrpc.parse(body)
            if self._leaks(body) or self._leaks(msgspec.json.encode(message.items)):
                return
            speech = protocol.speech(self._prepared.head, message)
        except Fault as fault:
            self._send_json(400, jsonrpc.error(None, fault.code, fault.what))
        except Refusal as refusal:
            self._send_json(400, jsonrpc.error(refusal.id, refusal.code, refusal.what, refusal.data))
        else:
            Dialogue(speech, message, self.tool, self._respond).run()

    def _leaks(self, data: bytes) -> bool:
        """A real secret is refused here as everywhere: what is said goes on to a person and into the log (B43)."""
        gateway = self._inside.gateway
        name = gateway.rules.scrubber.contains_secret(data)
        if name is None:
            return False
        what = f"The message holds the secret {name}, which never leaves a bottle."
        reason = "custody.secret-sent"
        facts = {**self._prepared.facts, "verdict": Kind.DENY.value, "reason": reason, "findings": (reason,)}
        gateway.counters.denied += 1
        record = gateway.journal.record(RecordKind.DENIED, **facts, request=gateway.next_number())
        gateway.journal.write(record, lambda: self.fail(403, reason, what))
        gateway.flow.secret_hit()
        return True

    def tool(self, name: str, arguments: Object, may_wait: bool, then: Then) -> None:
        """Calls one tool; forgotten when the client goes."""
        entry = self._prepared.facts.get("entry", "")
        self._forget.append(self._inside.tools.call(name, arguments, str(entry), may_wait, then))

    def _respond(self, status: int, value: object, shown: Result | None) -> None:
        """The answer to the whole body; shown: the one tool's result, which a shell gets as text."""
        if value is None:
            self._send(Answer(status, (), b""))
        elif self._plain and shown is not None:
            self._send(Answer(status, _TEXT, shown.text().encode("utf-8", "backslashreplace")))
        else:
            self._send_json(status, value)

    def _send_json(self, status: int, value: object) -> None:
        self._send(Answer(status, _JSON, msgspec.json.encode(value)))

    def _send(self, reply: Answer) -> None:
        if not self._done:
            self._done = True
            self._session.answer(reply, self._prepared.head.method)


def _refusal(head: Head, path: str) -> Answer | None:
    """What HTTP alone decides: path, method, origin, type and length."""
    if path not in PATHS:
        return answer.fault(404, "inside.nothing", "Nothing is here", hint=f"The MCP server is {URL}")
    if head.method != "POST":
        refusal = answer.fault(
            405, "inside.post-only", "Only POST is answered", hint="Streams and sessions do not exist."
        )
        return Answer(405, (*refusal.headers, ("allow", "POST")), refusal.body)
    if head.get("origin") is not None:
        return answer.fault(403, "inside.origin", "Pages of a browser are refused", hint="Send no Origin.")
    if (head.get("content-type") or "").partition(";")[0].strip().lower() != "application/json":
        return answer.fault(415, "inside.not-json", "Only application/json is read")
    if head.get("content-encoding") not in (None, "identity"):
        return answer.fault(415, "inside.coding", "No content coding is read")
    if head.framing > jsonrpc.MAX_BODY:
        return answer.fault(413, "inside.too-large", f"A message has at most {jsonrpc.MAX_BODY} bytes")
    return None
