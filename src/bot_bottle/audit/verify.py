"""Is this log what was signed? From the files and the pinned fingerprint of the key, nothing else (D17).

The signed checkpoint fixes the root, the root fixes every hash tile, and the tiles fix each record: the first
record that differs is named, and whether it was edited, removed, inserted or moved. A remembered checkpoint
(``--against``), or the heads in the host log, fix the past: a shorter or another log behind them is a rollback,
truncation or fork. Records after the last checkpoint are counted and called unproven; they are not vouched for.
"""

import base64
import os
from collections.abc import Callable, Sequence

import msgspec

from bot_bottle.audit import checkpoint as heads
from bot_bottle.audit import files, note, purge
from bot_bottle.audit.checkpoint import HOST, Checkpoint
from bot_bottle.audit.compare import ENDS, Comparison
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.tiles import Tiles
from bot_bottle.base.errors import AuditFault


class Report(msgspec.Struct):
    """state: sealed | open | bad; the host log never ends: it is sealed when all of it is signed.

    size: records under the checkpoint. unproven: whole lines after it. torn: bytes of a last line that is not whole.
    purged: records whose bundles a signed purge dropped. unreadable: lines that are no record (a crash, or a
    gateway that was taken over). open_intents: requests without an outcome. first_bad: number of the first record
    that is not what was signed, -1 when there is none. problems: one sentence each. checkpoint: the signed note.
    """

    directory: str
    state: str = "open"
    origin: str = ""
    size: int = 0
    root: str = ""
    unproven: int = 0
    torn: int = 0
    purged: int = 0
    unreadable: int = 0
    open_intents: int = 0
    first_bad: int = -1
    problems: list[str] = []
    fingerprint: str = ""
    checkpoint: str = ""

    @property
    def ok(self) -> bool:
        return self.state != "bad"


def verify(
    directory: str,
    fingerprint: str,
    against: bytes | None = None,
    *,
    origin: str = "",
    known: Sequence[Checkpoint] = (),
    told: Callable[[int], None] | None = None,
) -> Report:
    """The state of one log. fingerprint: ``SHA256:...`` or a verifier key. against: remembered signed notes.

    origin: what the checkpoint must call itself ("" accepts any). known: heads that the host log countersigned. told:
    called now and then with the number of records that were read; what it raises ends the reading.
    Never raises for what the files say; that is the report's business.
    """
    report = Report(directory)
    try:
        key, head = _open(directory, fingerprint, origin, report)
        remembered = [heads.verify(one, key) for one in note.split(against)] if against is not None else []
        if against is not None and not remembered:
            raise AuditFault("audit.note", "The remembered checkpoint is empty.")
        _judge(report, key, head, [*known, *remembered], told)
    except AuditFault as fault:
        report.problems.append(fault.what)
    except OSError as error:
        report.problems.append(f"The log cannot be read: {error.strerror}.")
    if report.problems:
        report.state = "bad"
    return report


def _open(directory: str, fingerprint: str, origin: str, report: Report) -> tuple[note.VerifierKey, Checkpoint]:
    data = files.read(os.path.join(directory, "checkpoint"))
    if data is None:
        raise AuditFault("audit.no-checkpoint", "The log has no checkpoint: it was removed, or this is no log.")
    key = _pinned_key(directory, fingerprint, note.signer_name(data))
    head = heads.verify(data, key)
    if origin and head.origin != origin:
        raise AuditFault("audit.origin", f"The checkpoint belongs to {head.origin}, not to {origin}.")
    report.origin, report.size, report.fingerprint = head.origin, head.size, key.fingerprint
    report.root, report.checkpoint = base64.b64encode(head.root).decode(), data.decode()
    return key, head


def _pinned_key(directory: str, fingerprint: str, name: str) -> note.VerifierKey:
    """The public key: from the pin itself, or from the file beside the log when the pin vouches for it."""
    if "+" in fingerprint and not fingerprint.startswith("SHA256:"):
        return note.VerifierKey(name, note.parse_key(fingerprint).public)
    data = files.read(os.path.join(directory, "key")) or b""
    key = note.VerifierKey(name, note.parse_key(data.decode("utf-8", "replace")).public)
    if key.fingerprint.rstrip("=") != fingerprint.strip().rstrip("="):
        raise AuditFault("audit.other-key", f"The log is signed by {key.fingerprint}, which is not the pinned key.")
    return key


def _judge(
    report: Report,
    key: note.VerifierKey,
    head: Checkpoint,
    remembered: list[Checkpoint],
    told: Callable[[int], None] | None,
) -> None:
    report.purged = purge.purged(report.directory, key, head)
    endless = head.origin == HOST
    comparison = Comparison(Tiles(report.directory), head, report.purged, remembered, ends=not endless)
    reader = LogReader(report.directory, report.purged)
    for start, lines in reader.batches():
        if told is not None:
            told(start + len(lines))
        if not comparison.add(start, lines):
            break
    comparison.finish()
    report.unproven, report.torn = comparison.unproven, len(reader.torn)
    report.unreadable, report.open_intents = comparison.reading.unreadable, len(comparison.reading.open)
    report.first_bad = comparison.first_bad
    report.problems += comparison.problems
    last = comparison.reading.last_kind
    ended = endless or last in ENDS or report.purged == head.size > 0
    if ended and not report.unproven and not report.torn:
        report.state = "sealed"
