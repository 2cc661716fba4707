"""A search index over all logs, rebuilt from them at any time. It is no evidence: `show` and `verify` read logs.

One process writes at a time (a lock beside it), any number read meanwhile. Each run remembers how far it was indexed
and the hash of the last line; a log that no longer has that line there is indexed anew. What a purge dropped from a
log is dropped here too. What people make, like the marks on reviewed hosts, is kept elsewhere (web/reviewed.py).
"""

import sqlite3
import time
from collections.abc import Callable, Collection, Iterable

import msgspec

from bot_bottle.audit.filters import Filter, Term
from bot_bottle.audit.index_lines import Lines
from bot_bottle.audit.index_logs import HOST
from bot_bottle.audit.index_reach import Reach
from bot_bottle.audit.index_schema import VERSION, connect, discard, identity
from bot_bottle.audit.index_search import Found, Hit, Key, Search
from bot_bottle.audit.index_write import Writer
from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home

__all__ = ["HOST", "VERSION", "Found", "Hit", "Index", "Key", "Query"]


class Query(msgspec.Struct, frozen=True):
    """What to look for; empty means any. host: exact or ``*.suffix``. text: a part of the line. since: wall ns.
    terms: of the filter language, besides."""

    host: str = ""
    verdict: str = ""
    kind: str = ""
    rule: str = ""
    bottle: str = ""
    run: str = ""
    text: str = ""
    since: int = 0
    limit: int = 200
    terms: tuple[Term, ...] = ()

    @property
    def filter(self) -> Filter:
        names = ("host", "verdict", "kind", "rule", "bottle", "run", "text")
        return Filter((*self.terms, *(Term(name, (getattr(self, name),)) for name in names if getattr(self, name))))


class Index:
    """One open index, for one thread. Raises HostFault when its file cannot be opened.

    home: whose logs lines are read from; without it the first `refresh` says. told: see Writer."""

    def __init__(self, path: str, home: Home | None = None, told: Callable[[int], None] = lambda _: None) -> None:
        self._path = path
        self._database = connect(path)
        self._file = identity(path)
        self._home = home
        self._writer = Writer(self._database, path, told)
        self._lines = Lines(self._directory, self._place)
        self._search = Search(self._database, self._lines)
        self.reach = Reach(self._database)

    def refresh(self, home: Home, wait: bool = True, only: Collection[str] = ()) -> int:
        """Takes in what the logs got since; the number of new records, -1 where another process is at it and we do
        not wait. only: these runs and no others. Raises HostFault where the index was damaged: it is gone then, and
        the next one that is opened is made anew."""
        self._home = home
        try:
            return self._writer.refresh(home, wait, only)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                what = f"The index cannot be written: {error}."
                raise HostFault("audit.index", what, "Free space on the disk of the home.") from None
            discard(self._path)
            raise HostFault("audit.index", "The index was damaged.", "It is made anew: try again.") from None

    @property
    def stale(self) -> bool:
        """Whether this index was removed, or another one stands in its place: then it is opened again."""
        return identity(self._path) != self._file

    def search(self, query: Query) -> list[Hit]:
        """The newest records that fit, oldest first; as long as it takes."""
        wanted = query.filter
        if query.since:
            wanted = Filter((*wanted.terms, Term("since", (f"@{query.since}",))))
        return self.page(wanted, time.time_ns(), query.limit).hits[::-1]

    def page(self, wanted: Filter, now: int, limit: int, before: Key | None = None, seconds: float = 0) -> Found:
        """One page, newest first. before: of the page before. seconds: at most so long, 0 for as long as it takes."""
        return self._search.page(wanted, now, limit, before, seconds)

    def count(self, wanted: Filter, now: int) -> int | None:
        """How many records fit; None where only their lines can say."""
        return self._search.count(wanted, now)

    def uses(self, grants: Iterable[str]) -> dict[str, int]:
        """grant -> requests that left under it, as far as their records are kept; none, no entry."""
        query = (
            "SELECT granted, sum(count) FROM uses WHERE granted IN (SELECT value FROM json_each(?)) GROUP BY granted"
        )
        return dict(self._database.execute(query, (msgspec.json.encode(list(grants)).decode(),)).fetchall())

    def line(self, run: str, number: int) -> bytes | None:
        """One line of a log, or None where it has none of that number (any more)."""
        return self._lines.line(run, number)

    def close(self) -> None:
        self._database.close()

    def _directory(self, run: str) -> str:
        assert self._home is not None, "an index that reads lines knows its home"
        return self._home.host_log if run == HOST else self._home.run_log(run)

    def _place(self, run: str, start: int, number: int) -> tuple[int, int]:
        """(number, byte) in the segment that begins with `start`, at or before a number."""
        row = self._database.execute(
            "SELECT number, offset FROM places WHERE run = (SELECT id FROM runs WHERE run = ?) AND number > ?"
            " AND number <= ? ORDER BY number DESC LIMIT 1",
            (run, start, number),
        ).fetchone()
        return (row[0], row[1]) if row else (start, 0)
