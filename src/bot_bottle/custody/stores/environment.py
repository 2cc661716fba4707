"""Secrets from the host's environment: read-only, and only variables that were meant for us.

A secret ``my-key`` is the variable ``BOT_BOTTLE_SECRET_MY_KEY``, or the one that the config file maps to it.
"""

from collections.abc import Mapping

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.ids import is_name
from bot_bottle.base.secret import Secret

PREFIX = "BOT_BOTTLE_SECRET_"


class EnvironmentStore:
    """environ: the host's variables. mapped: secret name -> variable name, for variables without our prefix."""

    kind = "environment"
    writable = False

    def __init__(self, environ: Mapping[str, str], mapped: Mapping[str, str] | None = None) -> None:
        self._environ = environ
        self._mapped = dict(mapped or {})

    def get(self, name: str) -> Secret | None:
        variable = self._mapped.get(name, PREFIX + name.upper().replace("-", "_"))
        value = self._environ.get(variable, "").strip("\r\n")
        return Secret(name, value.encode("utf-8", "surrogateescape")) if value else None

    def names(self) -> tuple[str, ...]:
        ours = {key.removeprefix(PREFIX).lower().replace("_", "-") for key in self._environ if key.startswith(PREFIX)}
        mapped = {name for name, variable in self._mapped.items() if self._environ.get(variable)}
        return tuple(sorted(name for name in ours | mapped if is_name(name) and self.get(name)))

    def put(self, secret: Secret) -> None:
        raise OperatorFault(
            "custody.read-only",
            f"The environment cannot keep the secret {secret.name}.",
            "Put a writable store, such as file, first in secrets/config.toml.",
        )

    def remove(self, name: str) -> bool:
        if self.get(name) is None:
            return False
        raise OperatorFault(
            "custody.read-only",
            f"The secret {name} comes from the environment.",
            "Remove the variable where it is set.",
        )
