"""A held request: received whole within its limit, watched and spooled, then asked about (step 5; D25).

Nothing of it leaves and no name is resolved while it waits (D09). The digest that a person answers covers all of the
body, so no tail can be swapped behind it. What stays in memory is its head and where its body lies.
"""

import hashlib
import time
from typing import TYPE_CHECKING, cast

from bot_bottle.base.text import cut, visible
from bot_bottle.egress.limits import Over
from bot_bottle.egress.messages import Asked, AskOpened, HeldBytes, Settled
from bot_bottle.egress.prepare import Prepared, shown_head
from bot_bottle.egress.spool import Spooled, SpoolFull, Tampered
from bot_bottle.inspect.scrub import ScrubStream
from bot_bottle.policy.grants import Grant
from bot_bottle.supervise.digest import request_digest
from bot_bottle.supervise.model import AskKind, Wanted

if TYPE_CHECKING:
    from bot_bottle.egress.asking import Asking
    from bot_bottle.egress.session import Session

_PATH, _NAMES, _QUERY, _TYPE = 4096, 8192, 1024, 200


def wanted(prepared: Prepared, size: int, body: str, head: int) -> Wanted:
    """What would be sent, for the person. body: sha256 hex of its bytes, "" without one. head: its bytes."""
    place, facts = prepared.place, prepared.facts
    assert place is not None
    query = place.query
    return Wanted(
        target=place.target,
        method=prepared.head.method,
        path=place.path,
        protocol=prepared.protocol,
        query=cut(query, _QUERY),
        query_digest=hashlib.sha256(query.encode("latin-1")).hexdigest() if query else "",
        headers=tuple(name for name, _ in prepared.head.fields),
        body_bytes=size,
        body_digest=body,
        content_type=visible(prepared.head.get("content-type") or "", _TYPE),
        secrets=(prepared.secret,) if prepared.secret else (),
        findings=cast("tuple[str, ...]", facts["findings"]),
        head_bytes=head,
    )


def too_large(prepared: Prepared, limit: int) -> Over | None:
    """Why this head is never held: its body is announced as too long, or it cannot be shown whole."""
    place, head = prepared.place, prepared.head
    assert place is not None
    if head.framing > limit:
        return too_long(limit)
    if len(place.path) > _PATH or sum(len(name) for name, _ in head.fields) > _NAMES:
        return Over("ask.too-large", "The head of the request is too long to be shown to a person.", 413)
    return None


def too_long(limit: int) -> Over:
    """A body beyond `ask_body`."""
    return Over("ask.too-large", f"A request of more than {limit} bytes is too large to hold for an answer.", 413)


class Held:
    """Takes the body of its request, then waits. raw: its head. size: bytes of the body so far.

    rule: that asks. digest: the one that a yes is bound to, "" while the body is not whole. ask: the id, once it has
    one. deadline: wall ns. over: it was answered, or nobody waits for it any more.
    """

    __slots__ = (
        "_body", "_flow", "_hash", "_once", "_policy", "_prepared", "_session", "_since", "_stream", "ask",
        "deadline", "digest", "number", "over", "raw", "rule", "size",
    )  # fmt: skip

    def __init__(self, flow: "Asking", session: "Session", prepared: Prepared, raw: bytes, number: int) -> None:
        rules = flow.gateway.rules
        framed = prepared.head.framing != 0
        self._flow = flow
        self._session = session
        self._prepared: Prepared | None = prepared
        self._stream: ScrubStream | None = rules.scrubber.stream() if framed and rules.guarded else None
        self._hash = hashlib.sha256() if framed else None
        self._body: Spooled | None = flow.gateway.spool.body() if framed else None
        self._since = flow.gateway.loop.now
        self._once = rules.once(prepared.verdict.rule, prepared.request())
        self._policy = rules.policy.digest
        self.raw = raw
        self.number = number
        self.rule = prepared.verdict.rule
        self.size = 0
        self.digest = self.ask = ""
        self.deadline = 0
        self.over = False

    # the body comes in

    def upload(self, data: bytes, last: bool) -> None:
        """More of the body; with the last of it, the ask."""
        if self.over or self._body is None or self._hash is None:
            return
        self.size += len(data)
        over = self._too_much()
        if over is not None:
            self._flow.refuse_held(self, over.slug, over.what, over.status)
            return
        if self._stream is not None:
            data = self._stream.feed(data)
            if last:
                data += self._stream.finish()
            if self._stream.hits:
                self._flow.held_secret(self, next(iter(self._stream.hits)))
                return
        self._hash.update(data)
        try:
            self._body.write(data)
            if last:
                self._body.finish()
        except SpoolFull:
            self._flow.refuse_held(
                self, "ask.too-many", "The held requests of this bottle fill their space on the disk."
            )
            return
        if last:
            self.complete()

    def _too_much(self) -> Over | None:
        """A body whose length was not announced shows only now that it is too long."""
        gateway = self._flow.gateway
        most = gateway.rules.policy.ask_body
        if self.size > most:
            return too_long(most)
        assert self._prepared is not None
        return self._flow.excess_bytes(self._prepared, self.size)

    def complete(self) -> None:
        """All of it is here: a person is asked."""
        prepared, flow = self._prepared, self._flow
        assert prepared is not None
        verdict = prepared.verdict
        want = wanted(prepared, self.size, self._body_digest(), len(self.raw))
        self.digest = self.digest_of(prepared)
        self._prepared = self._stream = None  # what waits for minutes is kept small; it is prepared again
        asked = Asked(self.number, AskKind.REQUEST, want, self.rule, verdict.reason, verdict.hint)
        flow.gateway.asks.open(asked, flow.gateway.rules.policy.ask_wait)

    def digest_of(self, prepared: Prepared) -> str:
        """The request digest, were it sent as prepared now."""
        want = wanted(prepared, self.size, self._body_digest(), len(self.raw))
        return request_digest(self._flow.gateway.identity.bottle, AskKind.REQUEST, want)

    def _body_digest(self) -> str:
        return self._hash.hexdigest() if self._hash is not None and self.size else ""

    @property
    def body_digest(self) -> str:
        """sha256 hex of the whole body, for the record."""
        return self._body_digest()

    @property
    def session(self) -> "Session":
        return self._session

    # the answer

    def opened(self, opened: AskOpened) -> None:
        """The keeper has it."""
        self.ask, self.deadline = opened.ask, opened.deadline

    def settled(self, settled: Settled) -> None:
        """A person's answer, or the end of waiting."""
        self.ask = settled.ask or self.ask
        if not self.over:
            self._flow.answered(self, settled)

    def took(self, grant: str) -> Grant | None:
        """The grant for one use under which it was asked, if it is this one and the policy is still its own."""
        once = self._once
        same = self._flow.gateway.rules.policy.digest == self._policy
        return once if once is not None and once.id == grant and same else None

    def shown(self, most: int) -> HeldBytes | None:
        """What would leave, for a person who looks at it."""
        if self.over or not self.digest:
            return None
        head = shown_head(self._flow.gateway.rules, self._flow.prepared_again(self))
        try:
            body = self._body.first(most) if self._body is not None else b""
        except Tampered:
            return None
        return HeldBytes(self.number, head, body, self.size)

    def take_body(self) -> Spooled | None:
        """The body, whole and unaltered, for whoever sends it. Raises Tampered."""
        body = self._body
        if body is not None:
            body.check()
        self._body = None
        return body

    def drop(self) -> None:
        """It is over: its place and its space go back."""
        self.over = True
        self._flow.holding.discard(self)
        if self._body is not None:
            self._body.close()
            self._body = None

    # the agent's connection

    def client_gone(self) -> None:
        """The program hung up: the ask is withdrawn."""
        if not self.over:
            self._flow.withdrawn(self)

    def client_drained(self) -> None:
        """Nothing was written that anybody waits for."""

    def fail(self, status: int, slug: str, what: str) -> None:
        """The body is malformed, or the bottle ends."""
        if not self.over:
            self._flow.refuse_held(self, slug, what, status)

    def sweep(self, now: float) -> None:
        """A body that stops coming; a whole one waits as long as its ask."""
        limits = self._flow.gateway.limits
        if self.over or self.digest:
            return
        if now - self._session.leg.active > limits.idle_seconds or now - self._since > limits.total_seconds:
            self.fail(408, "timeout.idle", "The rest of the request did not arrive in time.")


def when(wall: int) -> str:
    """A wall time as RFC 3339, UTC; "" for none."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(wall // 1_000_000_000)) if wall else ""
