"""What the rules need from a store; `memory` and `store` (SQLite) pass one contract suite.

Errors of the SQLite one: HostFault ``approvals.…`` where the file cannot be opened, read or written.
"""

from typing import Protocol

import msgspec

from bot_bottle.supervise.model import Answer, Ask, AskState, StoredGrant


class AskQuery(msgspec.Struct, frozen=True):
    """Which asks; empty means any. states: one of these. before: cursor, the `asked` of the last one seen.
    each: of one run at most so many, the newest, so that no bottle takes the places of the others (B74)."""

    states: tuple[AskState, ...] = ()
    run: str = ""
    bottle: str = ""
    label: str = ""
    project: str = ""
    host: str = ""
    before: int = 0
    each: int = 0
    limit: int = 200


class ApprovalReader(Protocol):
    """What every process may read."""

    def ask(self, ask: str) -> Ask | None: ...

    def asks(self, query: AskQuery) -> list[Ask]:
        """Newest first."""
        ...

    def count(self, query: AskQuery) -> int:
        """How many asks fit, whatever the limit."""
        ...

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

    def add(self, ask: Ask) -> None:
        """A new ask. Raises OurFault where its id is known."""
        ...

    def note(self, answer: Answer, version: int) -> bool:
        """Keeps one answer of a quorum; False where the ask has another version by now."""
        ...

    def renew(self, ask: Ask, version: int) -> bool:
        """The policy changed and asks about the same request still: its rule, reason, hint, policy and revision are
        those of `ask` now. False where it does not wait at this version."""
        ...

    def settle(
        self, ask: str, version: int, state: AskState, at: int, answer: Answer | None = None,
        grant: StoredGrant | None = None,
    ) -> bool:  # fmt: skip
        """Compare-and-set: only at this version and while WAITING; with ALLOWED or DENIED also where it
        was missed (EXPIRED, ENDED or WITHDRAWN). With answer and
        grant in one transaction. False: somebody was faster."""
        ...

    def use(self, grant: str, now: int) -> bool:
        """Counts one use of a grant; False where it is used up, revoked or expired."""
        ...

    def revoke(self, grant: str, now: int, with_run: bool = False, with_policy: bool = False) -> bool:
        """False where there is no such grant or it was revoked before. with_run: because its run ended; with_policy:
        because its policy did."""
        ...

    def prune(self, before: int) -> int:
        """Forgets asks that ended before this wall ns, their answers, and grants that expired before it."""
        ...
