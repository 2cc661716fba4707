"""Drops the oldest records of a closed log; what remains, and every proof made before, still verifies."""

import contextlib
import os

from bot_bottle.audit import files, note
from bot_bottle.audit.checkpoint import Checkpoint
from bot_bottle.audit.merkle import WIDTH
from bot_bottle.audit.sealer import read_head
from bot_bottle.audit.tiles import bundle_path
from bot_bottle.base.errors import AuditFault, BusyFault


def purge(directory: str, origin: str, signer: note.Signer, keep: int = 0) -> int:
    """Deletes the bundles of all but the last `keep` records (rounded up to whole bundles); returns how many went.

    The note that says so is signed first, so that a missing bundle without one is a removal (D17).
    """
    if os.path.isdir(os.path.join(directory, "journal")):
        raise BusyFault("audit.open", "The log is still open.", "Purge it after its bottle has ended.")
    head, _ = read_head(directory, note.VerifierKey(origin, signer.public))
    bound = head.size if keep == 0 else max(0, head.size - keep) // WIDTH * WIDTH
    with files.writing("The log"):
        text = f"{origin}\npurged {bound}\n"
        files.replace(os.path.join(directory, "purged"), note.sign(text, origin, signer), sync=True, mode=0o644)
        for index in range(-(-bound // WIDTH)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(directory, bundle_path(index, min(WIDTH, head.size - index * WIDTH))))
    return bound


def purged(directory: str, key: note.VerifierKey, head: Checkpoint) -> int:
    """How many records a signed purge dropped; 0 where there was none. Raises AuditFault for a forged note."""
    data = files.read(os.path.join(directory, "purged"))
    if data is None:
        return 0
    first, _, second = note.verify(data, key).rstrip("\n").partition("\npurged ")
    if first != key.name or not second.isdigit() or not 0 <= int(second[:19]) <= head.size:
        raise AuditFault("audit.purged", "The purge note of the log is malformed.", "Restore the log from a backup.")
    return int(second)
