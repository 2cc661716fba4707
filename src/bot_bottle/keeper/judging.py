"""One person's answer, weighed: by the keeper of a running bottle and by one without a bottle, by the same rules.

Nothing is written here. What an answer is worth says `supervise.rules`; who brings it says the kernel and not the
message: a user of this machine can speak for no other one (B44).
"""

import os
import secrets
from typing import TYPE_CHECKING

import msgspec

from bot_bottle.base.errors import BusyFault, UsageFault
from bot_bottle.keeper.messages.approvals import AnswerAsk
from bot_bottle.policy.effective import Policy
from bot_bottle.supervise import rules
from bot_bottle.supervise.charter import LOCAL, Charter
from bot_bottle.supervise.granting import grant_for
from bot_bottle.supervise.model import Answer, Approver, Ask, AskState, Scope, StoredGrant
from bot_bottle.supervise.ports import ApprovalReader

if TYPE_CHECKING:
    from bot_bottle.supervise import leaf

_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"


class Judged(msgspec.Struct, frozen=True):
    """What an answer does. ruling: Settles or Waits. grant: what a yes gives beyond the held request, or None."""

    ask: Ask
    answer: Answer
    ruling: rules.Settles | rules.Waits
    grant: StoredGrant | None = None

    @property
    def state(self) -> AskState:
        """Of the ask afterwards."""
        if isinstance(self.ruling, rules.Waits):
            return self.ask.state
        return AskState.ALLOWED if self.ruling.allow else AskState.DENIED


class Bench(msgspec.Struct, frozen=True):
    """Where an answer is weighed. policy, revision: in force, "" and 0 for a bottle that has ended. now: wall ns."""

    now: int
    policy: str = ""
    revision: int = 0
    leaf: str = ""
    charter: Charter = LOCAL


def judge(store: ApprovalReader, bench: Bench, said: AnswerAsk, peer: int) -> Judged:
    """Raises UsageFault where the answer does not count."""
    ask = asked(store, said.ask)
    is_themselves(said.approver, peer)
    case = rules.Case(
        ask, bench.now, tuple(store.answers(ask.id)), bench.policy, bench.revision, f"os:{os.getuid()}", bench.leaf
    )
    answer = Answer(
        id=name("n"), ask=ask.id, request=said.request, allow=said.allow, scope=said.scope, approver=said.approver,
        at=bench.now, seconds=said.seconds, reason=said.reason[:500], break_glass=said.break_glass,
        late=said.late,
    )  # fmt: skip
    ruling = rules.may_answer(bench.charter, case, answer)
    if isinstance(ruling, rules.Refused):
        raise UsageFault(ruling.slug, ruling.what, ruling.hint)
    if isinstance(ruling, rules.Waits):
        return Judged(ask, answer, ruling)
    return Judged(ask, answer, ruling, grant_for(ask, answer, ruling, name("g"), bench.leaf))


def asked(store: ApprovalReader, ask: str) -> Ask:
    """The ask of this id. Raises UsageFault."""
    found = store.ask(ask)
    if found is None:
        raise unknown_ask()
    return found


def unknown_ask() -> UsageFault:
    return UsageFault("ask.unknown", "There is no such ask.", "bot-bottle supervise lists them.")


def is_themselves(approver: Approver, peer: int) -> None:
    """A user of this machine answers as the uid that the kernel names. Raises UsageFault."""
    if approver.kind == "os" and approver.id != str(peer):
        raise UsageFault("ask.not-you", "This answer was given in the name of another user.", "Answer as yourself.")


def proposed(judged: Judged, policy: Policy, said: AnswerAsk) -> "leaf.Proposal | None":
    """The change of the bottle file that this answer makes; None where it makes none. Raises UsageFault where the
    person saw none, BusyFault where they saw another one (B44: what is written is what was shown)."""
    grant = judged.grant
    if grant is None or grant.scope is not Scope.ALWAYS:
        return None
    proposal = propose(grant.write, policy, judged.ask)
    if not said.shown:
        what = "A yes for always writes a rule, and this one came without having seen it."
        raise UsageFault("ask.unshown", what, "Look at the change first, and send its digest along.")
    if said.shown != proposal.before:
        raise BusyFault("leaf.changed", "The bottle file changed since the rule was shown.", "Look at the ask again.")
    return proposal


def propose(path: str, policy: Policy, ask: Ask) -> "leaf.Proposal":
    """What `always` would write for this ask."""
    from bot_bottle.supervise import leaf  # reads manifests: no bottle starts later for it

    return leaf.propose(path, policy, ask.wanted, f"a person's answer to {ask.id}")


def name(kind: str) -> str:
    """A new id: short, since people type it; unique, since the store refuses a second one. kind: a, n, g."""
    length = 8 if kind == "a" else 12
    return f"{kind}-{''.join(secrets.choice(_ALPHABET) for _ in range(length))}"


def faster(ask: Ask) -> BusyFault:
    """Somebody else settled it between our look and our change."""
    return BusyFault("ask.faster", f"Somebody else was faster: see {ask.id}.", "Look at the ask again.")
