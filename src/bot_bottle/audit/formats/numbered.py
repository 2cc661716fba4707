"""JSON lines with the place of each record, for receivers that must tell repeats: ``{"log","number","record"}``."""

from bot_bottle.audit.entries import MIRRORED, Entry
from bot_bottle.audit.formats import jsonl
from bot_bottle.audit.formats.model import Format


def line(entry: Entry) -> bytes:
    """`number` of a mirrored checkpoint is called `size`. The log's name is a run id: no character to escape."""
    place = "size" if entry.record.kind == MIRRORED else "number"
    record = jsonl.line(entry).rstrip(b"\n")
    log = entry.log.encode("ascii", "backslashreplace").replace(b"\\", b"?").replace(b'"', b"?")
    return b'{"log":"%b","%b":%d,"record":%b}\n' % (log, place.encode(), entry.number, record)


FORMAT = Format("numbered", ".jsonl", "application/x-ndjson", "JSON lines with log and number of each record.", line)
