"""A person's answer, from the control socket to the gateway: judged, recorded, settled, recorded, let go (D25).

A yes is on the disk before anything comes of it; the bottle file of `always` is written between its record and the
compare-and-set, so that a rule never stands there which no record names, and is taken back where that fails.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from bot_bottle.base.errors import BottleError, UsageFault
from bot_bottle.egress.messages import Settled
from bot_bottle.keeper import approval_records as records
from bot_bottle.keeper.approval_ports import Archive, Around
from bot_bottle.keeper.grants import Grants
from bot_bottle.keeper.judging import Bench, Judged, asked, faster, judge, propose, proposed, unknown_ask
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, LeafProposed
from bot_bottle.keeper.messages.control import KeeperToControl
from bot_bottle.keeper.messages.launcher import AskWaits, Open
from bot_bottle.keeper.waiting import Waiting
from bot_bottle.supervise import rules
from bot_bottle.supervise.charter import title
from bot_bottle.supervise.expiry import LATE
from bot_bottle.supervise.granting import flow_ends, is_access
from bot_bottle.supervise.model import Ask, AskState, Scope
from bot_bottle.supervise.ports import ApprovalStore
from bot_bottle.supervise.sentence import state_words

if TYPE_CHECKING:
    from bot_bottle.supervise.leaf import Proposal

Reply = Callable[[KeeperToControl], None]


class Answering:
    """on_settled(number): a held request waits no more."""

    def __init__(self, order: Open, around: Around, archive: Archive, waiting: Waiting, grants: Grants) -> None:
        self._order = order
        self._around = around
        self._archive = archive
        self._waiting = waiting
        self._grants = grants
        self.on_settled: Callable[[int], None] = lambda _: None

    def answer(self, said: AnswerAsk, reply: Reply, peer: int) -> None:
        """An answer, at the control socket. Raises BottleError where it does not count."""
        store = self._archive.peek()
        if store is None:
            raise unknown_ask()
        judged = judge(store, self._bench(asked(store, said.ask)), said, peer)
        proposal = proposed(judged, self._around.policy(), said)
        diff = proposal.diff if proposal else ""
        late = isinstance(judged.ruling, rules.Settles) and judged.ruling.late
        self._around.write(records.answered(judged.ask, judged.answer, peer, judged.grant, late, diff))
        if judged.answer.allow:
            self._around.sign()  # a yes is on the disk before it does anything
        if isinstance(judged.ruling, rules.Waits):
            self._noted(store, judged, reply)
            return
        self._claim(store, judged, proposal)
        self._settle(judged)
        reply(Answered(judged.state, judged.grant.id if judged.grant else "", proposal.path if proposal else ""))
        if proposal is not None:
            self._around.barrier(lambda: self._around.reload(proposal.policy))

    def _bench(self, ask: Ask) -> Bench:
        """An ask of another run of this home is judged like one whose bottle has ended."""
        now = self._waiting.now()
        if ask.run != self._order.identity.run:
            return Bench(now)
        policy = self._around.policy()
        return Bench(now, policy.digest, 0 if ask.state in LATE else policy.revision, self._order.leaf)

    def _noted(self, store: ApprovalStore, judged: Judged, reply: Reply) -> None:
        """One yes of a quorum."""
        ask = judged.ask
        if not store.note(judged.answer, ask.version):
            raise faster(ask)
        if self._waiting.by_id(ask.id) is not None:
            self._waiting.put(store.ask(ask.id) or ask)
        reply(Answered(ask.state))

    def _claim(self, store: ApprovalStore, judged: Judged, proposal: "Proposal | None") -> None:
        """The bottle file, then compare-and-set; where the store takes it not, the file is as it was: an answer that
        lost leaves no rule behind. Raises BottleError, and then nothing has come of it."""
        ask, undo = judged.ask, _nothing
        if proposal is not None:
            from bot_bottle.supervise import leaf

            undo = leaf.write(proposal)
        try:
            if not store.settle(ask.id, ask.version, judged.state, judged.answer.at, judged.answer, judged.grant):
                raise faster(ask)
        except BottleError:
            undo()
            raise

    def _settle(self, judged: Judged) -> None:
        """The record of it, then what it lets go."""
        ask, ruling, state = judged.ask, judged.ruling, judged.state
        assert isinstance(ruling, rules.Settles)
        approver, grant = title(judged.answer.approver), judged.grant.id if judged.grant else ""
        self._around.write(records.settled(ask, state, "", grant, approver, ruling))
        waits = self._waiting.by_id(ask.id)
        if waits is not None:
            self._waiting.take(waits.number)
            self._around.tell(self._verdict(judged, waits.number, approver, grant))
            self.on_settled(waits.number)
            self._around.say(AskWaits(ask.id, state, state_words(msgspec.structs.replace(ask, state=state))))
        self._grants.refresh()

    def _verdict(self, judged: Judged, number: int, approver: str, grant: str) -> Settled:
        ask, answer, ruling = judged.ask, judged.answer, judged.ruling
        assert isinstance(ruling, rules.Settles)
        if not ruling.allow:
            what = "A person said no." + (f" They say: {answer.reason}" if answer.reason else "")
            return Settled(number, ask.id, False, AskState.DENIED.value, "ask.denied", what, approver=approver)
        until = flow_ends(ruling, answer.at)
        if judged.grant is not None and (ruling.scope is not Scope.ALWAYS or is_access(ask.wanted)):
            until = judged.grant.expires
        permanent = ruling.scope is Scope.ALWAYS
        return Settled(
            number, ask.id, True, AskState.ALLOWED.value, grant="" if permanent else grant, approver=approver,
            until=flow_ends(ruling, answer.at) if permanent else until,
        )  # fmt: skip

    def propose(self, ask: str) -> LeafProposed:
        """The diff that `always` would make. Raises BottleError where it would make none."""
        store = self._archive.peek()
        if store is None or not self._order.leaf:
            raise UsageFault("ask.no-file", "No bottle file can take a rule for this.", "Use scope bottle.")
        known = asked(store, ask)
        bench = self._bench(known)
        fault = rules.rule_fault(rules.Case(known, bench.now, (), bench.policy, bench.revision, "", bench.leaf))
        if fault is not None:
            raise UsageFault(fault.slug, fault.what, fault.hint)
        found = propose(self._order.leaf, self._around.policy(), known)
        return LeafProposed(found.path, found.before, found.diff)


def _nothing() -> None:
    """Nothing was written, so nothing is taken back."""
