"""Step 5 of the one path: hold, wait for an answer, decide again, send exactly those bytes (D25, B74).

A yes counts for what was asked about and for nothing else: after it the request is prepared anew under the rules that
hold then. A denial of them wins, another rule or another digest is not what the person saw, and a body that was
altered at rest is not sent.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from bot_bottle.audit.record import Kind as RecordKind
from bot_bottle.egress import answer
from bot_bottle.egress.exchange import Exchange
from bot_bottle.egress.hold import Held, too_large, when
from bot_bottle.egress.messages import Settled
from bot_bottle.egress.outcome import Ending, Yes
from bot_bottle.egress.prepare import Prepared, prepare
from bot_bottle.egress.refusals import TITLES, Refusals
from bot_bottle.egress.session import Session
from bot_bottle.egress.spool import Spooled, Tampered
from bot_bottle.policy.grants import Grant
from bot_bottle.policy.verdict import Kind, Verdict, deny

if TYPE_CHECKING:
    from bot_bottle.egress.flow import Flow

_RETRY = ("expired", "ended")
_AGAIN = "If a person says yes later, the same request goes through when it is sent again within 10 minutes of that."
_ENDS = {
    "denied": ("Denied by a person", "A person said no."),
    "expired": ("Nobody answered in time", "Silence means no."),
    "ended": ("Nobody answered", "The bottle that asked has ended."),
    "refused": ("Not asked", "The request was not put to a person."),
}
"""Title, and the sentence where the keeper has none, by the state of the ask."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNSAID = 600_000_000_000
"""How long a yes opens a flow whose end the keeper did not say, ns."""


class Asking(Refusals, ABC):
    """What the flow does with asks. holding: every held request."""

    holding: set[Held]
    open: set[Ending]

    @abstractmethod
    def start(self, exchange: Exchange) -> None:
        """The intent is written."""

    def hold(self, session: Session, raw: bytes, prepared: Prepared) -> None:
        """Takes the request in, unless a limit refuses it anyway; nothing of it is recorded as sent."""
        gateway = self.gateway
        number = gateway.next_number()
        held = Held(self, session, prepared, raw, number)
        over = (
            too_large(prepared, gateway.rules.policy.ask_body)
            or self.excess(prepared)
            or gateway.asks.place(number, held)
        )
        if over is not None:
            self.over(session, prepared, over)
            return
        self.holding.add(held)
        if prepared.head.get("expect") and prepared.head.minor and prepared.head.framing:
            session.leg.write(_CONTINUE)
        session.begin(prepared.head, held)
        if not prepared.head.framing:
            held.complete()

    def prepared_again(self, held: Held, used: Grant | None = None) -> Prepared:
        """Its head under the rules of this moment. used: a grant for one use that the keeper took for it."""
        gateway = self.gateway
        rules = gateway.rules.lending(used)
        return prepare(rules, gateway.journal, held.session.site, held.raw, gateway.limits.head_fields)

    # how it ends

    def answered(self, held: Held, said: Settled) -> None:
        """Steps 3 to 5 again with a person's yes, then step 6; or the denial."""
        if not said.allow:
            self.refuse_held(held, said.slug or f"ask.{said.state}", said.what, said=said)
            return
        prepared = self.prepared_again(held, held.took(said.grant))
        objection = _objection(held, prepared)
        if objection is not None:
            self.refuse_held(held, objection.reason, objection.hint, said=said)
            return
        try:
            body = held.take_body()
        except Tampered:
            self.refuse_held(held, "ask.altered", "What was held is not what was asked about any more.", said=said)
            return
        self._release(held, prepared, said, body)

    def _release(self, held: Held, prepared: Prepared, said: Settled, body: Spooled | None) -> None:
        """Step 6 for a held request: the intent names who said yes to what."""
        gateway, session = self.gateway, held.session
        held.drop()
        verdict = Verdict(Kind.ALLOW, prepared.verdict.rule, route=prepared.verdict.route)
        told = {"ask": said.ask, "grant": said.grant, "approver": said.approver, "body_digest": held.body_digest}
        facts = {**prepared.facts, "verdict": Kind.ALLOW.value, "reason": "", **told}
        exchange = Exchange(
            cast("Flow", self),
            session,
            prepared._replace(verdict=verdict, facts=facts, intent=None, outcome=None),
            held.number,
        )
        exchange.held = body
        wall = time.time_ns()
        until = said.until or wall + _UNSAID
        ends = gateway.loop.now + (until - wall) / 1e9
        exchange.yes = Yes(said.ask, said.grant, until, ends, held.took(said.grant))
        session.exchange = exchange
        session.leg.active = gateway.loop.now
        self.open.add(exchange)
        record = gateway.journal.record(RecordKind.INTENT, **facts, request=held.number)
        gateway.journal.write(record, lambda: self.start(exchange))

    def refuse_held(self, held: Held, slug: str, what: str, status: int = 403, said: Settled | None = None) -> None:
        """One record, then our answer; with a way to come back where a late yes may still be given."""
        state = said.state if said is not None else ""
        title, plain = _ENDS.get(state, (TITLES.get(status, "Denied by policy"), ""))
        retry = held.ask if state in _RETRY else ""
        note = answer.AskNote(held.ask, retry, when(held.deadline))
        prepared = self._denied(held, slug, said.approver if said is not None else "")
        shape = self.gateway.rules.shape(prepared.place.target.host) if prepared.place else ""
        self.remember(prepared, held.number, status, slug, what or plain)
        reply = answer.fault(
            status, slug, title, hint=what or plain, how=_AGAIN if retry else "", rule=held.rule, ask=note,
            shape=shape, request=f"{self.gateway.identity.run}/{held.number}",
        )  # fmt: skip
        self._settle(held, prepared, lambda: held.session.answer(reply, prepared.head.method))

    def withdrawn(self, held: Held) -> None:
        """The program in the bottle hung up."""
        self._settle(held, self._denied(held, "ask.withdrawn", ""), None)

    def held_secret(self, held: Held, name: str) -> None:
        """Step 4 in a body that is to be held: a real secret is denied and never asked about (B43)."""
        self.refuse_held(
            held, "custody.secret-sent", f"The request holds the secret {name}, which never leaves a bottle."
        )
        self.secret_hit()

    def _denied(self, held: Held, slug: str, approver: str) -> Prepared:
        prepared = self.prepared_again(held)
        told = {"verdict": Kind.DENY.value, "rule": held.rule, "reason": slug, "ask": held.ask, "approver": approver}
        found = ("custody.secret-sent",) if slug == "custody.secret-sent" else prepared.facts.get("findings", ())
        return prepared._replace(facts={**prepared.facts, **told, "secrets": (), "findings": found})

    def _settle(self, held: Held, prepared: Prepared, then: Callable[[], None] | None) -> None:
        """It is over without a byte sent: one record says it all."""
        gateway = self.gateway
        gateway.asks.leave(held.number)
        held.drop()
        held.session.abandon()
        gateway.count_denied(prepared)
        body = held.body_digest if held.digest else ""
        record = gateway.journal.record(
            RecordKind.DENIED, **prepared.facts, request=held.number, up=held.size, body_digest=body
        )
        gateway.journal.write(record, then)


def _objection(held: Held, prepared: Prepared) -> Verdict | None:
    """Why a yes to what was asked is no yes to what would be sent now."""
    if prepared.verdict.kind is Kind.DENY:
        return prepared.verdict
    if prepared.verdict.rule != held.rule or held.digest_of(prepared) != held.digest:
        return deny(
            "ask.changed", "The rules changed while the request waited, so the answer does not hold; try again."
        )
    return None
