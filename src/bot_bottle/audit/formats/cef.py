"""CEF:0 (ArcSight), one event a line, escaped: no field of a stranger starts another field or line (B73).

Header: ``\\`` and ``|``. Extension: ``\\``, ``=`` and line ends. Before that every invisible character is named in
ASCII by `visible`, so what remains to escape is little.
"""

from bot_bottle import __version__
from bot_bottle.audit.entries import MIRRORED, Entry
from bot_bottle.audit.formats.model import Format
from bot_bottle.audit.formats.parts import place_of, sentence, severity
from bot_bottle.audit.record import Record
from bot_bottle.base.text import visible

_CEF_SEVERITY = {1: 2, 2: 4, 3: 6, 4: 8}
_LONG = 1023
"""Most dictionaries cut a longer custom string."""


def line(entry: Entry) -> bytes:
    """``CEF:0|bot-bottle|bot-bottle|VERSION|KIND|sentence|severity|key=value ...``"""
    record = entry.record
    head = [
        "CEF:0", "bot-bottle", "bot-bottle", __version__, header(record.kind), header(sentence(record)),
        str(_CEF_SEVERITY[severity(record)]),
    ]  # fmt: skip
    pairs = [f"{key}={extension(value)}" for key, value in _pairs(entry) if value]
    return ("|".join([*head, " ".join(pairs)]) + "\n").encode()


def header(text: str) -> str:
    """One field of the header."""
    return visible(text, 512).replace("\\", "\\\\").replace("|", "\\|")


def extension(text: str) -> str:
    """One value of the extension; the only line ends left are those of a mirrored checkpoint."""
    out = text.replace("\\", "\\\\").replace("=", "\\=")
    return out.replace("\r", "\\r").replace("\n", "\\n")


def _pairs(entry: Entry) -> list[tuple[str, str]]:
    record = entry.record
    place = place_of(record.target)
    pairs = [
        ("rt", str(record.time // 1_000_000)),
        ("externalId", entry.uid),
        ("cat", record.kind),
        ("deviceProcessName", record.harness),
        ("shost", record.label),
        ("dhost", place.host),
        ("dst", record.address),
        ("dpt", str(place.port) if place.port else ""),
        ("app", record.protocol),
        ("request", record.target + record.path if record.target else ""),
        ("requestMethod", record.method),
        ("act", record.verdict),
        ("outcome", str(record.status) if record.status else ""),
        ("reason", record.reason),
        ("out", str(record.up) if record.up else ""),
        ("in", str(record.down) if record.down else ""),
        ("cnt", str(record.count) if record.count else ""),
        ("suser", record.approver),
        *_custom(entry),
    ]
    note = record.detail.get("note", "") if record.kind == MIRRORED else ""
    told = [(key, visible(text, _LONG)) for key, text in pairs]
    return [*told, ("msg", note or visible(_detail(record), 4096))]


def _custom(entry: Entry) -> list[tuple[str, str]]:
    record = entry.record
    named = (
        ("rule", record.rule),
        ("policy", record.policy),
        ("run", record.run),
        ("secrets", ", ".join(record.secrets)),
        ("findings", ", ".join(record.findings)),
        ("bottle", record.bottle),
    )
    pairs: list[tuple[str, str]] = []
    for number, (label, value) in enumerate(named, 1):
        pairs += [(f"cs{number}Label", label), (f"cs{number}", value)] if value else []
    if record.request:
        pairs += [("cn1Label", "request"), ("cn1", str(record.request))]
    if record.ask:
        pairs += [("flexString1Label", "ask"), ("flexString1", record.ask)]
    if record.grant:
        pairs += [("flexString2Label", "grant"), ("flexString2", record.grant)]
    return pairs


def _detail(record: Record) -> str:
    return "; ".join(f"{key}: {text}" for key, text in record.detail.items())


FORMAT = Format("cef", ".cef", "text/plain; charset=utf-8", "Common Event Format, version 0.", line)
