"""The asks of one bottle, from the gateway's question to a person's answer (design path d; D25, B44, B74).

Every answer has one order: record, store, gateway (what a grant covers: store, record, gateway). What was not
recorded opens nothing; what the store did not take (somebody else was faster, its disk is full) lets nothing through.
One thread, so no two answers meet here; another process meets us in the store, by compare-and-set. Whatever dies
in the middle, the request that was held is not sent: the gateway sends only after `Settled`, the last thing there is.
"""

import contextlib
from typing import Any

import msgspec

from bot_bottle.base.errors import AuditFault, BottleError, HostFault
from bot_bottle.egress.messages import Asked, AskOpened, HeldBytes, Settled, ShowHeld, Withdrawn
from bot_bottle.keeper import approval_records as records
from bot_bottle.keeper.answering import Answering, Reply
from bot_bottle.keeper.approval_ports import Archive, Around
from bot_bottle.keeper.grants import Grants
from bot_bottle.keeper.judging import name
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.approvals import AnswerAsk, AskShown, LeafProposed, RevokeGrant
from bot_bottle.keeper.messages.launcher import AskWaits, Open
from bot_bottle.keeper.messages.replies import Done
from bot_bottle.keeper.waiting import Rate, Waiting
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.verdict import Kind, Request
from bot_bottle.supervise.charter import title
from bot_bottle.supervise.digest import request_digest, scope_digest
from bot_bottle.supervise.expiry import DEFAULTS, SECOND
from bot_bottle.supervise.granting import Holder, is_access
from bot_bottle.supervise.model import Ask, AskState, Scope, StoredGrant
from bot_bottle.supervise.risk import METHODS
from bot_bottle.supervise.sentence import sentence, state_words

_LARGEST = 65536
_SAYS = 2000
_ONCE_OPENS = DEFAULTS[Scope.ONCE] * SECOND
"""How long a flow may live that took a grant for one use: such a grant ends with the use, not with the flow."""


class Approvals:
    """`heard` for the gateway's words; `answer`, `show`, `propose`, `revoke`, `refresh` for the control socket;
    `tick`, `policy_changed` and `end` for the session."""

    def __init__(self, loop: Loop, order: Open, around: Around, archive: Archive) -> None:
        self._order = order
        self._around = around
        self._archive = archive
        self._waiting = Waiting(loop, self._expired)
        self._grants = Grants(archive, self.holder, self._waiting.now, around.tell, around.write)
        self._grants.on_change = self._covered
        self._answering = Answering(order, around, archive, self._waiting, self._grants)
        self._answering.on_settled = self._show_nothing
        self._showing: dict[int, list[Reply]] = {}
        self._rate = Rate(order.limits.asks * 2, order.limits.held * 2)  # twice what an honest gateway lets by

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def now(self) -> int:
        """Wall ns that never goes back."""
        return self._waiting.now()

    def holder(self) -> Holder:
        """This bottle as grants know it."""
        who = self._order.identity
        policy = self._around.policy().digest
        return Holder(who.run, who.bottle, self._order.project, policy, who.agent, who.harness)

    def initial(self) -> tuple[Any, ...]:
        """The grants that hold at the start, for Configure; none where the store cannot be read. A bottle that will
        ask opens it now, and not while its first request waits."""
        policy = self._order.policy
        if policy.default == "ask" or any(route.action == "ask" for route in policy.routes):
            with contextlib.suppress(HostFault):  # said when something is asked
                self._archive.open()
        return self._grants.initial()

    # ---- what the gateway says

    def heard(self, message: Asked | Withdrawn | HeldBytes) -> None:
        """A word of the gateway about asks."""
        match message:
            case Asked():
                self._asked(message)
            case Withdrawn(number=number):
                self._withdrawn(number)
            case HeldBytes():
                shown = AskShown(bool(message.head), message.head, message.body, message.size)
                for reply in self._showing.pop(message.number, []):
                    reply(shown)

    def _asked(self, message: Asked) -> None:
        try:
            over = self._objection(message)
            if over is None and not self._let_by(ask := self._ask(message)):
                self._open(ask)
        except AuditFault:
            return  # the bottle is being ended
        except BottleError as error:
            over = ("ask.unkept", f"The question could not be kept: {error.what}")
        if over is not None:
            self._around.tell(AskOpened(message.number, "", 0, *over))

    def _objection(self, message: Asked) -> tuple[str, str] | None:
        """A gateway may be taken over: what it asks is bounded here once more (D18, B74)."""
        if self._waiting.of(message.number) is not None or message.number <= 0:
            return "ask.number", "This number waits already."
        if len(self._waiting) >= self._order.limits.held or not self._rate.take():
            return "ask.too-many", "This bottle asks too often."
        if len(msgspec.msgpack.encode(message.wanted)) > _LARGEST:
            return "ask.too-large", "The request is too large to be shown."
        if not set(message.wanted.methods) <= set(METHODS) or (message.wanted.methods and message.wanted.method):
            return "ask.methods", "These methods are none that a person can be asked about."
        return None

    def _ask(self, message: Asked) -> Ask:
        who, policy, now = self._order.identity, self._around.policy(), self._waiting.now()
        wanted = message.wanted
        return Ask(
            id=name("a"), run=who.run, bottle=who.bottle, label=who.label, agent=who.agent, harness=who.harness,
            project=self._order.project, kind=message.kind, number=message.number, wanted=wanted,
            rule=message.rule[:300], reason=message.reason[:100], hint=message.hint[:1000],
            request=request_digest(who.bottle, message.kind, wanted),
            scope=scope_digest(who.bottle, message.kind, wanted), policy=policy.digest, revision=policy.revision,
            asked=now, deadline=now + int(policy.ask_wait * SECOND), says=message.says[:_SAYS],
        )  # fmt: skip

    def _let_by(self, ask: Ask) -> bool:
        """A yes that was given before: for one use (it is used up first), or one that came while it was asked."""
        grant = self._grants.take(ask) or self._grants.covering(ask)
        if grant is None:
            return False
        until = self._waiting.now() + _ONCE_OPENS if grant.uses else grant.expires
        self._around.tell(_allowed(ask.number, grant.ask, grant, until))
        self._grants.refresh()
        return True

    def _open(self, ask: Ask) -> None:
        self._around.write(records.asked(ask))
        try:
            self._archive.open().add(ask)
        except HostFault:
            self._around.write(records.settled(ask, AskState.REFUSED, "ask.unkept"))
            raise
        self._waiting.put(ask)
        self._around.tell(AskOpened(ask.number, ask.id, ask.deadline))
        self._around.say(AskWaits(ask.id, ask.state, sentence(ask)))

    def _withdrawn(self, number: int) -> None:
        """Its program hung up, or a new policy denies it."""
        ask = self._waiting.of(number)
        if ask is not None:
            moot = self._around.policy().digest != ask.policy
            self._end(ask, AskState.REFUSED if moot else AskState.WITHDRAWN, "ask.withdrawn")

    def _expired(self, ask: Ask) -> None:
        self._end(ask, AskState.EXPIRED, "ask.expired", "Silence means no.")

    def _end(self, ask: Ask, state: AskState, slug: str, what: str = "") -> None:
        """An end that no person chose; what: for the agent, "" where nobody hears it any more."""
        self._waiting.take(ask.number)
        try:
            self._around.write(records.settled(ask, state, slug))
            self._archive.open().settle(ask.id, ask.version, state, self._waiting.now())
        except BottleError:
            pass  # no yes: whoever comes next finds it waiting past its deadline, and ends it
        if what:
            self._around.tell(Settled(ask.number, ask.id, False, state.value, slug, what))
        self._show_nothing(ask.number)
        self._around.say(AskWaits(ask.id, state, state_words(msgspec.structs.replace(ask, state=state))))

    # ---- what a person says

    def answer(self, said: AnswerAsk, reply: Reply, peer: int) -> None:
        """An answer, at the control socket. Raises BottleError where it does not count."""
        self._waiting.sweep()
        self._answering.answer(said, reply, peer)

    def propose(self, ask: str) -> LeafProposed:
        """The diff that `always` would make. Raises BottleError where it would make none."""
        return self._answering.propose(ask)

    def show(self, ask: str, reply: Reply) -> None:
        """Exactly what is held, asked of the gateway: it lies nowhere else in clear."""
        found = self._waiting.by_id(ask)
        if found is None:
            reply(AskShown(False))
            return
        self._showing.setdefault(found.number, []).append(reply)
        self._around.tell(ShowHeld(found.number))

    def revoke(self, said: RevokeGrant, peer: int) -> Done:
        """A grant ends now. Raises UsageFault where there is none."""
        self._grants.revoke(said, peer)
        return Done()

    def refresh(self) -> Done:
        """Another keeper changed grants."""
        self._grants.refresh()
        return Done()

    # ---- time, policy, end

    def tick(self) -> None:
        """Once a second: clocks may jump, other keepers give and revoke."""
        self._waiting.sweep()
        self._grants.look()

    def policy_changes(self, policy: Policy) -> None:
        """This one will hold: what was given under the one of now is over before that, and stays so (D25)."""
        holder = self.holder()
        self._grants.outdate(msgspec.structs.replace(holder, policy=policy.digest), holder.policy)

    def policy_changed(self) -> None:
        """What is asked about still is asked under the new policy; all else is moot (B74)."""
        policy = self._around.policy()
        compiled = compile(policy)
        for ask in self._waiting.all():
            methods = ask.wanted.methods or (ask.wanted.method,)
            found = [decide(compiled, _request(ask, method)) for method in methods]
            same = all(one.rule == ask.rule and one.kind is Kind.ASK for one in found)
            if same or is_access(ask.wanted):
                self._renew(ask, policy)
                continue
            now = all(one.kind is Kind.ALLOW for one in found)
            what = "The policy changed" + (" and allows this now: try again." if now else " while this waited.")
            self._end(ask, AskState.REFUSED, "ask.policy-changed", what)
        self._grants.forget()
        self._grants.refresh()

    def _renew(self, ask: Ask, policy: Policy) -> None:
        new = msgspec.structs.replace(ask, policy=policy.digest, revision=policy.revision)
        try:
            if self._archive.open().renew(new, ask.version):
                self._waiting.put(msgspec.structs.replace(new, version=ask.version + 1))
        except HostFault:
            pass  # its old policy refuses every yes

    def _covered(self) -> None:
        """A grant that came for one request lets the others that it covers go, too."""
        for ask in self._waiting.all():
            grant = self._grants.covering(ask)
            if grant is None:
                continue
            try:
                if not self._archive.open().settle(ask.id, ask.version, AskState.ALLOWED, self._waiting.now()):
                    continue
                self._around.write(
                    records.settled(ask, AskState.ALLOWED, "ask.granted", grant.id, title(grant.approver))
                )
            except BottleError:
                return
            self._waiting.take(ask.number)
            self._around.tell(_allowed(ask.number, ask.id, grant, grant.expires))
            self._around.say(AskWaits(ask.id, AskState.ALLOWED, "allowed by an earlier yes"))

    def end(self) -> None:
        """Nobody waits any more: bottle, gateway or launcher is gone."""
        for ask in self._waiting.all():
            self._end(ask, AskState.ENDED, "ask.ended")
        self._grants.end(self._order.identity.run)
        for number in list(self._showing):
            self._show_nothing(number)
        self._archive.close()

    def _show_nothing(self, number: int) -> None:
        for reply in self._showing.pop(number, []):
            reply(AskShown(False))


def _allowed(number: int, ask: str, grant: StoredGrant, until: int) -> Settled:
    """A yes that was given before lets this request go. until: wall ns at which its flow ends."""
    return Settled(
        number, ask, True, AskState.ALLOWED.value, grant=grant.id, approver=title(grant.approver), until=until
    )


def _request(ask: Ask, method: str) -> Request:
    """What is known of it here: no value of a header, so that a rule which looks at one finds it moot."""
    wanted = ask.wanted
    return Request(wanted.target, method, wanted.path, wanted.query, protocol=wanted.protocol)
