"""The only way a real secret enters a bottle: `visible: true` in the person's own bottle file. The plan warns."""

from collections.abc import Mapping

from bot_bottle.base.errors import OperatorFault
from bot_bottle.custody.open import Custody


def visible_environment(visible: Mapping[str, str], custody: Custody) -> dict[str, str]:
    """Variable -> real value, for `Plan.visible` (name -> variable). Raises OperatorFault ``custody.unset``."""
    environment: dict[str, str] = {}
    for name, variable in sorted(visible.items()):
        secret = custody.get(name)
        if secret is None:
            raise OperatorFault(
                "custody.unset", f"The secret {name} is not set.", f"Run: bot-bottle secret set {name}"
            )
        value = secret.reveal().decode("utf-8", "surrogateescape")
        if "\0" in value:
            raise OperatorFault("custody.value", f"The secret {name} holds a NUL byte.", "No variable can carry it.")
        environment[variable] = value
    return environment
