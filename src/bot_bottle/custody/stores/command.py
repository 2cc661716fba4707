"""Secrets from any command of the person's: ``pass show {name}``, ``op read op://vault/{name}/key``.

The command is an argument list from the config file in the home, never a shell line; the name is checked before it
is put in, so that it can neither add an argument nor an option. Errors of the command are told without its output.
"""

import subprocess
from collections.abc import Mapping, Sequence

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.ids import is_name
from bot_bottle.base.secret import Secret

LIMIT = 65536


class CommandStore:
    """get, list: argument lists, ``{name}`` stands for the secret's name. found: exit statuses besides 0 that mean
    "there is none". environ: of the command. timeout: seconds."""

    kind = "command"
    writable = False

    def __init__(
        self,
        get: Sequence[str],
        environ: Mapping[str, str],
        listing: Sequence[str] = (),
        absent: Sequence[int] = (1,),
        timeout: float = 30,
    ) -> None:
        self._get, self._list = tuple(get), tuple(listing)
        self._environ, self._absent, self._timeout = dict(environ), frozenset(absent), timeout

    def get(self, name: str) -> Secret | None:
        if not is_name(name):
            return None
        value = self._run([argument.replace("{name}", name) for argument in self._get])
        first = value.split(b"\n", 1)[0].rstrip(b"\r") if value else b""
        return Secret(name, first) if first else None

    def names(self) -> tuple[str, ...]:
        """Names that the listing command prints, one a line; none without such a command."""
        lines = (self._run(list(self._list)) or b"").decode("utf-8", "replace").splitlines() if self._list else []
        return tuple(sorted({line.strip() for line in lines if is_name(line.strip())}))

    def put(self, secret: Secret) -> None:
        raise OperatorFault(
            "custody.read-only",
            f"bot-bottle does not write the secret {secret.name} through a command.",
            f"Add it with the program itself ({self._get[0]}), or put the file store first in secrets/config.toml.",
        )

    def remove(self, name: str) -> bool:
        if self.get(name) is None:
            return False
        raise OperatorFault(
            "custody.read-only",
            f"The secret {name} comes from {self._get[0]}.",
            "Remove it with that program.",
        )

    def _run(self, argv: list[str]) -> bytes | None:
        """Its standard output, or None where it says that there is none. Raises OperatorFault when it fails."""
        try:
            done = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._environ,
                cwd="/",
                timeout=self._timeout,
                check=False,
            )
        except FileNotFoundError:
            raise self._fault(argv, "is not installed") from None
        except subprocess.TimeoutExpired:
            raise self._fault(argv, f"gave no answer within {self._timeout:.0f} s") from None
        except OSError as error:
            raise self._fault(argv, f"could not be started ({error.strerror})") from None
        if done.returncode in self._absent:
            return None
        if done.returncode or len(done.stdout) > LIMIT:
            raise self._fault(argv, f"ended with status {done.returncode}")
        return done.stdout

    def _fault(self, argv: list[str], what: str) -> OperatorFault:
        return OperatorFault(
            "custody.command",
            f"The secret command {argv[0]} {what}.",
            "Try it by hand, then mend [command] in secrets/config.toml.",
        )
