"""What a keeper hears from the dashboard's web process, which parses strangers' bytes and may have been taken over
(D17): less than a person may say at the command line, and marked as theirs in every record.

The starter of `serve` opens each connection and says so before web gets it, so web cannot leave the mark out.
"""

from typing import TypeVar

import msgspec

from bot_bottle.base.errors import UsageFault
from bot_bottle.keeper.messages.approvals import AnswerAsk, ProposeLeaf, RefreshGrants, RevokeGrant, ShowAsk
from bot_bottle.keeper.messages.control import (
    ControlToKeeper,
    FactsQuery,
    FreezeBottle,
    LearnPolicy,
    Stop,
    ThawBottle,
)
from bot_bottle.supervise.model import Approver

_SILENT = FactsQuery | Stop | FreezeBottle | ThawBottle | ShowAsk | ProposeLeaf | RefreshGrants
_VIAS = ("web", "api")
Spoken = TypeVar("Spoken", AnswerAsk, RevokeGrant, LearnPolicy)


def by_web(message: ControlToKeeper) -> ControlToKeeper:
    """The message as it counts. Raises UsageFault for what no page has: a policy, a secret."""
    match message:
        case AnswerAsk():
            return vouched(message)
        case RevokeGrant():
            return vouched(message)
        case LearnPolicy():
            return vouched(message)
        case _ if isinstance(message, _SILENT):
            return message
        case _:
            raise UsageFault("web.control", "The dashboard may not ask a keeper for this.", "Use the command line.")


def vouched(said: Spoken) -> Spoken:
    """Its approver is whom web names (sessions and tokens are web's); that web named them is recorded."""
    return msgspec.structs.replace(said, approver=named(said.approver))


def named(approver: Approver) -> Approver:
    """As web may name one: never somebody at a terminal."""
    return approver if approver.via in _VIAS else msgspec.structs.replace(approver, via=_VIAS[0])
