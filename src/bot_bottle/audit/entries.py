"""Records with their place, as exports and sinks take them: in order, each with the hash of the one before it.

A line that is no record is not dropped (D17): it comes as a record of kind ``unreadable`` that names its digest.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass

from bot_bottle.audit import files
from bot_bottle.audit.checkpoint import HOST, Checkpoint, parse, run_origin
from bot_bottle.audit.encode import decode, encode
from bot_bottle.audit.hostlog import facts
from bot_bottle.audit.merkle import WIDTH, leaf_hash
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.tiles import Tiles
from bot_bottle.base.errors import AuditFault

HOST_NAME = "host"
"""How people and sinks call the host log; a run's log is called by its run id."""
UNREADABLE = "unreadable"
MIRRORED = "mirrored"
"""A signed checkpoint on its way to a sink; detail: origin, size, root, note. Not a record of any log."""


@dataclass(frozen=True, slots=True)
class Entry:
    """log: ``host`` or a run id. number: in its log. line: the leaf. before: leaf hash of the record before it, b""
    for the first. note: the signed checkpoint that covers it as its last record, else b""."""

    log: str
    number: int
    line: bytes
    record: Record
    before: bytes = b""
    note: bytes = b""

    @property
    def uid(self) -> str:
        """What a receiver tells repeats by: ``LOG/NUMBER``; of a mirrored checkpoint ``LOG@SIZE``."""
        return f"{self.log}{'@' if self.record.kind == MIRRORED else '/'}{self.number}"

    @property
    def origin(self) -> str:
        """Origin of its log, as on checkpoints."""
        return HOST if self.log == HOST_NAME else run_origin(self.log)


def entry(log: str, number: int, line: bytes, before: bytes = b"", note: bytes = b"") -> Entry:
    """The entry of one leaf."""
    try:
        record = decode(line)
    except AuditFault:
        record = unreadable(log, line)
    if record.kind in (MIRRORED, UNREADABLE):
        record = unreadable(log, line)  # a gateway that was taken over wrote a kind that only we make up
    return Entry(log, number, line, record, before, note)


def unreadable(log: str, line: bytes) -> Record:
    """Stands in for a leaf that is no record; its bytes are a stranger's and stay in the log."""
    detail = {"bytes": str(len(line)), "sha256": hashlib.sha256(line).hexdigest()}
    return Record(
        VERSION, UNREADABLE, "" if log == HOST_NAME else log, 0, 0, "", "", "", "", "",
        reason="a line of the log that is no record", detail=detail,
    )  # fmt: skip


def mirrored(log: str, note: bytes, now: int) -> Entry:
    """A signed checkpoint as an entry. now: wall clock, ns."""
    head = head_of(note)
    detail = {**facts(head), "note": note.decode("utf-8", "replace")}
    run = "" if log == HOST_NAME else log
    record = Record(VERSION, MIRRORED, run, now, 0, "", "", "", "", "", detail=detail)
    return Entry(log, head.size, encode(record), record)


def head_of(note: bytes) -> Checkpoint:
    """The checkpoint of a note, its signature unread. Raises AuditFault."""
    text = note.decode("utf-8", "replace")
    return parse(text[: text.find("\n\n") + 1])


def signed(directory: str) -> tuple[int, bytes]:
    """Size of the newest signed checkpoint of a log and its note; (0, b"") where there is none that can be read."""
    note = files.read(os.path.join(directory, "checkpoint"))
    try:
        return (head_of(note).size, note) if note else (0, b"")
    except AuditFault:
        return 0, b""


def entries(directory: str, log: str, start: int = 0) -> Iterator[Entry]:
    """All entries of a log from a number on, as they are in the files now. Proves nothing: see verify."""
    size, note = signed(directory)
    reader = LogReader(directory, start)
    before = hash_before(directory, reader.position)
    expected = reader.position
    for first, lines in reader.batches():
        if first != expected:
            before = hash_before(directory, first)
        for number, line in enumerate(lines, first):
            yield entry(log, number, line, before, note if number == size - 1 else b"")
            before = leaf_hash(line)
        expected = first + len(lines)


def hash_before(directory: str, number: int) -> bytes:
    """Leaf hash of the record before `number`, from the tiles (they outlive a purge); b"" where there is none."""
    if number <= 0:
        return b""
    index, last = divmod(number - 1, WIDTH)
    for _ in range(3):  # a partial tile may just be making place for a wider one
        found = Tiles(directory).leaves(0, index, last + 1)
        if found:
            return found[last]
    return b""
