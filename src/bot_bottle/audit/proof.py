"""The proof that one record is in the log, as text that anybody can check offline (C2SP tlog-proof)."""

import base64
import binascii
from dataclasses import dataclass

from bot_bottle.audit import checkpoint as heads
from bot_bottle.audit import files, merkle
from bot_bottle.audit.checkpoint import Checkpoint
from bot_bottle.audit.note import VerifierKey
from bot_bottle.audit.tiles import Tiles, TileSource
from bot_bottle.base.errors import AuditFault, UsageFault

HEADER = "c2sp.org/tlog-proof@v1"
_MALFORMED = ("audit.proof", "This is not a proof.", "Make it again with `bot-bottle log proof`.")


@dataclass(frozen=True, slots=True)
class Proof:
    """index: number of the record. path: hashes, lowest first. note: the signed checkpoint."""

    index: int
    path: tuple[bytes, ...]
    note: bytes

    @property
    def text(self) -> bytes:
        lines = [HEADER, f"index {self.index}", *(base64.b64encode(step).decode() for step in self.path)]
        return "\n".join(lines).encode() + b"\n\n" + self.note


def prove(directory: str, index: int) -> Proof:
    """The proof for record `index` under the newest checkpoint. Raises UsageFault where it is not covered yet."""
    note = files.read(f"{directory}/checkpoint")
    if note is None:
        raise AuditFault("audit.no-checkpoint", "The log has no checkpoint.", "Run `bot-bottle log verify`.")
    head = heads.parse(note.decode("utf-8", "replace").rpartition("\n\n")[0] + "\n")
    if not 0 <= index < head.size:
        raise UsageFault(
            "audit.not-covered", f"Record {index} is not under the checkpoint.", f"It covers {head.size}."
        )
    path = merkle.inclusion(index, head.size, TileSource(Tiles(directory), head.size))
    return Proof(index, tuple(path), note)


def parse(data: bytes) -> Proof:
    """Strictly. Raises AuditFault (``audit.proof``)."""
    above, found, note = data.partition(b"\n\n")
    lines = above.split(b"\n")
    if not found or len(lines) < 2 or lines[0] != HEADER.encode() or not lines[1].startswith(b"index "):
        raise AuditFault(*_MALFORMED)
    number = lines[1][6:]
    if not number.isdigit() or len(number) > 18 or (number[:1] == b"0" and number != b"0"):
        raise AuditFault(*_MALFORMED)
    try:
        path = tuple(base64.b64decode(line, validate=True) for line in lines[2:])
    except (binascii.Error, ValueError):
        raise AuditFault(*_MALFORMED) from None
    proof = Proof(int(number), path, note)
    if any(len(step) != 32 for step in path) or proof.text != data:
        raise AuditFault(*_MALFORMED)
    return proof


def check(proof: Proof, record: bytes, key: VerifierKey) -> Checkpoint:
    """The head that the record is proved to be under. Raises AuditFault."""
    head = heads.verify(proof.note, key)
    if not merkle.verify_inclusion(merkle.leaf_hash(record), proof.index, head.size, proof.path, head.root):
        raise AuditFault("audit.not-included", "The proof does not fit this record.", "Check record and proof again.")
    return head
