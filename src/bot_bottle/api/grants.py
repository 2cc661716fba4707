"""What the grants of this home open now: the store's rows beside the policies of what runs. Reads, writes nothing."""

from collections.abc import Callable, Sequence

from bot_bottle.base.errors import BottleError
from bot_bottle.base.home import Home
from bot_bottle.bottles import control
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.lease import Held
from bot_bottle.keeper.messages.control import Facts
from bot_bottle.supervise.granting import Holder, is_for
from bot_bottle.supervise.model import StoredGrant
from bot_bottle.supervise.ports import ApprovalReader
from bot_bottle.supervise.standing import Standing, in_order, standing

AskKeeper = Callable[[str], Facts | None]
"""What the keeper of a label knows; None where it does not answer (it starts, ends or hangs)."""


def stand(
    home: Home, store: ApprovalReader, grants: Sequence[StoredGrant], now: int, ask: AskKeeper | None = None
) -> list[tuple[StoredGrant, Standing]]:
    """Each grant with what it is now, the live ones first. now: wall ns. Only keepers that one is for are asked."""
    living = [held for held, lives in leases.leases(home) if lives] if grants else []
    mine = [held for held in living if any(is_for(one, _holder(held, None)) for one in grants)]
    holders = [_holder(held, (ask or _asker(home))(held.label)) for held in mine]
    return in_order((one, standing(one, _asked_by(store, one), now, holders)) for one in grants)


def _holder(held: Held, facts: Facts | None) -> Holder:
    """The lease names the policy of the start only: what holds by now the keeper alone knows."""
    if facts is None:
        return Holder(held.run, held.bottle, held.workspace, "")
    return Holder(facts.identity.run, facts.identity.bottle, facts.project, facts.policy)


def _asked_by(store: ApprovalReader, grant: StoredGrant) -> str:
    ask = store.ask(grant.ask)
    return ask.run if ask else ""


def _asker(home: Home) -> AskKeeper:
    def ask(label: str) -> Facts | None:
        try:
            return control.ask(home, label)
        except BottleError:
            return None

    return ask
