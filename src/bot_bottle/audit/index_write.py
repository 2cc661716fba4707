"""Brings the index up to date with the logs: one process at a time, in batches, each with where it got to.

A run is read on from where its index ends, or anew: when its last indexed line is no longer there (the log was
exchanged) and when a purge dropped records, so that an index that grew and one that is built now are equal.
"""

# ruff: noqa: S608 - statements are fixed texts and numbers of ours; every value is bound

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Callable, Collection, Generator

from bot_bottle.audit.index_logs import HOST, is_line, logs, signature
from bot_bottle.audit.index_numbers import Numbers
from bot_bottle.audit.index_rows import MOST_BYTES, Batch, Sum, Taker, Who
from bot_bottle.audit.index_schema import MOST
from bot_bottle.audit.merkle import leaf_hash
from bot_bottle.audit.reader import LogReader, purged_hint
from bot_bottle.base.home import Home

BATCH = 50_000
_CHANGING = (
    "bottle", "agent", "harness", "label", "project", "person", "policy", "first", "last", "ended", "next", "leaf",
    "purged", "seen",
)  # fmt: skip
_ADDED = (
    "requests = requests + excluded.requests, asks = asks + excluded.asks,"
    f" up = min({MOST_BYTES}, up + excluded.up), down = min({MOST_BYTES}, down + excluded.down)"
)
CONTROL = b'"kind":"control"'


class Writer:
    """Fills an index. told: called with the number of new records after each batch that was written."""

    def __init__(self, database: sqlite3.Connection, path: str, told: Callable[[int], None] = lambda _: None) -> None:
        self._database = database
        self._lock_path = f"{os.path.dirname(path)}/writer.lock"
        self._told = told
        self._numbers = Numbers(database)

    def refresh(self, home: Home, wait: bool = True, only: Collection[str] = ()) -> int:
        """Takes in what the logs got since; the number of new records, -1 where another process does it now and we
        do not wait. only: run ids; nothing else is looked at, and nothing is forgotten."""
        with self._locked(wait) as mine:
            if not mine:
                return -1
            self._numbers.forget()
            found = logs(home)
            if only:
                return sum(self._run(run, found[run]) for run in only if run in found)
            known = {run for (run,) in self._database.execute("SELECT run FROM runs")}
            for run in known - found.keys():
                with self._write():
                    self._forget(run)
            return sum(self._run(run, directory) for run, directory in found.items())

    def _run(self, run: str, directory: str) -> int:
        seen = signature(directory)
        row = self._database.execute("SELECT id, next, leaf, purged, seen FROM runs WHERE run = ?", (run,)).fetchone()
        if row and row[4] == seen:
            return 0
        purged = purged_hint(directory)
        if row and (row[3] != purged or (row[1] and not is_line(directory, row[1] - 1, row[2]))):
            with self._write():
                self._forget(run)
            row = None
        return self._read_on(run, directory, row, purged, seen)

    def _read_on(
        self, run: str, directory: str, row: tuple[int, int, bytes, int, str] | None, purged: int, seen: str
    ) -> int:
        reader = LogReader(directory, row[1] if row else 0)
        taker = Taker(self._who(row[0]), self._patterns(row[0])) if row else Taker(Who(), set())
        count, line, last = 0, row[2] if row else b"", b""
        places: list[tuple[int, int]] = []
        for start, lines in reader.batches():
            for number, data in enumerate(lines, start):
                if run != HOST or CONTROL in data[:64]:
                    taker.take(number, data)
            count, last = count + len(lines), lines[-1]
            path, offset, at = reader.place
            if path and at == reader.position:
                places.append((at, offset))
            if len(taker.batch.rows) >= BATCH:
                self._flush(run, taker, reader.position, leaf_hash(last), purged, "", places)
        leaf = leaf_hash(last) if last else line
        self._flush(run, taker, reader.position, leaf, purged, seen, places)
        return count

    def _flush(
        self, run: str, taker: Taker, position: int, leaf: bytes, purged: int, seen: str,
        places: list[tuple[int, int]],
    ) -> None:  # fmt: skip
        batch = taker.fresh()
        with self._write():
            number = self._run_number(run, taker.who, position, leaf, purged, seen, len(batch.rows))
            groups = self._groups(number, batch)
            self._database.executemany(
                "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?)",
                [(t, number, n, kind, groups[slot], status) for t, n, kind, slot, status in batch.rows],
            )
            self._sums(number, batch, groups)
            self._database.executemany(
                "INSERT INTO uses VALUES (?, ?, ?) ON CONFLICT (granted, run) DO UPDATE SET"
                " count = count + excluded.count",
                [(grant, number, count) for grant, count in batch.uses.items()],
            )
            self._database.executemany(
                "INSERT OR REPLACE INTO places VALUES (?, ?, ?)", [(number, at, offset) for at, offset in places]
            )
        places.clear()
        self._told(len(batch.rows))

    def _run_number(
        self, run: str, who: Who, position: int, leaf: bytes, purged: int, seen: str, records: int
    ) -> int:
        first = 0 if who.first == MOST else who.first
        values = (
            run, who.bottle, who.agent, who.harness, who.label, who.project, who.person, who.policy, first, who.last,
            records, who.ended, position, leaf, purged, seen,
        )  # fmt: skip
        changes = ", ".join(f"{name} = excluded.{name}" for name in _CHANGING)
        (number,) = self._database.execute(
            "INSERT INTO runs (run, bottle, agent, harness, label, project, person, policy, first, last, records,"
            " ended, next, leaf, purged, seen) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
            f" ON CONFLICT (run) DO UPDATE SET records = records + excluded.records, {changes} RETURNING id",
            values,
        ).fetchone()
        return number

    def _groups(self, run: int, batch: Batch) -> list[int]:
        """The numbers of the groups of a batch's shapes, by slot; new ones are made."""
        numbers: list[int] = []
        known = self._known_groups(run) if batch.shapes else {}
        for key in batch.shapes:
            host, scheme, method, _, *rest, solo = key
            parts = (self._numbers.host(host, run), *map(self._numbers.name, (scheme, method, *map(str, rest))), solo)
            number = known.get(parts)
            if number is None:
                number = self._database.execute(
                    "INSERT INTO groups (run, host, scheme, method, verdict, rule, reason, secrets, solo)"
                    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                    (run, *parts),
                ).lastrowid
                assert number is not None
                known[parts] = number
            numbers.append(number)
        return numbers

    def _known_groups(self, run: int) -> dict[tuple[int, ...], int]:
        rows = self._database.execute(
            "SELECT host, scheme, method, verdict, rule, reason, secrets, solo, id FROM groups WHERE run = ?", (run,)
        )
        return {row[:8]: row[8] for row in rows}

    def _sums(self, run: int, batch: Batch, groups: list[int]) -> None:
        """Adds a batch to the sums of its groups, by the hour and by path, and to the times of its hosts."""
        hosts = [key[0] for key in batch.shapes]
        hours: dict[tuple[int, int], Sum] = {}
        wholes: dict[int, Sum] = {}
        times: dict[str, Sum] = {}
        for (slot, hour), one in batch.sums.items():
            hours.setdefault((groups[slot], hour), Sum()).add(one)
            wholes.setdefault(groups[slot], Sum()).add(one)
            times.setdefault(hosts[slot], Sum()).add(one)
        self._hour_sums(hours)
        self._path_sums(batch, groups)
        self._group_sums(wholes)
        self._host_times(times, run)

    def _hour_sums(self, hours: dict[tuple[int, int], Sum]) -> None:
        self._database.executemany(
            "INSERT INTO hours VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (grp, hour) DO UPDATE SET"
            f" records = records + excluded.records, {_ADDED}",
            [(*key, one.records, one.requests, one.asks, one.up, one.down) for key, one in hours.items()],
        )

    def _path_sums(self, batch: Batch, groups: list[int]) -> None:
        paths = [self._numbers.name(key[3]) if key[3] else 0 for key in batch.shapes]
        self._database.executemany(
            "INSERT INTO paths VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (grp, path, hour) DO UPDATE SET"
            f" {_ADDED}, first = min(first, excluded.first), last = max(last, excluded.last)",
            [
                (groups[slot], paths[slot], hour, one.requests, one.asks, one.up, one.down, one.first, one.last)
                for (slot, hour), one in batch.sums.items()
                if one.requests or one.asks or one.up or one.down
            ],
        )

    def _group_sums(self, wholes: dict[int, Sum]) -> None:
        self._database.executemany(
            "UPDATE groups SET kinds = kinds | ?, records = records + ?, requests = requests + ?, asks = asks + ?,"
            f" missed = missed + ?, up = min({MOST_BYTES}, up + ?), down = min({MOST_BYTES}, down + ?),"
            " first = min(first, ?), last = max(last, ?) WHERE id = ?",
            [
                (
                    one.kinds, one.records, one.requests, one.asks, one.missed, one.up, one.down, one.first, one.last,
                    number,
                )
                for number, one in wholes.items()
            ],
        )  # fmt: skip

    def _host_times(self, times: dict[str, Sum], run: int) -> None:
        """First and last seen of the hosts of a batch, and in which run first."""
        self._database.executemany(
            "UPDATE hosts SET run = CASE WHEN ?1 < first OR (?1 = first AND ?3 < run) THEN ?3 ELSE run END,"
            " first = min(first, ?1), last = max(last, ?2) WHERE host = ?4",
            [(one.first, one.last, run, host) for host, one in times.items()],
        )

    def _who(self, run: int) -> Who:
        query = (
            "SELECT bottle, agent, harness, label, project, person, policy, first, last, ended FROM runs WHERE id = ?"
        )
        row = self._database.execute(query, (run,)).fetchone()
        who = Who(*row)
        who.first = who.first or MOST
        return who

    def _patterns(self, run: int) -> set[str]:
        query = (
            "SELECT DISTINCT text FROM groups g JOIN paths p ON p.grp = g.id JOIN names n ON n.id = p.path"
            " WHERE run = ?"
        )
        return {text for (text,) in self._database.execute(query, (run,))}

    def _forget(self, run: str) -> None:
        """All that is known of a run. A host that only it had is gone, another gets the times that are left."""
        row = self._database.execute("SELECT id FROM runs WHERE run = ?", (run,)).fetchone()
        if row is None:
            return
        (number,) = row
        hosts = self._database.execute("SELECT DISTINCT host FROM groups WHERE run = ?", (number,)).fetchall()
        mine = "SELECT id FROM groups WHERE run = ?"
        self._database.execute(
            "DELETE FROM records WHERE (time, run, number) IN"
            f" (SELECT time, run, number FROM records WHERE grp IN ({mine}))",
            (number,),
        )
        for table in ("hours", "paths"):
            self._database.execute(f"DELETE FROM {table} WHERE grp IN ({mine})", (number,))
        for table, column in (("groups", "run"), ("places", "run"), ("uses", "run"), ("runs", "id")):
            self._database.execute(f"DELETE FROM {table} WHERE {column} = ?", (number,))
        for (host,) in hosts:
            self._recount(host)
        self._numbers.forget()

    def _recount(self, host: int) -> None:
        query = "SELECT first, last, run FROM groups WHERE host = ? ORDER BY first, run LIMIT 1"
        row = self._database.execute(query, (host,)).fetchone()
        if row is None:
            self._database.execute("DELETE FROM hosts WHERE id = ?", (host,))
            return
        (last,) = self._database.execute("SELECT max(last) FROM groups WHERE host = ?", (host,)).fetchone()
        self._database.execute(
            "UPDATE hosts SET first = ?, last = ?, run = ? WHERE id = ?", (row[0], last, row[2], host)
        )

    @contextlib.contextmanager
    def _write(self) -> Generator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    @contextlib.contextmanager
    def _locked(self, wait: bool) -> Generator[bool]:
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            yield True
        except BlockingIOError:
            yield False
        finally:
            os.close(lock)
