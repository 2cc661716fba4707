"""How records and reports look to a person: one line each, nothing of a stranger shown raw (B73)."""

import datetime

from bot_bottle.audit.encode import decode
from bot_bottle.audit.record import Kind, Record
from bot_bottle.audit.verify import Report
from bot_bottle.base.errors import AuditFault
from bot_bottle.base.text import visible


def one_line(number: int, line: bytes | str, run: str = "") -> str:
    """``     7 12:30:01 denied     deny  POST  https://host:443/path  policy.no-route``"""
    data = line if isinstance(line, bytes) else line.encode() + b"\n"
    try:
        text = _record(decode(data))
    except AuditFault:
        text = f"????????       no record: {visible(data.decode('latin-1').rstrip(), 120)}"
    return f"{visible(run, 64) + ' ' if run else ''}{number:>6} {text}"


def _record(record: Record) -> str:
    moment = datetime.datetime.fromtimestamp(record.time / 1e9) if 0 <= record.time < 4e18 else None
    clock = f"{moment:%H:%M:%S}" if moment else "--:--:--"
    kind, verdict = visible(record.kind[:12], 48), visible(record.verdict[:8], 48)
    return f"{clock} {kind:<10} {verdict:<5} {visible(_what(record), 400)}"


def _what(record: Record) -> str:
    parts = [record.method, f"{record.target}{record.path}", record.address]
    parts += [str(record.status)] if record.status else []
    parts += [f"{record.up}B up {record.down}B down {record.ms:.0f}ms"] if record.kind == Kind.OUTCOME else []
    parts += [f"secret {name}" for name in record.secrets]
    parts += [f"x{record.count}"] if record.count else []
    parts += [f"[{record.rule}]" if record.rule else "", record.reason]
    parts += [f"{key}={value}" for key, value in record.detail.items()]
    return "  ".join(part for part in parts if part)


def report_lines(name: str, report: Report) -> list[str]:
    """The state in one line, then every problem, then the checkpoint to remember."""
    facts = [f"{report.size} records signed"]
    facts += [f"{report.unproven} after the last checkpoint, not proven"] if report.unproven else []
    facts += [f"a torn last line of {report.torn} bytes"] if report.torn else []
    facts += [f"{report.purged} purged, their hashes verify"] if report.purged else []
    facts += [f"{report.unreadable} lines are no record"] if report.unreadable else []
    facts += [f"{report.open_intents} requests without an outcome"] if report.open_intents else []
    lines = [f"{visible(name, 200)}: {report.state}: {', '.join(facts)}"]
    lines += [f"  {visible(problem, 400)}" for problem in report.problems]
    if report.root:
        lines.append(f"  root {report.root} key {report.fingerprint}")
    return lines
