"""OCSF 1.9.0 with the profile `record_integrity`: each event carries what ties it to the signed log.

The fingerprint is the leaf hash of the log (SHA-256 of a zero byte and `raw_data`, RFC 9162), of bytes that were not
serialised again (``Flat``); `prev_event` names the record before it, `chain_uid` the log's origin. Where a signed
checkpoint ends with this record, `signatures` names its tree root and the note stands in ``unmapped.checkpoint``.
No packaged schema of 1.9 exists yet: `ocsf_check` is our own check of these fields.
"""

import msgspec

from bot_bottle.audit import note as notes
from bot_bottle.audit.entries import MIRRORED, Entry, entry, head_of
from bot_bottle.audit.formats.model import Format
from bot_bottle.audit.formats.ocsf18 import ascii_json
from bot_bottle.audit.formats.ocsf_event import Event, event
from bot_bottle.audit.merkle import leaf_hash

VERSION = "1.9.0"
PROFILE = "record_integrity"
SERIALIZATION = "c2sp.org/tlog-checkpoint"


def line(entry: Entry) -> bytes:
    """One event."""
    return ascii_json(attested(entry))


def attested(entry: Entry) -> Event:
    """The event with its attestation; a mirrored checkpoint is no record of the log and has none."""
    out = event(entry, VERSION)
    if entry.record.kind == MIRRORED:
        return out
    out["metadata"]["profiles"] = [*out["metadata"]["profiles"], PROFILE]
    out["attestation_list"] = [attestation(entry)]
    if entry.note:
        out["unmapped"]["checkpoint"] = entry.note.decode("utf-8", "replace")
    return out


def attestation(entry: Entry) -> Event:
    """The one attestation of an event."""
    out: Event = {
        "uid": entry.uid,
        "chain_uid": entry.origin,
        "fingerprint": fingerprint(leaf_hash(entry.line)),
    }
    if entry.number and entry.before:
        out["prev_event"] = {"uid": f"{entry.log}/{entry.number - 1}", "fingerprint": fingerprint(entry.before)}
    if entry.note:
        out |= {"authority_uid": notes.signer_name(entry.note), "signatures": [_signature(entry.note)]}
    return out


def fingerprint(digest: bytes) -> Event:
    """SHA-256 in hex over raw bytes."""
    return {
        "algorithm_id": 3, "algorithm": "SHA-256", "encoding_id": 1, "encoding": "Hex", "serialization_id": 1,
        "serialization": "Flat", "value": digest.hex(),
    }  # fmt: skip


def _signature(note: bytes) -> Event:
    """OCSF has no field for the bytes of a signature: they are in the note."""
    return {
        "algorithm_id": 99, "algorithm": "Ed25519", "serialization_id": 99, "serialization": SERIALIZATION,
        "digest": fingerprint(head_of(note).root),
    }  # fmt: skip


def entry_of(event: Event) -> Entry:
    """The entry behind an event, from its `raw_data`: the round trip."""
    log, _, number = str(event["metadata"]["uid"]).rpartition("@" if is_mirrored(event) else "/")
    return entry(log, int(number), str(event["raw_data"]).encode("ascii", "replace"))


def is_mirrored(event: Event) -> bool:
    """Whether it is a checkpoint on its way, not a record."""
    return event["metadata"]["event_code"] == MIRRORED


def read(lines: bytes) -> list[Event]:
    """The events of a file. Raises msgspec.DecodeError."""
    return [msgspec.json.decode(one) for one in lines.splitlines()]


FORMAT = Format("ocsf", ".ocsf.jsonl", "application/x-ndjson", "OCSF 1.9.0 events, tied to the signed log.", line)
