"""How a record looks as a row of Live and Log: the same values for the first paint and for what the stream brings.

Every text of a stranger goes through `visible` here, cut to what a row bears (B73); scripts put it in as text only.
"""

import msgspec

from bot_bottle.audit.encode import decode
from bot_bottle.audit.record import Kind, Record
from bot_bottle.base.errors import AuditFault
from bot_bottle.base.text import visible
from bot_bottle.web.look import clock, host_parts, iso, path_parts, size, target_host
from bot_bottle.web.telling import told

_LIFE = {
    Kind.START: "Started", Kind.POLICY: "Policy", Kind.FREEZE: "Frozen", Kind.THAW: "Thawed", Kind.STOP: "Ended",
    Kind.RECOVERED: "Sealed later", Kind.INTENT: "Sent", Kind.PINNED: "Address", Kind.NAME: "Name",
    Kind.LIMITED: "Limit", Kind.BODY: "Body", Kind.REPORT: "Report", Kind.LEARN: "Learn mode",
    Kind.CONTROL: "Control",
}  # fmt: skip
_FAULTS = ("upstream.", "client.", "timeout.", "bottle.", "gateway.")
ENDS = {
    "upstream.unresolved": "Name not found", "upstream.refused": "No connection", "upstream.timeout": "No answer",
    "upstream.proxy": "Proxy refused", "upstream.certificate": "Bad certificate", "upstream.closed": "Server hung up",
    "upstream.cut": "Answer cut off", "client.gone": "Hung up", "timeout.idle": "Nothing moved",
    "timeout.total": "Took too long", "bottle.ended": "Bottle ended", "gateway.bug": "Fault of ours",
}  # fmt: skip
"""What happened to a request that was allowed and failed, by the reason of its outcome."""


class Row(msgspec.Struct, array_like=True):
    """id: ``RUN/NUMBER``. time: RFC 3339. verdict: allow | ask | deny | held | frozen or "" (no glyph), and the word
    for it. sub, domain: of the host. head, tail: of the path, or what else there is to say. up, down, status: ""
    where there is none. sealed: is it under a checkpoint (None: not known)."""

    id: str
    run: str
    number: int
    iso: str
    clock: str
    verdict: str
    word: str
    method: str
    sub: str
    domain: str
    head: str
    tail: str
    label: str
    status: str
    up: str
    down: str
    secret: str
    rule: str
    ask: str


def row(record: Record, run: str, number: int) -> Row:
    """The row of one record."""
    verdict, word = judged(record)
    host = target_host(record.target)
    sub, domain = host_parts(host) if host else ("", "")
    head, tail = path_parts(record.path, 300) if host else (told(record), "")
    ended = record.kind == Kind.OUTCOME
    at = min(max(record.time, 0), 2**62)
    return Row(
        f"{run}/{number}", run, number, iso(at), f"{clock(at)}.{at // 1_000_000 % 1000:03}", verdict, word,
        visible(record.method, 16), sub, domain, head, tail, visible(record.label or run, 64),
        str(record.status) if record.status else ("…" if record.kind in (Kind.ASK, Kind.INTENT) else ""),
        size(record.up) if ended or record.up else "", size(record.down) if ended or record.down else "",
        visible(", ".join(record.secrets), 80), visible(record.rule or (record.reason if host else ""), 60),
        visible(record.ask, 40),
    )  # fmt: skip


def of_line(text: str, run: str, number: int) -> Row:
    """The row of a line as it is in a log, also of one that is no record."""
    try:
        return row(decode(text.encode("utf-8", "replace") + b"\n"), run, number)
    except AuditFault:
        blank = [""] * 12
        return Row(
            f"{run}/{number}", run, number, "", "", "", "No record", "", "", "", visible(text, 120), *blank[:8]
        )


def ended_early(reason: str) -> tuple[str, str]:
    """(glyph, word) of what was allowed and ended early: by a fault or its time, else the gateway stopped it."""
    return ("", ENDS.get(reason, "Failed")) if reason.startswith(_FAULTS) else ("deny", "Stopped")


def judged(record: Record) -> tuple[str, str]:
    """(glyph, word) of what became of it."""
    match record.kind:
        case Kind.ASK:
            return "held", "Held"
        case Kind.FREEZE:
            return "frozen", "Frozen"
        case Kind.DENIED:
            return "deny", "Deny"
        case Kind.OUTCOME if record.reason:
            return ended_early(record.reason)
        case Kind.OUTCOME | Kind.INTENT:
            return "allow", ("By grant" if record.grant else "Allow") if record.kind == Kind.OUTCOME else "Sent"
        case Kind.NAME:
            return ("deny", "No name") if record.verdict == "deny" else ("", "Name")
        case Kind.LIMITED:
            return "deny", "Limit"
        case Kind.ANSWER:
            return ("allow", "Yes") if record.verdict == "allow" else ("deny", "No")
        case Kind.SETTLED:
            return "allow" if record.verdict == "allowed" else "deny", visible(record.verdict.capitalize(), 20)
        case Kind.GRANT:
            return "", visible(f"Grant {record.verdict}", 20)
        case _:
            known = _LIFE.get(record.kind)  # pyright: ignore[reportArgumentType]
            return "", known or visible(record.kind, 20)
