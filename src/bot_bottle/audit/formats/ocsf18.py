"""OCSF 1.8.0, as its published schema knows it: for receivers that refuse attributes of 1.9."""

import msgspec

from bot_bottle.audit.encode import ascii_line
from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats.model import Format
from bot_bottle.audit.formats.ocsf_event import event

VERSION = "1.8.0"


def line(entry: Entry) -> bytes:
    """One event."""
    return ascii_json(event(entry, VERSION))


def ascii_json(document: object) -> bytes:
    """One line of JSON in printable ASCII, as in the log (B73)."""
    return ascii_line(msgspec.json.encode(document)) + b"\n"


FORMAT = Format("ocsf18", ".ocsf.jsonl", "application/x-ndjson", "OCSF 1.8.0 events without attestation.", line)
