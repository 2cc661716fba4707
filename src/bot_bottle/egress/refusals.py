"""Everything that ends with an answer of ours: one record, or a count where there are too many, then the answer."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from bot_bottle.audit.record import Kind as RecordKind
from bot_bottle.base.text import visible
from bot_bottle.egress import answer
from bot_bottle.egress.limits import Over
from bot_bottle.egress.mcp import words
from bot_bottle.egress.mcp.answers import url_text
from bot_bottle.egress.mcp.denials import Denial
from bot_bottle.egress.prepare import Prepared
from bot_bottle.egress.session import Session
from bot_bottle.egress.target import Site
from bot_bottle.egress.wire.http1 import Malformed
from bot_bottle.policy.hosts import bracketed
from bot_bottle.policy.verdict import Kind, Verdict, deny

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway

_SECRET_HITS = 3
_PATH = 300
TITLES = {
    400: "Malformed request", 408: "Too slow", 413: "Too large", 429: "Too many requests", 502: "Upstream failed",
           504: "Upstream too slow"}  # fmt: skip


class Refusals:
    """The flow's endings without an upstream."""

    def __init__(self, gateway: "Gateway") -> None:
        self.gateway = gateway
        self._hits = 0

    def deny(self, session: Session, prepared: Prepared) -> None:
        """Nothing left and nothing will: one record, then our answer."""
        gateway = self.gateway
        verdict = prepared.verdict
        if prepared.leaked:
            self.secret_hit()
        if not gateway.gauges.denials.take(gateway.loop.now):
            self.limited(session, "denials")
            return
        number = gateway.next_number()
        gateway.count_denied(prepared)
        record = gateway.journal.record(RecordKind.DENIED, **prepared.facts, request=number)
        status, slug, what = prepared.error or (403, verdict.reason, verdict.hint)
        reply = self.answer_for(prepared, number, status, slug, what, None if prepared.error else verdict)
        if prepared.protocol == "websocket" and not prepared.error and not prepared.leaked:
            reply = answer.upgrade_required(request=f"{gateway.identity.run}/{number}")
        session.begin(prepared.head, None, drain=True)
        if prepared.head.get("expect") or (status == 400):
            session.closing = True
        gateway.journal.write(record, lambda: session.answer(reply, prepared.head.method))

    def over(self, session: Session, prepared: Prepared, over: Over) -> None:
        verdict = deny(over.slug, over.what, prepared.verdict.rule)
        facts = {**prepared.facts, "verdict": Kind.DENY.value, "reason": over.slug}
        error = (over.status, over.slug, over.what) if over.status != 403 else None
        self.deny(session, prepared._replace(verdict=verdict, facts=facts, error=error))

    def excess(self, prepared: Prepared) -> Over | None:
        """Limits of the route, before any record; an excess is a denial with its own reason."""
        gateway, route = self.gateway, prepared.route
        assert route is not None
        over = None
        if prepared.metered:
            over = gateway.rules.usage(route).refuses(route.limits, route.rule, gateway.loop.now)
        if prepared.head.framing > 0:
            over = self.excess_bytes(prepared, prepared.head.framing) or over
        if over is None and route.host[0] == "*":
            over = gateway.wildcards.refuses(prepared.key[1], whole=route.host == "*")
        return over

    def excess_bytes(self, prepared: Prepared, size: int) -> Over | None:
        """Whether a body of so many bytes is too long for its route."""
        route = prepared.route
        allowed = (route.limits.request_bytes if route else 0) or self.gateway.limits.request_bytes
        if not allowed or size <= allowed:
            return None
        return Over("limit.request-bytes", f"The request is longer than {allowed} bytes.", 413)

    def secret_hit(self) -> None:
        self._hits += 1
        if self._hits >= _SECRET_HITS:
            self._hits = 0
            self.gateway.freeze("The bottle sent a real secret three times.", own=True)

    def answer_for(
        self, prepared: Prepared, number: int, status: int, slug: str, what: str, verdict: Verdict | None
    ) -> answer.Answer:
        """Our answer in the shape of the host."""
        shape = self.gateway.rules.shape(prepared.place.target.host) if prepared.place else ""
        request = f"{self.gateway.identity.run}/{number}"
        self.remember(prepared, number, status, slug, what)
        if verdict is not None:
            how = "" if shape else self._how(prepared, slug)
            return answer.denial(verdict, request=request, shape=shape, how=how)
        title = TITLES.get(status, "Failed")
        return answer.fault(status, slug, title, hint=what, rule=prepared.verdict.rule, request=request, shape=shape)

    def remember(self, prepared: Prepared, number: int, status: int, slug: str, what: str) -> None:
        """For an agent that asks why by the number of its request."""
        place = prepared.place
        denial = Denial(
            prepared.head.method, place.target if place else None, place.path if place else "", prepared.protocol,
            status, slug, prepared.verdict.rule, what,
        )  # fmt: skip
        self.gateway.denials.add(number, denial)

    def _how(self, prepared: Prepared, slug: str) -> str:
        """How to ask a person for what no route names."""
        place = prepared.place
        if slug not in words.LIFTED or place is None:
            return ""
        path = place.path if len(place.path) <= _PATH else "/"
        return words.how_to_ask(visible(prepared.head.method, 32), url_text(place.target, path))

    def refuse(self, session: Session, status: int, slug: str, what: str) -> None:
        """A connection that never came to a request: recorded, answered, closed."""
        self._close_with(session, status, slug, what)

    def unreadable(self, session: Session, fault: Malformed) -> None:
        """A head beyond the limits: recorded, answered, closed."""
        self._close_with(session, 431, fault.slug, fault.what)

    def too_slow(self, session: Session) -> None:
        """A head or handshake that does not end (slow loris)."""
        self._close_with(session, 408, "limit.head-seconds", "The request's head did not arrive in time.")

    def client_refused(self, session: Session, failure: str) -> None:
        """The agent's program refused our certificate, or spoke no TLS that we know; a person should see that."""
        self.note(session.site, "tls.client", f"The program in the bottle ended the TLS handshake: {failure}.")

    def note(self, site: Site, slug: str, what: str, then: Callable[[], None] | None = None) -> bool:
        """Records that a connection came to nothing; False, and counted only, where there are too many."""
        gateway = self.gateway
        if not gateway.gauges.denials.take(gateway.loop.now):
            gateway.gauges.refuse("denials")
            return False
        gateway.counters.denied += 1
        target = f"{site.scheme}://{bracketed(site.host)}:{site.port}" if site.host else ""
        record = gateway.journal.record(
            RecordKind.DENIED, request=gateway.next_number(), entry=site.entry, target=target,
            verdict=Kind.DENY.value, reason=slug, detail={"what": what},
        )  # fmt: skip
        gateway.journal.write(record, then)
        return True

    def _close_with(self, session: Session, status: int, slug: str, what: str) -> None:
        session.hold()
        reply = answer.fault(status, slug, TITLES.get(status, "Refused"), hint=what)
        if not getattr(session.leg, "up", True) or not self.note(
            session.site, slug, what, lambda: session.answer(reply)
        ):
            session.cut()

    def limited(self, session: Session, cause: str) -> None:
        """Too much of everything: counted, answered without a record, closed."""
        self.gateway.gauges.refuse(cause)
        self.gateway.counters.limited += 1
        session.hold()
        session.answer(
            answer.fault(429, f"limit.{cause}", "Too many requests", hint="This bottle is over its limit.")
        )
