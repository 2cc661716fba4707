"""The approval store as web sees it: read only, and empty until a keeper has written the first ask."""

import os

from bot_bottle.base.home import Home
from bot_bottle.supervise.model import Answer, Ask, StoredGrant
from bot_bottle.supervise.ports import ApprovalReader, AskQuery


def open_approvals(home: Home) -> ApprovalReader:
    """A reader for the calling thread."""
    if not os.path.exists(home.approvals):
        return Nothing()
    from bot_bottle.supervise.store import SqliteReader

    return SqliteReader(home.approvals)


class Nothing:
    """The store before there is one."""

    # ruff: noqa: ARG002 - the shape of a reader

    def ask(self, ask: str) -> Ask | None:
        return None

    def asks(self, query: AskQuery) -> list[Ask]:
        return []

    def count(self, query: AskQuery) -> int:
        return 0

    def answers(self, ask: str) -> list[Answer]:
        return []

    def grants(self, *, live_at: int = 0, limit: int = 1000) -> list[StoredGrant]:
        return []

    def grant(self, grant: str) -> StoredGrant | None:
        return None

    def changes(self) -> int:
        return 0

    def close(self) -> None:
        return None
