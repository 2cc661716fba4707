"""Searches the index: newest first, page by page, in bounded time; how far it got is part of the answer.

Few matching groups are read each by its own index and merged; many are found on the way through the records. What
only a line can say (a part of it, a path) is looked up in the logs, for so long as the caller gives.
"""

# ruff: noqa: S608 - statements are fixed texts and numbers of ours; every value is bound

import heapq
import sqlite3
import time
from collections.abc import Callable, Iterator

import msgspec

from bot_bottle.audit.encode import decode
from bot_bottle.audit.filter_match import Seen, matcher
from bot_bottle.audit.filters import Filter, number_fits
from bot_bottle.audit.index_lines import Lines
from bot_bottle.audit.index_match import Plan, plan
from bot_bottle.audit.index_schema import HOUR, MOST
from bot_bottle.base.errors import AuditFault

_CHUNK = 4096
_FEW_GROUPS = 300
_FEW_RECORDS = 60_000
_TOUCHED = 512
Key = tuple[int, int, int]
"""time, number of the run in the index, number of the record: where a page ends and the next begins."""
_Row = tuple[int, int, int, int, int, int]


class Hit(msgspec.Struct, frozen=True):
    """A record that was found. text: its line, without the newline. time: wall ns."""

    run: str
    number: int
    text: str
    time: int = 0


class Found(msgspec.Struct):
    """hits: newest first. before: give it to get the next page; None at the end. complete: False where the time was
    over first: then there may be more between the last hit and `before`. looked: records that were looked at."""

    hits: list[Hit]
    before: Key | None = None
    complete: bool = True
    looked: int = 0
    reached: int = 0


class Search:
    """Searches of one index connection."""

    def __init__(self, database: sqlite3.Connection, lines: Lines) -> None:
        self._database = database
        self._lines = lines

    def page(self, wanted: Filter, now: int, limit: int, before: Key | None = None, seconds: float = 0) -> Found:
        """One page. seconds: how long at most, 0 for as long as it takes. now: wall ns, for moments."""
        made = plan(self._database, wanted, now)
        end = time.monotonic() + seconds if seconds else float("inf")
        newest = (made.until, -1, -1) if made.until < MOST else (MOST, MOST, MOST)
        top = newest if before is None else min(before, newest)
        found = Found([], complete=True)
        if made.since >= made.until:
            return found
        fits = matcher(made.line, now) if made.line.terms else None
        names: dict[int, str] = {}
        last: Key | None = None
        for row in self._rows(made, top, limit):
            last = row[:3]
            found.looked += 1
            if _on_row(made, row):
                self._take(found, row, names, fits)
                if len(found.hits) >= limit:
                    found.before = last
                    break
                if fits is not None and time.monotonic() > end:
                    found.before, found.complete = last, False
                    break
            elif not found.looked % 512 and time.monotonic() > end:
                found.before, found.complete = last, False
                break
        found.reached = last[0] if last else 0
        return found

    def count(self, wanted: Filter, now: int) -> int | None:
        """How many records fit, from the sums by the hour (moments are taken to full hours); None where only lines
        can say."""
        made = plan(self._database, wanted, now)
        if made.line.terms or made.status or made.kinds is not None:
            return None
        where = made.where or "1"
        if made.since == 0 and made.until == MOST:
            query, values = f"SELECT sum(records) FROM groups s WHERE {where}", made.values
        else:
            query = (
                "SELECT sum(h.records) FROM hours h JOIN groups s ON s.id = h.grp"
                f" WHERE h.hour >= ? AND h.hour <= ? AND {where}"
            )
            values = [made.since // HOUR, made.until // HOUR, *made.values]
        return int(self._database.execute(query, values).fetchone()[0] or 0)

    def _take(self, found: Found, row: _Row, names: dict[int, str], fits: Callable[[Seen], bool] | None) -> None:
        run = names.get(row[1])
        if run is None:
            query = "SELECT run FROM runs WHERE id = ?"
            got = self._database.execute(query, (row[1],)).fetchone()
            run = names[row[1]] = got[0] if got else ""
        line = self._lines.line(run, row[2]) if run else None
        if line is None:
            return
        text = line.decode("ascii", "backslashreplace").rstrip("\n")
        if fits is not None:
            try:
                record = decode(line)
            except AuditFault:
                return
            if not fits(Seen(record, run, line=text.lower())):
                return
        found.hits.append(Hit(run, row[2], text, row[0]))

    def _rows(self, made: Plan, top: Key, limit: int) -> Iterator[_Row]:
        if not made.where:
            yield from self._scan(made.since, top)
            return
        query = f"SELECT id, records, last FROM groups s WHERE {made.where} AND last >= ?"
        groups = self._database.execute(query, [*made.values, made.since]).fetchall()
        if not groups:
            return
        total, newest = sum(one[1] for one in groups), max(one[2] for one in groups)
        numbers = [one[0] for one in groups]
        if total <= _FEW_RECORDS:
            yield from self._sorted(numbers, made.since, top)
        elif len(numbers) <= _FEW_GROUPS:
            yield from self._merged(numbers, made.since, top, limit)
        else:
            made.groups = set(numbers)
            yield from self._scan(made.since, min(top, (newest, MOST, MOST)))

    def _sorted(self, numbers: list[int], since: int, top: Key) -> Iterator[_Row]:
        query = (
            "SELECT time, run, number, kind, grp, status FROM records INDEXED BY records_grp"
            " WHERE grp IN (SELECT value FROM json_each(?)) AND time >= ? AND (time, run, number) < (?, ?, ?)"
            " ORDER BY time DESC, run DESC, number DESC"
        )
        yield from self._database.execute(query, (f"[{','.join(map(str, numbers))}]", since, *top))

    def _merged(self, numbers: list[int], since: int, top: Key, limit: int) -> Iterator[_Row]:
        streams = [self._of_group(number, since, top, limit) for number in numbers]
        yield from heapq.merge(*streams, reverse=True)

    def _of_group(self, number: int, since: int, top: Key, limit: int) -> Iterator[_Row]:
        query = (
            "SELECT time, run, number, kind, grp, status FROM records INDEXED BY records_grp WHERE grp = ?"
            " AND time >= ? AND (time, run, number) < (?, ?, ?) ORDER BY time DESC, run DESC, number DESC LIMIT ?"
        )
        size = min(_TOUCHED, limit)
        while rows := self._database.execute(query, (number, since, *top, size)).fetchall():
            yield from rows
            if len(rows) < size:
                return
            top, size = rows[-1][:3], _CHUNK

    def _scan(self, since: int, top: Key) -> Iterator[_Row]:
        query = (
            "SELECT time, run, number, kind, grp, status FROM records WHERE time >= ?"
            " AND (time, run, number) < (?, ?, ?) ORDER BY time DESC, run DESC, number DESC LIMIT ?"
        )
        while rows := self._database.execute(query, (since, *top, _CHUNK)).fetchall():
            yield from rows
            top = rows[-1][:3]


def _on_row(made: Plan, row: _Row) -> bool:
    """Whether a row is wanted, as far as the row says."""
    if made.groups is not None and row[4] not in made.groups:
        return False
    if made.kinds is not None and row[3] not in made.kinds:
        return False
    return all(any(number_fits(value, row[5]) for value in one.values) != one.negated for one in made.status)
