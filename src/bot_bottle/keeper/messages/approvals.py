"""What a person says of asks and grants, and what a keeper answers: at the control socket of a bottle that runs, or
within a question (messages.questions) about one that has ended."""

from bot_bottle.egress.messages import Frame
from bot_bottle.supervise.model import Approver, AskState, Scope


class AnswerAsk(Frame, tag="answerask"):
    """A person's answer to an ask of this bottle, or of one that has ended. Answered by Answered or Refused.
    id and at of the answer are the keeper's to give; the uid of the peer is recorded beside the approver.
    shown: for `always`, `leaf.Proposal.before` of the diff that they saw, "" for none. late: they were told that
    nobody waits any more, and mean one retry; without it a yes that comes too late is refused (D25)."""

    ask: str
    request: str
    allow: bool
    approver: Approver
    scope: Scope = Scope.ONCE
    seconds: int = 0
    reason: str = ""
    break_glass: bool = False
    shown: str = ""
    late: bool = False


class Answered(Frame, tag="answered"):
    """The answer counts. state: of the ask now (still waiting where a quorum is not reached). grant: its id, "" for
    once. wrote: the bottle file that got a rule."""

    state: AskState
    grant: str = ""
    wrote: str = ""


class RevokeGrant(Frame, tag="revokegrant"):
    """This grant ends now, and every flow under it. Answered by Done."""

    grant: str
    approver: Approver


class ShowAsk(Frame, tag="showask"):
    """What exactly is held for this ask? Answered by AskShown."""

    ask: str


class AskShown(Frame, tag="askshown"):
    """As HeldBytes; held: False where nothing is held any more."""

    held: bool
    head: bytes = b""
    body: bytes = b""
    size: int = 0


class ProposeLeaf(Frame, tag="proposeleaf"):
    """Which rule would `always` write for this ask, and where? Answered by LeafProposed or Refused."""

    ask: str


class LeafProposed(Frame, tag="leafproposed"):
    """path: of the bottle file; before: for `AnswerAsk.shown`; diff: unified. also: other bottles that the rule would
    hold for; the asking side fills it in."""

    path: str
    before: str
    diff: str
    also: tuple[str, ...] = ()


class RefreshGrants(Frame, tag="refreshgrants"):
    """Another keeper changed grants: read them again. Answered by Done."""
