"""How one exchange ends, and the one record that says so (step 11): answered by us, cut, or complete.

Whoever gave the yes under which it runs bounds it: it ends when that ends (D25).
"""

import time
from collections.abc import Set
from typing import TYPE_CHECKING, NamedTuple

from bot_bottle.audit.record import Kind as RecordKind
from bot_bottle.egress.records import outcome_members
from bot_bottle.egress.reply import Body
from bot_bottle.egress.session import Session
from bot_bottle.egress.spool import Spooled
from bot_bottle.policy.grants import Grant
from bot_bottle.policy.verdict import Kind, Verdict

if TYPE_CHECKING:
    from bot_bottle.egress.flow import Flow
    from bot_bottle.egress.prepare import Prepared
    from bot_bottle.egress.tunnel import Tunnel
    from bot_bottle.egress.upstream import Link


class Yes(NamedTuple):
    """A person's yes to this one request. grant: id, "" for once. until: wall ns at which what it opened ends; ends:
    the same by the monotonic clock (s), since one that is set back prolongs nothing. used: the grant for one use that
    it took, which holds for nothing else."""

    ask: str
    grant: str
    until: int
    ends: float
    used: Grant | None = None

    def over(self, now: float) -> bool:
        """Whether what it opened must end. now: monotonic."""
        return now >= self.ends or time.time_ns() >= self.until


class Ending:
    """What is known of an exchange. address: ``ip:port`` that was dialled; addresses: pinned ones still to try.

    up, down: body bytes. status: as the agent saw it. sent: whether any byte of the answer went to the agent.
    held: the body of a request that waited for a yes; it is sent from there.
    """

    # Most exchanges never touch most of these: defaults of the class cost nothing.
    link: "Link | None" = None
    address = ""
    addresses: tuple[str, ...] = ()
    up: int = 0
    down: int = 0
    status: int = 0
    sent = False
    finished = False
    frames: "Tunnel | None" = None
    findings: tuple[str, ...] = ()
    yes: Yes | None = None
    held: Spooled | None = None
    _body: Body | None = None
    _kept_up = b""
    _kept_down = b""

    def __init__(self, flow: "Flow", session: Session, prepared: "Prepared", number: int) -> None:
        self.flow = flow
        self.session = session
        self.prepared = prepared
        self.number = number
        self.rules = flow.gateway.rules
        self.started = time.monotonic()
        if prepared.head.framing:
            self._begin_upload(prepared.head.framing)

    def _begin_upload(self, framing: int) -> None:
        """A body follows."""

    def fail(self, status: int, slug: str, what: str, verdict: Verdict | None = None) -> None:
        """Ends with an answer of ours, or with a cut where the upstream's has begun."""
        if self.finished:
            return
        session = self.session
        if not self.sent:
            self.status = status
            if status in (400, 408):
                session.closing = True
        self._end(slug)
        if self.sent:
            session.cut()
        else:
            reply = self.flow.answer_for(self.prepared, self.number, status, slug, what, verdict)
            session.answer(reply, self.prepared.head.method)

    def _end(self, reason: str) -> None:
        if self.finished:
            return
        link = self.link
        self.link = None
        if link is not None:
            link.user = None
            link.close()
        if self._body is not None:
            self.down = self._body.down
        self._close_books(reason)

    def _close_books(self, reason: str) -> None:
        """Step 11: the outcome record, once."""
        if self.finished:
            return
        self.finished = True
        if self.held is not None:
            self.held.close()
        prepared, gateway = self.prepared, self.flow.gateway
        ms = round((time.monotonic() - self.started) * 1000, 3)
        address = self.address
        if self.rules.policy.log == "full":
            self._record_bodies()
        if not reason and not self.findings and prepared.outcome is not None:
            members = outcome_members(
                b'"%b"' % address.encode() if address else b"", self.status, self.up, self.down, ms
            )
            gateway.journal.stage(prepared.outcome.line(self.number, members))
        else:
            facts = prepared.outcome_facts()
            if reason:
                facts["reason"] = reason
            facts["findings"] = self.findings
            record = gateway.journal.record(
                RecordKind.OUTCOME,
                **facts,
                request=self.number,
                address=address,
                status=self.status,
                up=self.up,
                down=self.down,
                ms=ms,
            )
            gateway.journal.write(record)
        self.flow.settled(self, reason)

    def _record_bodies(self) -> None:
        """Level full: what was sent and what was passed on, up to `KEPT` bytes each."""
        journal = self.flow.gateway.journal
        down = bytes(self._body.kept or b"") if self._body is not None else self._kept_down
        for reason, body in (("request-body", self._kept_up), ("reply-body", down)):
            if body:
                journal.write_body(journal.record(RecordKind.BODY, request=self.number, reason=reason), body)

    def allowed_still(self, verdict: Verdict, gone: Set[str]) -> bool:
        """Whether another policy, or other grants, still give this exchange its power. gone: grants that ended.

        What a person said yes to goes on where it is allowed by now: `always` writes a rule of its own for it.
        """
        same, yes = verdict.rule == self.prepared.verdict.rule, self.yes
        if verdict.kind is Kind.ALLOW:
            return same or yes is not None
        return verdict.kind is Kind.ASK and same and yes is not None and yes.grant not in gone

    def sweep(self, now: float) -> None:
        """Once a second: the end of a yes, idle and total time."""
        if self.yes is not None and self.yes.over(now):
            self.fail(403, "ask.until", "The yes that this request had is over.")
            return
        route, limits = self.prepared.route, self.flow.gateway.limits
        idle = (route.timeouts.idle if route else 0) or limits.idle_seconds
        total = (route.timeouts.total if route else 0) or limits.total_seconds
        last = max(self.session.leg.active, self.link.leg.active if self.link and self.link.leg else 0.0)
        if now - last > idle:
            self.fail(504, "timeout.idle", f"Nothing moved for {idle:g} seconds.")
        elif now - self.started > total:
            self.fail(504, "timeout.total", f"The request took longer than {total:g} seconds.")
