"""What the rules need from a store; `memory` and `store` (SQLite) pass one contract suite."""

from typing import Protocol

import msgspec

from bot_bottle.supervise.model import Answer, Ask, AskState, StoredGrant


class AskQuery(msgspec.Struct, frozen=True):
    """Which asks; empty means any. states: one of these. before: cursor, the `asked` of the last one seen."""

    states: tuple[AskState, ...] = ()
    run: str = ""
    bottle: str = ""
    label: str = ""
    project: str = ""
    host: str = ""
    before: int = 0
    limit: int = 200


class ApprovalReader(Protocol):
    """What every process may read."""

    def ask(self, ask: str) -> Ask | None: ...

    def asks(self, query: AskQuery) -> list[Ask]:
        """Newest first."""
        ...

    def count(self, query: AskQuery) -> int: ...

    def answers(self, ask: str) -> list[Answer]:
        """In order of time."""
        ...

    def grants(self, *, live_at: int = 0, limit: int = 1000) -> list[StoredGrant]:
        """Newest first; live_at: only those that could be used at this wall ns, of any policy."""
        ...

    def grant(self, grant: str) -> StoredGrant | None: ...

    def changes(self) -> int:
        """A number that differs whenever anything was written by anybody."""
        ...

    def close(self) -> None: ...


class ApprovalStore(ApprovalReader, Protocol):
    """Only a keeper writes."""

    def add(self, ask: Ask) -> None: ...

    def note(self, answer: Answer, version: int) -> bool:
        """Keeps one answer of a quorum; False where the ask has another version by now."""
        ...

    def settle(
        self, ask: str, version: int, state: AskState, at: int, answer: Answer | None = None,
        grant: StoredGrant | None = None,
    ) -> bool:  # fmt: skip
        """Compare-and-set: only while WAITING (or, for a late yes, EXPIRED or ENDED) at this version. With answer and
        grant in one transaction. False: somebody was faster."""
        ...

    def use(self, grant: str, now: int) -> bool:
        """Counts one use of a grant; False where it is used up, revoked or expired."""
        ...

    def revoke(self, grant: str, now: int) -> bool: ...
