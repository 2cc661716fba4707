"""Whether a record is what a filter asks for: the one meaning of a filter, for Live, Log, search and export. Pure."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import msgspec

from bot_bottle.audit.filters import MOMENTS, NUMBERS, TEXT, Filter, Term, moment, number_fits
from bot_bottle.audit.index_rows import place
from bot_bottle.audit.record import Record

Check = Callable[[str], bool]


@lru_cache(1024)
def glob(value: str) -> Check:
    """A test for one value: ``*`` is any characters, after ``=`` nothing is special; case folds."""
    text = value.lower()
    if text.startswith("="):
        return text[1:].__eq__
    if "*" not in text:
        return text.__eq__
    first, *between, last = text.split("*")
    parts = [part for part in between if part]
    return lambda found: _in_order(found, first, parts, last)


def _in_order(found: str, first: str, between: Sequence[str], last: str) -> bool:
    """Whether it begins and ends so, with the rest in this order: each found at its earliest place, so that the time
    grows with the length alone, whatever a link or an agent chose (B74)."""
    end = len(found) - len(last)
    if end < len(first) or not found.startswith(first) or not found.endswith(last):
        return False
    at = len(first)
    for part in between:
        if (place_of := found.find(part, at, end)) < 0:
            return False
        at = place_of + len(part)
    return True


def any_of(term: Term) -> Check:
    """Whether a text is one of a term's values (its negation is not looked at)."""
    checks = [glob(value) for value in term.values]
    if len(checks) == 1:
        check = checks[0]
        return lambda found: check(found.lower())
    return lambda found: any(check(found.lower()) for check in checks)


class Seen(msgspec.Struct, frozen=True):
    """A record as filters see it. line: in lower case. project, person: of its run."""

    record: Record
    run: str = ""
    host: str = ""
    line: str = ""
    project: str = ""
    person: str = ""


def matcher(wanted: Filter, now: int) -> Callable[[Seen], bool]:
    """The test. now: wall ns, for moments."""
    since, until = window(wanted, now)
    tests = [_test(term) for term in wanted.terms if term.field not in MOMENTS]
    return lambda seen: since <= seen.record.time < until and all(test(seen) for test in tests)


def window(wanted: Filter, now: int) -> tuple[int, int]:
    """(since, until) of a filter, wall ns, until exclusive: the narrowest where several are given."""
    since, until = 0, 2**64
    for term in wanted.of(*MOMENTS):
        at = moment(term.values[0], now)
        if term.field == "since":
            since = max(since, at)
        else:
            until = min(until, at)
    return since, until


def _test(term: Term) -> Callable[[Seen], bool]:
    field, negated = term.field, term.negated
    if field == TEXT:
        values = [value.lower() for value in term.values]
        return lambda seen: any(value in seen.line for value in values) != negated
    if field in NUMBERS:
        return lambda seen: any(number_fits(v, getattr(seen.record, field)) for v in term.values) != negated
    check = any_of(term)
    if field in ("host", "run", "project", "person"):
        return lambda seen: check(getattr(seen, field)) != negated
    if field == "secret":
        return lambda seen: any_text(check, seen.record.secrets) != negated
    if field == "scheme":
        return lambda seen: check(place(seen.record.target)[0]) != negated
    return lambda seen: check(str(getattr(seen.record, field))) != negated


def any_text(check: Check, values: Sequence[str]) -> bool:
    """Whether one of them fits; without any, whether "" does."""
    return any(check(value) for value in values) if values else check("")
