"""The one name that the gateway answers itself (MCP): routed before the policy, never resolved, dialled, asked about.

A service takes the whole request like an exchange does (`session.Taker`) and owes its answer; nothing of it leaves.
"""

from typing import TYPE_CHECKING, Protocol

from bot_bottle.egress import answer
from bot_bottle.policy.hosts import INSIDE

if TYPE_CHECKING:
    from bot_bottle.egress.prepare import Prepared
    from bot_bottle.egress.session import Session

HOST = INSIDE
RULE = "bot-bottle/inside"


class Service(Protocol):
    """What answers at `HOST`, over http and https alike."""

    def serve(self, session: "Session", prepared: "Prepared", /) -> None:
        """One request head. Calls `session.begin(prepared.head, taker)`, then `session.answer` or `session.leg.write`
        and `session.next`."""
        ...


class Nothing:
    """Nobody is here: 404."""

    def serve(self, session: "Session", prepared: "Prepared", /) -> None:
        session.begin(prepared.head, None, drain=True)
        session.answer(answer.fault(404, "inside.nothing", "Nothing is here"), prepared.head.method)
