"""The log of this host: starts, ends, policy changes and the heads of all run logs, shared by all keepers.

Each keeper appends under one lock, and only after it has proved that the files continue the head that it saw
last (or, at its start, the head that was signed last): a truncated or exchanged file is refused, not continued
(D17). Because every run's start and heads stand here, neither a record of a run nor a whole run can vanish.
"""

import base64
import contextlib
import errno
import fcntl
import os
from collections.abc import Generator

import msgspec

from bot_bottle.audit import files, journal
from bot_bottle.audit.checkpoint import HOST, Checkpoint
from bot_bottle.audit.encode import encode
from bot_bottle.audit.note import Signer, VerifierKey
from bot_bottle.audit.record import Kind, Record
from bot_bottle.audit.sealer import Sealer, inconsistent, read_head
from bot_bottle.audit.tiles import Tiles, TileSource
from bot_bottle.base.errors import AuditFault

SEGMENT = 1 << 20
"""A start reads the current segment again, so it is short."""
SINK = "sink"
"""Beside the host log: a file, FIFO or link that every host checkpoint is appended to. Owned by another uid and
append-only, it is what a rollback of the whole home cannot change; `log verify host --against` reads it."""


class HostLog:
    """One keeper's hold of the host log. Methods raise AuditFault; afterwards nothing more is appended."""

    def __init__(self, directory: str, signer: Signer, sealer: Sealer) -> None:
        self._directory = directory
        self._signer = signer
        self._sealer = sealer

    @classmethod
    def open(cls, directory: str, signer: Signer) -> "HostLog":
        """Creates it at the first use; else proves that it continues its last signed head."""
        with files.writing("The host log"):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        with _locked(directory):
            fresh = not os.path.exists(os.path.join(directory, "checkpoint"))
            make = Sealer.create if fresh else _load
            return cls(directory, signer, make(directory, HOST, signer))

    @property
    def head(self) -> Checkpoint:
        return self._sealer.head

    @property
    def note(self) -> bytes:
        """The newest host checkpoint as signed."""
        return self._sealer.note

    def append(self, record: Record) -> Checkpoint:
        """One record, on the disk and under a new checkpoint when this returns."""
        with _locked(self._directory):
            self._refresh()
            self._sealer.append(encode(record))
            self._sealer.read()
            self._sealer.sign()
            _pour(os.path.join(os.path.dirname(self._directory), SINK), self._sealer.note)
            if self._sealer.front.size() > SEGMENT:
                self._cut()
            return self._sealer.head

    def _cut(self) -> None:
        """A new segment; what may become bundles is read from the files again, as another keeper left them."""
        self._sealer.cut()
        self._reload(self._sealer.head)
        self._sealer.settle()

    def countersign(self, template: Record, head: Checkpoint) -> Checkpoint:
        """Records the head of a run's log. template: a record with the run's identity and the time."""
        return self.append(msgspec.structs.replace(template, kind=Kind.CHECKPOINT, detail=facts(head)))

    def _refresh(self) -> None:
        """What other keepers appended since; refuses a log that does not continue the head we know."""
        known = self._sealer.head
        head, note = read_head(self._directory, VerifierKey(HOST, self._signer.public))
        if head.size < known.size:
            raise inconsistent(self._directory, f"it went back from {known.size} records to {head.size}")
        if not self._same_segment():
            self._reload(known)
            return
        self._sealer.follow_to(head, note)

    def _same_segment(self) -> bool:
        found = journal.segments(self._directory)
        return bool(found) and found[-1][1] == self._sealer.front.path

    def _reload(self, known: Checkpoint) -> None:
        self._sealer.close()
        self._sealer = _load(self._directory, HOST, self._signer)
        self._sealer.restore_tiles()
        if known.size and TileSource(Tiles(self._directory), self._sealer.size)(0, known.size) != known.root:
            raise inconsistent(self._directory, "it was exchanged for another one")

    def close(self) -> None:
        self._sealer.close()


def facts(head: Checkpoint) -> dict[str, str]:
    """The detail of a checkpoint record."""
    return {"origin": head.origin, "size": str(head.size), "root": base64.b64encode(head.root).decode()}


def head_of(record: Record) -> Checkpoint | None:
    """The head that a record of the host log countersigns; None where it carries none."""
    try:
        size, root = int(record.detail["size"]), base64.b64decode(record.detail["root"], validate=True)
        return Checkpoint(record.detail["origin"], size, root)
    except (KeyError, ValueError):
        return None


def _pour(path: str, note: bytes) -> None:
    """Appends to the sink where there is one; a sink that takes nothing stops the log like a full disk."""
    if not os.path.lexists(path):
        return
    with files.writing("The sink of checkpoints"):
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if os.write(descriptor, note) != len(note):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        finally:
            os.close(descriptor)


def _load(directory: str, origin: str, signer: Signer) -> Sealer:
    return Sealer.load(directory, origin, signer, alone=False)


@contextlib.contextmanager
def _locked(directory: str) -> Generator[None]:
    try:
        descriptor = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise AuditFault(
            "audit.cannot-write", f"The host log cannot be opened: {error.strerror}.", "Mend its permissions."
        ) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
