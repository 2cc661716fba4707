"""Records: search with the filter language, one record with its place and proof, checking of logs."""

import base64
import os
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bot_bottle.audit import files, filters, note, proof, runs
from bot_bottle.audit.checkpoint import HOST as HOST_ORIGIN
from bot_bottle.audit.encode import decode
from bot_bottle.audit.entries import signed
from bot_bottle.audit.index import HOST, Key
from bot_bottle.audit.verify import Report, verify
from bot_bottle.audit.whole import verify_run
from bot_bottle.base.errors import AuditFault, UsageFault
from bot_bottle.base.text import visible
from bot_bottle.web.api import cursor
from bot_bottle.web.api.operation import Operation
from bot_bottle.web.desk import Desk
from bot_bottle.web.problem import WebFault

SECONDS = 0.2
"""How long one page of a search may look into lines before it says how far it got."""
Text = Annotated[str, Meta(max_length=filters.MAX_FILTER)]
RunId = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,80}$")]
Number = Annotated[int, Meta(ge=0, le=2**53)]


class RecordSearch(msgspec.Struct, forbid_unknown_fields=True):
    """q: a filter. before: the cursor of the page before."""

    q: Text = ""
    before: Annotated[str, Meta(max_length=200)] = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class FoundRecord(msgspec.Struct):
    """record: the line of the log, parsed."""

    run: str
    number: int
    record: msgspec.Raw


class RecordPage(msgspec.Struct):
    """items: newest first. next: cursor, "" at the end. complete: False where the time was over before the page was
    full; then `next` goes on from there. looked: records looked at. indexed: False while the index is being made."""

    items: list[FoundRecord]
    next: str
    complete: bool
    looked: int
    indexed: bool
    reached: int


class OneRecord(msgspec.Struct, forbid_unknown_fields=True):
    run: RunId
    number: Number


class RecordDetail(msgspec.Struct):
    """line: exactly as in the log. sealed: it is under the newest checkpoint, whose size is `size`."""

    run: str
    number: int
    line: str
    record: msgspec.Raw | None
    sealed: bool
    size: int


class RecordProof(msgspec.Struct):
    """proof: C2SP tlog-proof text, that anybody can check with the record's line and the key. checked: it fits."""

    run: str
    number: int
    record: str
    proof: str
    key: str
    checked: bool


class WhichLog(msgspec.Struct, forbid_unknown_fields=True):
    """run: a run id, or ``host``. fingerprint: of the key to trust; "" takes the one beside the log, and says so."""

    run: RunId
    fingerprint: Annotated[str, Meta(max_length=200)] = ""


class LogCheck(msgspec.Struct):
    """pinned: the fingerprint was given; else the log was only checked against the key that lies beside it."""

    report: Report
    pinned: bool


def search_records(desk: Desk, wish: RecordSearch) -> RecordPage:
    """One page, newest first, in bounded time."""
    wanted = filters.parse(wish.q)
    before = cursor.decode(wish.before, Key) if wish.before else None
    if before is not None and not all(-(2**62) < part < 2**63 for part in before):
        raise WebFault(422, "web.cursor", "This cursor is not one of ours.", "Start without a cursor.")
    indexed = desk.office.watch.fresh()
    found = desk.index().page(wanted, desk.clock(), wish.limit, before, SECONDS)
    items = [FoundRecord(hit.run, hit.number, _raw(hit.text)) for hit in found.hits]
    onward = cursor.encode(found.before) if found.before else ""
    return RecordPage(items, onward, found.complete, found.looked, indexed, found.reached)


def read_record(desk: Desk, which: OneRecord) -> RecordDetail:
    """One record from the log itself."""
    line = _line(desk, which.run, which.number)
    size, _ = signed(directory(desk, which.run))
    text = line.decode("ascii", "backslashreplace").rstrip("\n")
    try:
        decode(line)
        record = msgspec.Raw(text.encode())
    except AuditFault:
        record = None
    return RecordDetail(which.run, which.number, text, record, which.number < size, size)


def prove_record(desk: Desk, which: OneRecord) -> RecordProof:
    """The proof that the record is in the log, checked before it is given away."""
    line, folder = _line(desk, which.run, which.number), directory(desk, which.run)
    made = proof.prove(folder, which.number)
    text = (files.read(f"{folder}/key") or b"").decode("utf-8", "replace")
    try:
        checked = proof.check(made, line, note.parse_key(text)).size > which.number
    except AuditFault:
        checked = False
    return RecordProof(
        which.run, which.number, line.decode("ascii", "backslashreplace"), made.text.decode(), text.strip(), checked
    )


def check_log(desk: Desk, which: WhichLog, told: Callable[[int], None] | None = None) -> LogCheck:
    """Reads one log whole and says whether it is what was signed. The web process does not know which key the home
    pinned (it lies with the keys): give the fingerprint that `bot-bottle log verify` prints, or trust the key beside
    the log, which proves that log and key fit each other."""
    folder = directory(desk, which.run)
    fingerprint = which.fingerprint or (files.read(f"{folder}/key") or b"").decode("utf-8", "replace").strip()
    if not fingerprint:
        raise UsageFault("log.no-key", "The verifier key beside the log is gone.", "Give the fingerprint.")
    if which.run == HOST:
        report = verify(folder, fingerprint, origin=HOST_ORIGIN, told=told)
    else:
        facts = runs.read(desk.home.host_log).get(which.run, runs.Facts(which.run))
        report = verify_run(desk.home, which.run, fingerprint, facts=facts, told=told)
    report.directory = which.run
    report.problems = [visible(text, 400) for text in report.problems]
    return LogCheck(report, bool(which.fingerprint))


def directory(desk: Desk, run: str) -> str:
    """Of a log, by its name. Raises UsageFault where there is none."""
    folder = desk.home.host_log if run == HOST else desk.home.run_log(run)
    if "/" in run or run.startswith(".") or not os.path.isdir(folder):
        raise UsageFault("log.unknown", f"There is no log of {visible(run, 80)}.", "Search shows the runs.")
    return folder


def _line(desk: Desk, run: str, number: int) -> bytes:
    directory(desk, run)
    line = desk.index().line(run, number)
    if line is None:
        hint = "It was purged, or is not written yet."
        raise UsageFault("record.unknown", f"The log has no record {number}.", hint)
    return line


def _raw(text: str) -> msgspec.Raw:
    """The line as JSON; what is no record (it was not indexed then) as a text."""
    try:
        decode(text.encode("utf-8", "replace") + b"\n")
    except AuditFault:
        return msgspec.Raw(msgspec.json.encode(base64.b64encode(text.encode("utf-8", "replace")).decode()))
    return msgspec.Raw(text.encode())


OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        "searchRecords", "GET", "/records", "Search all logs", "read", RecordSearch, RecordPage, search_records,
    ),
    Operation(
        "readRecord", "GET", "/records/{run}/{number}", "One record from its log", "read", OneRecord, RecordDetail,
        read_record,
    ),
    Operation(
        "proveRecord", "GET", "/records/{run}/{number}/proof", "The proof that a record is in its log", "read",
        OneRecord, RecordProof, prove_record,
    ),
    Operation(
        "checkLog", "POST", "/logs/{run}/check", "Read one log whole and verify it", "read", WhichLog, LogCheck,
        check_log,
    ),
)  # fmt: skip
