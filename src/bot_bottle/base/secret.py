"""A value that must never be shown: repr, str, format, pickle and hash of it tell nothing.

`reveal` is the one way to the bytes; import-linter and a grep test list who may call it.
"""

import hmac
from typing import NoReturn


class Secret:
    """A real credential on the host. Equality is constant-time; it is not hashable and not serialisable."""

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: bytes) -> None:
        self.name = name
        self._value = value

    def reveal(self) -> bytes:
        """The bytes themselves. Every caller is on the list in tests/unit/base/test_secret.py."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name!r})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # pyright: ignore[reportAssignmentType]

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is never serialised")
