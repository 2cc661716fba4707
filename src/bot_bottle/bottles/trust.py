"""Which agents of which repositories a person has confirmed, by digest (D21): first use and every change asks."""

import os
import tempfile

import msgspec

from bot_bottle.base.errors import OperatorFault


class TrustFile:
    """``<home>/trusted-agents.json``: repository path -> agent name -> digest. Only the command line writes it."""

    def __init__(self, path: str) -> None:
        self.path = path

    def digest(self, repository: str, name: str) -> str:
        """The digest that was confirmed, "" when none was. Raises OperatorFault when the file is broken."""
        return self._read().get(repository, {}).get(name, "")

    def is_confirmed(self, repository: str, name: str, digest: str) -> bool:
        return bool(digest) and self.digest(repository, name) == digest

    def confirm(self, repository: str, name: str, digest: str) -> None:
        """Remembers a person's yes, atomically."""
        known = self._read()
        known.setdefault(repository, {})[name] = digest
        os.makedirs(os.path.dirname(self.path), 0o700, exist_ok=True)
        fd, path = tempfile.mkstemp(dir=os.path.dirname(self.path), prefix=".trusted-")
        with os.fdopen(fd, "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")
        os.replace(path, self.path)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            with open(self.path, "rb") as file:
                return msgspec.json.decode(file.read(), type=dict[str, dict[str, str]])
        except FileNotFoundError:
            return {}
        except msgspec.DecodeError:
            raise OperatorFault(
                "trust.broken-file", f"{self.path} is not readable JSON.", "Remove it; every agent asks again then."
            ) from None
