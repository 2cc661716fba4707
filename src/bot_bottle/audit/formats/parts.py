"""What several formats say of a record in the same words: its place, a sentence, how bad it is."""

from dataclasses import dataclass

from bot_bottle.audit.entries import MIRRORED, UNREADABLE
from bot_bottle.audit.record import Kind, Record


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request went; empty where the record names no target."""

    scheme: str = ""
    host: str = ""
    port: int = 0


def place_of(target: str) -> Place:
    """``scheme://host:port`` taken apart; a name that was asked for has neither scheme nor port."""
    scheme, found, rest = target.partition("://")
    if not found:
        scheme, rest = "", target
    host, colon, port = rest.rpartition(":")
    if colon and host and port.isascii() and port.isdigit() and int(port[:6]) <= 65535:
        return Place(scheme, host.strip("[]"), int(port))
    return Place(scheme, rest.strip("[]"))


def severity(record: Record) -> int:
    """As OCSF counts: 1 informational, 2 low, 3 medium, 4 high."""
    if record.kind == UNREADABLE:
        return 4
    if record.findings:
        return 4 if record.verdict == "deny" else 3
    if record.kind in (Kind.DENIED, Kind.LIMITED, Kind.RECOVERED) or record.verdict == "deny":
        return 3
    if record.kind in (Kind.ASK, Kind.ANSWER, Kind.SETTLED, Kind.GRANT, Kind.CONTROL, Kind.LEARN, Kind.FREEZE):
        return 2
    return 1


def sentence(record: Record) -> str:
    """What happened, for a list; raw texts of strangers are in it, the format escapes them."""
    if record.kind == MIRRORED:
        return "Signed checkpoint of a log"
    what = _WORDS.get(record.kind, record.kind)
    where = f" {record.method} {record.target}{record.path}".rstrip() if record.target else ""
    why = f": {record.reason}" if record.reason else ""
    return f"{what}{where}{why}"


_WORDS = {
    Kind.START: "Bottle started",
    Kind.POLICY: "Policy changed",
    Kind.FREEZE: "Bottle frozen",
    Kind.THAW: "Bottle thawed",
    Kind.STOP: "Bottle stopped",
    Kind.RECOVERED: "Log of a dead run sealed",
    Kind.INTENT: "Request allowed",
    Kind.PINNED: "Address pinned",
    Kind.OUTCOME: "Request ended",
    Kind.DENIED: "Request denied",
    Kind.NAME: "Name asked for",
    Kind.LIMITED: "Limit reached",
    Kind.BODY: "Body recorded",
    Kind.ASK: "A person is asked",
    Kind.ANSWER: "A person answered",
    Kind.SETTLED: "Ask settled",
    Kind.GRANT: "Grant ended",
    Kind.REPORT: "Agent reported",
    Kind.LEARN: "Learn mode",
    Kind.CONTROL: "Installation changed",
    Kind.CHECKPOINT: "Checkpoint countersigned",
    UNREADABLE: "Unreadable line in the log",
}
