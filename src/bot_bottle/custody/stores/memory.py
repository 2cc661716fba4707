"""Secrets in memory: the twin of every other store, for tests."""

from bot_bottle.base.secret import Secret


class MemoryStore:
    """Passes the contract suite of all stores."""

    kind = "memory"
    writable = True

    def __init__(self) -> None:
        self._secrets: dict[str, Secret] = {}

    def get(self, name: str) -> Secret | None:
        return self._secrets.get(name)

    def names(self) -> tuple[str, ...]:
        return tuple(sorted(self._secrets))

    def put(self, secret: Secret) -> None:
        self._secrets[secret.name] = secret

    def remove(self, name: str) -> bool:
        return self._secrets.pop(name, None) is not None
