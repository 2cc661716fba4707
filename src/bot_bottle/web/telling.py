"""What a record without a target says, in one line for people: words instead of fields, times as times. Pure.

Nothing of it is a proof: every field as it is in the log stands on the record's own page. What a stranger wrote goes
through `visible` (B73).
"""

from bot_bottle.audit.record import Kind, Record
from bot_bottle.base.text import many, visible
from bot_bottle.web.look import day, span

_MOST = 200
_NS = 1_000_000_000
_LEARNED = {"time": ", its time was over", "reload": ", the bottle files were read again"}
_OPEN = {
    "open_intents": ("request without an outcome", "requests without an outcome"),
    "torn": ("byte of a torn line", "bytes of a torn line"),
    "unreadable": ("line unreadable", "lines unreadable"),
}
_OF_CONTROLS = ("run", "bottles", "name", "device", "token", "scopes")


def told(record: Record) -> str:
    """The line, "" where the kind says it all."""
    return visible(_words(record), _MOST)


def _words(record: Record) -> str:
    detail = record.detail
    match record.kind:
        case Kind.START:
            return _joined(" ", _if("by", detail.get("person")), _if("on", detail.get("project")))
        case Kind.POLICY:
            return _if("revision", detail.get("revision"))
        case Kind.FREEZE:
            return detail.get("reason", "")
        case Kind.THAW:
            return _if("it was frozen:", detail.get("was"))
        case Kind.STOP:
            status = detail.get("exit", detail.get("status", ""))
            return detail.get("reason", "") or _if("exit status", status)
        case Kind.RECOVERED:
            return _left_open(detail)
        case Kind.LEARN:
            return _learned(record)
        case Kind.LIMITED:
            return _joined(", ", record.reason.removeprefix("limit."), _times(record.count))
        case Kind.REPORT:
            return _reported(detail)
        case Kind.CONTROL:
            return _controlled(record)
        case Kind.PINNED:
            return record.address
        case Kind.DENIED if detail.get("what"):
            return detail["what"]
        case _:
            parts = (record.address, _times(record.count), record.reason)
            return _joined("  ", *parts, *(f"{name}: {text}" for name, text in detail.items()))


def _learned(record: Record) -> str:
    who = _if("by", record.approver)
    if record.verdict == "begun":
        seconds, until = _number(record.detail.get("seconds", "")), _number(record.detail.get("until", ""))
        return _joined(", ", f"begun for {span(seconds * _NS)}", f"until {day(until)}" if until else "", who)
    return f"ended{_LEARNED.get(record.reason, f' {who}' if who else '')}"


def _left_open(detail: dict[str, str]) -> str:
    counts = [(_number(detail.get(name, "")), *words) for name, words in _OPEN.items()]
    said = [f"{count} {one if count == 1 else more}" for count, one, more in counts if count]
    return ", ".join(said) or "nothing was left open"


def _reported(detail: dict[str, str]) -> str:
    """A call of one of the agent's tools; its own words are a quotation."""
    what = _joined(" ", detail.get("methods"), detail.get("url") or detail.get("status") or detail.get("ask"))
    says = detail.get("says") or detail.get("summary")
    return _joined(": ", what, f"“{says}”" if says else "")


def _controlled(record: Record) -> str:
    """What a person did to the installation."""
    detail = record.detail
    facts = [text.replace(",", ", ") for name in _OF_CONTROLS if (text := detail.get(name))]
    facts += [many(_number(detail["days"]), "day")] if "days" in detail else []
    facts += [f"{detail[name]} {name}" for name in ("purged", "kept") if name in detail]
    what = _joined(": ", record.verdict or detail.get("what"), ", ".join(facts))
    because = f"“{record.reason}”" if record.reason else ""
    return _joined(": ", _joined(", ", what, _if("by", record.approver)), because)


def _times(count: int) -> str:
    return "" if count <= 0 else "once" if count == 1 else f"{count} times"


def _number(text: str) -> int:
    """A number of the log; what a gateway that was taken over makes of it is 0."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 19 and int(text) < 2**62 else 0


def _if(word: str, text: str | None) -> str:
    return f"{word} {text}" if text else ""


def _joined(mark: str, *parts: str | None) -> str:
    return mark.join(part for part in parts if part)
