"""C2SP tlog-checkpoint: origin, size and root of a log, signed. What a person keeps to catch a rollback (D17)."""

import base64
import binascii
from dataclasses import dataclass

from bot_bottle.audit import note
from bot_bottle.base.errors import AuditFault

MAX_SIZE = 2**62
HOST = "bot-bottle/host"
"""Origin of the host log."""


def run_origin(run: str) -> str:
    """Origin of a run's log: binds its checkpoints to the run, so that one log cannot stand in for another."""
    return f"bot-bottle/run/{run}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log. origin: ``bot-bottle/run/<run-id>`` or ``bot-bottle/host``. root: 32 bytes."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The three lines that are signed. We never write extension lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def sign(checkpoint: Checkpoint, signer: note.Signer) -> bytes:
    """The signed note; the key's name is the origin, as the specification asks."""
    return note.sign(checkpoint.text, checkpoint.origin, signer)


def verify(data: bytes, key: note.VerifierKey) -> Checkpoint:
    """The checkpoint of a note that this key signed. Raises AuditFault."""
    checkpoint = parse(note.verify(data, key))
    if checkpoint.origin != key.name:
        raise AuditFault("audit.origin", "The checkpoint belongs to another log.", "Take the checkpoint of this log.")
    return checkpoint


def parse(text: str) -> Checkpoint:
    """The three lines, strictly: one spelling per checkpoint. Raises AuditFault (``audit.checkpoint``)."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3] or not all(lines[:3]):
        raise _malformed()
    size = int(lines[1]) if lines[1].isascii() and lines[1].isdigit() and len(lines[1]) < 20 else -1
    try:
        root = base64.b64decode(lines[2], validate=True)
    except (binascii.Error, ValueError):
        raise _malformed() from None
    found = Checkpoint(lines[0], size, root)
    if not 0 <= size <= MAX_SIZE or len(root) != 32 or found.text != text:
        raise _malformed()
    return found


def _malformed() -> AuditFault:
    return AuditFault("audit.checkpoint", "This is not a checkpoint.", "Take the file from a copy that you trust.")
