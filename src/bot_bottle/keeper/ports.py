"""What a keeper needs of the outside: a log that it seals, and time."""

from typing import Protocol

from bot_bottle.audit.record import Record


class SealedLog(Protocol):
    """The log of one run, as the keeper holds it. All calls raise AuditFault where the files refuse."""

    directory: str

    def descriptor(self) -> int:
        """The append-only descriptor for the gateway; the log keeps it."""
        ...

    def append(self, record: Record) -> None:
        """One lifecycle record."""
        ...

    def checkpoint(self) -> None:
        """Signs what was added since the last time; nothing where nothing was."""
        ...

    def rotate(self) -> int:
        """The descriptor of the next segment where the current one is long enough, else -1."""
        ...

    def seal(self, record: Record) -> None:
        """The last record, the last checkpoint."""
        ...

    @property
    def records(self) -> int: ...

    @property
    def newest(self) -> str:
        """The newest signed checkpoint, text."""
        ...
