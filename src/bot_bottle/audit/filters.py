"""The filter language of Live, Log and `log search`: ``host:*.example.org verdict:deny -method:GET since:1h "text"``.

Pure. A filter is terms that must all hold; a term is ``field:value``, several values with commas mean any of them,
``-`` in front means none of them; a word alone, or ``"quoted words"``, is a part of the record's line. ``*`` stands
for any characters, unless the value begins with ``=``. A text that is no filter is a fault that says where.
"""

import datetime
import re
from dataclasses import dataclass

import msgspec

from bot_bottle.audit.record import Kind
from bot_bottle.base.errors import UsageFault
from bot_bottle.base.sizes import duration
from bot_bottle.base.text import visible

MAX_FILTER = 2000
"""Characters of a filter; a longer one is refused."""
MAX_TERMS = 40
TEXT = "text"
DIMENSIONS = ("run", "bottle", "agent", "harness", "label", "project", "person")
"""Fields that all records of a run share."""
WORDS = ("host", "scheme", "method", "path", "verdict", "rule", "reason", "secret", "kind")
PERSONAL = ("ask", "grant", "approver")
NUMBERS = ("status", "up", "down")
MOMENTS = ("since", "until")
KINDS = (*(kind.value for kind in Kind), "unreadable", "mirrored")
"""Also what an export makes up for a line that is no record, and for what was forwarded elsewhere."""
VERDICTS = (
    "allow", "ask", "deny", "allowed", "denied", "expired", "withdrawn", "ended", "refused", "revoked", "used",
    "begun",
)  # fmt: skip
"""Of requests, answers, asks, grants and learn modes."""
CLOSED = {"kind": KINDS, "verdict": VERDICTS}
"""Fields of which every value is known; what people did to the installation is a verdict of several words."""
FIELDS = (*WORDS, *DIMENSIONS, *PERSONAL, *NUMBERS, *MOMENTS, TEXT)
_NS = 1_000_000_000
_BARE = re.compile(r'[^\s",]+')
_HEAD = re.compile(r"(-?)([A-Za-z_]+):")
_NUMBER = re.compile(r"(>=|<=|>|<|)(\d{1,15})(kb|mb|gb|)\Z", re.ASCII | re.IGNORECASE)
_CLASS = re.compile(r"([1-5])xx\Z", re.ASCII)
_SCALE = {"": 1, "kb": 1000, "mb": 1000**2, "gb": 1000**3}
_EXACT = re.compile(r"@\d{1,19}\Z", re.ASCII)
_CLOCK = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?\Z", re.ASCII)


class FilterFault(UsageFault):
    """position, end: the characters of the filter that are wrong, from 0."""

    def __init__(self, what: str, hint: str, position: int, end: int) -> None:
        super().__init__("filter.wrong", f"Character {position + 1} of the filter: {what}", hint)
        self.position = position
        self.end = end


class Term(msgspec.Struct, frozen=True):
    """values: any of them. negated: none of them. position: where it stands in the text (no part of its meaning)."""

    field: str
    values: tuple[str, ...]
    negated: bool = False


def exactly(value: str) -> str:
    """This value and no other, whatever it consists of."""
    return f"={value}" if "*" in value or value.startswith("=") else value


class Filter(msgspec.Struct, frozen=True):
    """All terms must hold; none: everything."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        """The same filter as text; `parse` reads it back."""
        return " ".join(_written(term) for term in self.terms)

    def of(self, *fields: str) -> tuple[Term, ...]:
        return tuple(term for term in self.terms if term.field in fields)

    def plus(self, field: str, value: str) -> "Filter":
        """This filter and one term more, once."""
        term = Term(field, (value,))
        return self if term in self.terms else Filter((*self.terms, term))

    def without(self, *fields: str) -> "Filter":
        return Filter(tuple(term for term in self.terms if term.field not in fields))


@dataclass(slots=True)
class _Reader:
    text: str
    at: int = 0


def parse(text: str) -> Filter:
    """The filter of a text. Raises FilterFault with the place of what is wrong."""
    if len(text) > MAX_FILTER:
        raise FilterFault(f"It is longer than {MAX_FILTER} characters.", "Say less.", MAX_FILTER, len(text))
    reader = _Reader(text)
    terms: list[Term] = []
    while _skip(reader):
        if len(terms) == MAX_TERMS:
            raise FilterFault(f"It has more than {MAX_TERMS} terms.", "Say less.", reader.at, len(text))
        terms.append(_term(reader))
    return Filter(tuple(terms))


def _skip(reader: _Reader) -> bool:
    while reader.at < len(reader.text) and reader.text[reader.at].isspace():
        reader.at += 1
    return reader.at < len(reader.text)


def _term(reader: _Reader) -> Term:
    start = reader.at
    head = _HEAD.match(reader.text, start)
    if head and not head[2].lower().startswith(("http", "https")):
        reader.at = head.end()
        field = head[2].lower()
        if field not in FIELDS:
            raise FilterFault(f"There is no field {visible(head[2], 40)}.", _nearest(field), start, head.end())
        values = _values(reader, field, start)
        if field in MOMENTS and (head[1] or len(values) > 1):
            raise FilterFault(f"{field} takes one moment.", f"Like {field}:1h.", start, reader.at)
        return Term(field, values, bool(head[1]))
    negated = reader.text[start] == "-" and start + 1 < len(reader.text) and not reader.text[start + 1].isspace()
    reader.at += negated
    return Term(TEXT, (_value(reader, TEXT, start),), negated)


def _values(reader: _Reader, field: str, start: int) -> tuple[str, ...]:
    values = [_value(reader, field, start)]
    while reader.at < len(reader.text) and reader.text[reader.at] == ",":
        reader.at += 1
        values.append(_value(reader, field, start))
    if reader.at < len(reader.text) and not reader.text[reader.at].isspace():
        raise FilterFault("Here a space or a comma is missing.", "", reader.at, reader.at + 1)
    return tuple(dict.fromkeys(values))


def _value(reader: _Reader, field: str, start: int) -> str:
    """One value, quoted or bare, checked for its field. `start`: of its term."""
    place, text = reader.at, reader.text
    if place < len(text) and text[place] == '"':
        value = _quoted(reader)
    else:
        found = _BARE.match(text, place) if field != TEXT else re.compile(r'[^\s"]+').match(text, place)
        if not found:
            raise FilterFault("A value is missing.", f"Like {_example(field)}.", start, max(place, start + 1))
        value, reader.at = found[0], found.end()
    if not value:
        raise FilterFault("A value is empty.", f"Like {_example(field)}.", place, reader.at)
    wrong = _wrong(field, value)
    if wrong:
        hint = _nearest_value(field, value) if field in CLOSED else f"Like {_example(field)}."
        raise FilterFault(f"{visible(value, 60)} is {wrong}.", hint, place, reader.at)
    return value


def _quoted(reader: _Reader) -> str:
    start, out = reader.at, ""
    at = start + 1
    while at < len(reader.text):
        character = reader.text[at]
        if character == '"':
            reader.at = at + 1
            return out
        if character == "\\" and at + 1 < len(reader.text):
            at += 1
            character = reader.text[at]
        out += character
        at += 1
    raise FilterFault("A quote is not closed.", 'End it with ".', start, len(reader.text))


def _wrong(field: str, value: str) -> str:
    """Why a value does not fit its field, or ""."""
    if field in MOMENTS and not _is_moment(value):
        return "no moment"
    if field in NUMBERS and not (_NUMBER.match(value) or (field == "status" and _CLASS.match(value))):
        return "no number"
    plain = value.lower().removeprefix("=")
    if field in CLOSED and plain not in CLOSED[field] and "*" not in plain and " " not in plain:
        return f"no {field}"
    return ""


def _is_moment(value: str) -> bool:
    try:
        return moment(value, 1_700_000_000 * _NS) >= 0
    except ValueError:
        return False


def moment(value: str, now: int) -> int:
    """Wall ns of a moment: ``1h`` ago, ``14:25`` today, ``2026-11-25``, ``2026-11-25T14:25`` (this machine's zone
    unless it says one), ``@`` and wall ns. now: wall ns. Raises ValueError."""
    if _EXACT.match(value):
        return int(value[1:])
    clock = _CLOCK.match(value)
    if clock:
        local = datetime.datetime.fromtimestamp(now / _NS).astimezone()
        parts = [int(part or 0) for part in clock.groups()]
        return int(local.replace(hour=parts[0], minute=parts[1], second=parts[2], microsecond=0).timestamp()) * _NS
    try:
        return max(0, now - int(duration(value) * _NS))
    except ValueError:
        pass
    try:
        found = datetime.datetime.fromisoformat(value)
        return max(0, int((found if found.tzinfo else found.astimezone()).timestamp() * _NS))
    except (OverflowError, OSError) as error:
        raise ValueError("no moment") from error


def number_fits(value: str, number: int) -> bool:
    """Whether a number is what a value of `NUMBERS` says: ``403``, ``4xx``, ``>=400``, ``>1mb``."""
    if kind := _CLASS.match(value):
        return number // 100 == int(kind[1])
    found = _NUMBER.match(value)
    if not found:
        return False
    limit = int(found[2]) * _SCALE[found[3].lower()]
    match found[1]:
        case ">":
            return number > limit
        case "<":
            return number < limit
        case ">=":
            return number >= limit
        case "<=":
            return number <= limit
        case _:
            return number == limit


def _written(term: Term) -> str:
    sign = "-" if term.negated else ""
    if term.field == TEXT and len(term.values) == 1:
        return sign + _quote(term.values[0])
    return f"{sign}{term.field}:{','.join(_plain(value) for value in term.values)}"


def _plain(value: str) -> str:
    found = _BARE.match(value)
    return value if found and found.end() == len(value) else _quote(value)


def _quote(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _example(field: str) -> str:
    if field in MOMENTS:
        return f"{field}:1h, {field}:14:25 or {field}:2026-11-25"
    if field == "status":
        return "status:403, status:4xx or status:>=400"
    return (
        f"{field}:>1MB"
        if field in NUMBERS
        else {"host": "host:*.example.com", TEXT: '"some words"'}.get(field, f"{field}:name")
    )


def _nearest(field: str) -> str:
    close = min(FIELDS, key=lambda known: (_distance(known, field), known))
    if _distance(close, field) <= 2:
        return f"Did you mean {close}?"
    return f'Fields: {", ".join(FIELDS)}. Words with a colon go into "quotes".'


def _nearest_value(field: str, value: str) -> str:
    """The value of a closed field that was meant, else all of them."""
    close = min(CLOSED[field], key=lambda known: (_distance(known, value.lower().removeprefix("=")), known))
    if _distance(close, value.lower().removeprefix("=")) <= 2:
        return f"Did you mean {close}?"
    return f"{field.capitalize()}s: {', '.join(CLOSED[field])}."


def _distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return row[-1]
