"""A filter as sets of the index: which runs, which groups, which kinds; and what only the line itself can say."""

# ruff: noqa: S608 - statements are fixed texts and numbers of ours; every value is bound

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bot_bottle.audit.filter_match import any_of, any_text, window
from bot_bottle.audit.filters import DIMENSIONS, PERSONAL, TEXT, Filter, Term
from bot_bottle.audit.index_rows import KINDS, PERSONAL_BIT, UNKNOWN_KIND, pattern
from bot_bottle.audit.index_schema import MOST

_NAMED = ("scheme", "method", "verdict", "rule", "reason")
_ON_LINE = (TEXT, "path", "up", "down", *PERSONAL)
_MANY = 400


@dataclass(slots=True)
class Plan:
    """where, values: conditions on groups ``s``, "" for all. kinds: numbers that may be, None for any. status: terms
    to check on the row. line: a filter that only lines answer. groups: to check on the row, None for any. since,
    until: wall ns, until exclusive."""

    where: str = ""
    values: list[object] = field(default_factory=list[object])
    kinds: frozenset[int] | None = None
    status: tuple[Term, ...] = ()
    line: Filter = field(default_factory=Filter)
    groups: set[int] | None = None
    since: int = 0
    until: int = MOST


def plan(database: sqlite3.Connection, wanted: Filter, now: int) -> Plan:
    """How the index answers a filter. now: wall ns."""
    since, until = window(wanted, now)
    made = Plan(since=min(since, MOST), until=min(until, MOST))
    parts: list[str] = []
    for term in wanted.terms:
        part = _condition(database, term, made)
        if part:
            parts.append(part)
    made.kinds = _kinds(wanted)
    if made.kinds is not None:
        mask = sum(1 << kind for kind in made.kinds)
        parts.append(f"s.kinds & {mask} != 0")
    made.where = " AND ".join(parts)
    made.status = wanted.of("status")
    made.line = Filter(tuple(term for term in wanted.terms if term.field in _ON_LINE))
    return made


def _condition(database: sqlite3.Connection, term: Term, made: Plan) -> str:
    match term.field:
        case "host":
            return _in(made, "host", _hosts(database, term), term.negated)
        case "secret":
            check = any_of(term)
            found = _names(database, "secrets", lambda text: any_text(check, text.split(",")))
            return _in(made, "secrets", found, term.negated)
        case "path":
            return _path(database, term, made)
        case name if name in DIMENSIONS:
            check = any_of(term)
            rows = database.execute(f"SELECT id, {name} FROM runs")
            return _in(made, "run", (number for number, text in rows if check(text)), term.negated)
        case name if name in _NAMED:
            return _in(made, name, _names(database, name, any_of(term)), term.negated)
        case name if name in PERSONAL and not term.negated and "" not in term.values and "*" not in term.values:
            return f"s.kinds & {PERSONAL_BIT} != 0"
        case _:
            return ""


def _hosts(database: sqlite3.Connection, term: Term) -> list[int]:
    if not any("*" in value or value.startswith("=") for value in term.values):
        marks = ", ".join("?" * len(term.values))
        query = f"SELECT id FROM hosts WHERE host IN ({marks})"
        return [number for (number,) in database.execute(query, [value.lower() for value in term.values])]
    check = any_of(term)
    return [number for number, host in database.execute("SELECT id, host FROM hosts") if check(host)]


def _names(database: sqlite3.Connection, column: str, fits: Callable[[str], bool]) -> list[int]:
    query = f"SELECT id, text FROM names WHERE id IN (SELECT DISTINCT {column} FROM groups)"
    return [number for number, text in database.execute(query) if fits(text)]


def _path(database: sqlite3.Connection, term: Term, made: Plan) -> str:
    """The pattern of a whole path narrows the groups; the path itself is on the line."""
    if term.negated or any("*" in value or value.startswith("=") for value in term.values):
        return ""
    wanted = {pattern(value).lower() for value in term.values} | {"/**"}
    rows = database.execute("SELECT id, text FROM names WHERE id IN (SELECT DISTINCT path FROM paths)")
    found = [str(number) for number, text in rows if text.lower() in wanted]
    made.values.append(f"[{','.join(found)}]")
    return "s.id IN (SELECT grp FROM paths WHERE path IN (SELECT value FROM json_each(?)))"


def _in(made: Plan, column: str, numbers: Iterable[int], negated: bool) -> str:
    """Few numbers go into the statement, many as one JSON value."""
    found = list(numbers)
    word = "NOT IN" if negated else "IN"
    if len(found) <= _MANY:
        return f"s.{column} {word} ({', '.join(map(str, found))})"
    made.values.append(f"[{','.join(map(str, found))}]")
    return f"s.{column} {word} (SELECT value FROM json_each(?))"


def _kinds(wanted: Filter) -> frozenset[int] | None:
    terms = wanted.of("kind")
    if not terms:
        return None
    numbers = [*range(len(KINDS))]
    for term in terms:
        check = any_of(term)
        numbers = [number for number in numbers if check(KINDS[number].value) != term.negated]
    return frozenset(numbers if any(not term.negated for term in terms) else [*numbers, UNKNOWN_KIND])
