"""What custody needs from outside: a place where named secrets lie."""

from typing import Protocol

from bot_bottle.base.secret import Secret


class Store(Protocol):
    """One place with named secrets. Only the keeper opens one; contract suite: tests/contract/test_store.py."""

    kind: str

    def get(self, name: str) -> Secret | None:
        """The secret, or None where the store has none of this name. Raises OperatorFault when it cannot open."""
        ...

    def names(self) -> tuple[str, ...]:
        """Sorted names; values are not read."""
        ...

    def put(self, secret: Secret) -> None: ...

    def remove(self, name: str) -> bool:
        """False where there was none."""
        ...
