"""The log of one run, as its keeper holds it.

The keeper passes `writer_fd` to the gateway, calls `checkpoint` every second and at events of its own, and `close`
at the end. The gateway, which parses hostile bytes, never touches the tree, the key or what is already written
(D17).
"""

import os

from bot_bottle.audit import journal
from bot_bottle.audit.checkpoint import Checkpoint, run_origin
from bot_bottle.audit.encode import encode
from bot_bottle.audit.note import Signer
from bot_bottle.audit.record import Record
from bot_bottle.audit.sealer import Sealer

origin = run_origin


class RunLog:
    """One open run log. Methods raise AuditFault when it cannot be written or was changed under us."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    @classmethod
    def create(cls, directory: str, origin: str, signer: Signer) -> "RunLog":
        """A new log in a directory of its own (mode 0700), with a signed checkpoint of size 0."""
        os.makedirs(os.path.dirname(directory.rstrip("/")), mode=0o700, exist_ok=True)
        return cls(Sealer.create(directory, origin, signer))

    @property
    def head(self) -> Checkpoint:
        """The newest signed head."""
        return self._sealer.head

    @property
    def note(self) -> bytes:
        """The newest checkpoint as signed: what the summary prints and `log verify --against` takes."""
        return self._sealer.note

    @property
    def unsigned(self) -> int:
        """Records that were read but are not under a checkpoint yet."""
        return self._sealer.size - self._sealer.head.size

    def writer_fd(self) -> int:
        """The append-only descriptor for the gateway (pass it with Configure). It stays ours: do not close it."""
        return self._sealer.front.append_fd

    def append(self, record: Record) -> None:
        """A lifecycle record of the keeper, at once in the file."""
        self._sealer.append(encode(record))

    def checkpoint(self, force: bool = False) -> Checkpoint:
        """Takes in new lines, syncs, signs. Without new lines and `force` nothing is written."""
        self._sealer.read()
        if force or self.unsigned:
            self._sealer.sign()
            self._sealer.settle()
        return self._sealer.head

    @property
    def should_rotate(self) -> bool:
        """The segment is long: call `rotate` and send the descriptor with NewLog."""
        return len(self._sealer.fronts) == 1 and self._sealer.front.size() > journal.SEGMENT

    def rotate(self) -> int:
        """The descriptor of the next segment (see `writer_fd`); the old one is settled once the gateway uses it."""
        return self._sealer.rotate().append_fd

    def close(self, last: Record | None = None) -> Checkpoint:
        """Seals the log, after its gateway has gone: last record, last checkpoint, bundles instead of the journal."""
        if last is not None:
            self._sealer.read()
            self.append(last)
        for _ in range(3):
            self._sealer.read()
        self._sealer.sign()
        self._sealer.finish()
        return self._sealer.head

    def abandon(self) -> None:
        """Closes the descriptors and leaves the files to the next start (`recover`)."""
        self._sealer.close()
