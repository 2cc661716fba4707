"""Which secrets one bottle needs, and that all of them exist before anything is made."""

from collections.abc import Iterable, Mapping

from bot_bottle.base.errors import OperatorFault
from bot_bottle.custody import supply
from bot_bottle.custody.open import Custody
from bot_bottle.custody.visible import visible_environment
from bot_bottle.keeper.messages.launcher import Open


def wanted(order: Open) -> tuple[str, ...]:
    """Names that the plan or a route asks for, and those that the bottle shows (the gateway scrubs them as well)."""
    return tuple(sorted({*order.secrets, *order.policy.secrets(), *order.visible}))


def values(names: Iterable[str], custody: Custody) -> dict[str, bytes]:
    """Name -> value, for the gateway. Raises OperatorFault ``custody.unset`` that names what is missing."""
    names = sorted(set(names))
    missing = supply.missing(names, custody)
    if missing:
        what = f"The secret {missing[0]} is not set." if len(missing) == 1 else f"Not set: {', '.join(missing)}."
        raise OperatorFault("custody.unset", what, f"Run: bot-bottle secret set {missing[0]}")
    return supply.gateway_values(names, custody)


def environment(visible: Mapping[str, str], custody: Custody) -> dict[str, str]:
    """Variable -> value of the secrets that the person's own bottle file shows to the agent."""
    return visible_environment(visible, custody) if visible else {}


def present(names: Iterable[str], custody: Custody) -> dict[str, bytes]:
    """Name -> value of those that are set: for sinks and notifiers, each of which says what it lacks."""
    return supply.gateway_values(names, custody)
