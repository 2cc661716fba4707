"""JSON lines: the very bytes of the log, so that hashes and proofs still fit. Printable ASCII (B73)."""

from bot_bottle.audit.encode import encode
from bot_bottle.audit.entries import UNREADABLE, Entry
from bot_bottle.audit.formats.model import Format


def line(entry: Entry) -> bytes:
    """The leaf as it is; of one that is no record, the record that stands in for it."""
    return encode(entry.record) if entry.record.kind == UNREADABLE else entry.line


FORMAT = Format("jsonl", ".jsonl", "application/x-ndjson", "The lines of the log as they are.", line)
