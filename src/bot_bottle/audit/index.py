"""A search index over all run logs, rebuilt from them at any time. It is no evidence: `show` and `verify` read logs.

Each run remembers how far it was indexed and the hash of the last line; a log that no longer has that line there is
indexed anew. What a purge dropped from a log is dropped here too.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator

import msgspec

from bot_bottle.audit.encode import decode
from bot_bottle.audit.merkle import leaf_hash
from bot_bottle.audit.reader import LogReader, purged_hint
from bot_bottle.audit.record import Record
from bot_bottle.base.errors import AuditFault
from bot_bottle.base.home import Home

VERSION = 1
_SCHEMA = """
CREATE TABLE logs (run TEXT PRIMARY KEY, next INTEGER NOT NULL, last BLOB NOT NULL) STRICT;
CREATE TABLE records (
    run TEXT NOT NULL, number INTEGER NOT NULL, time INTEGER NOT NULL, kind TEXT NOT NULL, bottle TEXT NOT NULL,
    label TEXT NOT NULL, host TEXT NOT NULL, method TEXT NOT NULL, path TEXT NOT NULL, verdict TEXT NOT NULL,
    rule TEXT NOT NULL, reason TEXT NOT NULL, status INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_time ON records (time);
CREATE INDEX records_host ON records (host, time);
CREATE INDEX records_verdict ON records (verdict, time);
"""
_INSERT = "INSERT OR REPLACE INTO records VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Query(msgspec.Struct, frozen=True):
    """What to look for; empty means any. host: exact or ``*.suffix``. text: a part of the line. since: wall ns."""

    host: str = ""
    verdict: str = ""
    kind: str = ""
    rule: str = ""
    bottle: str = ""
    run: str = ""
    text: str = ""
    since: int = 0
    limit: int = 200


class Hit(msgspec.Struct, frozen=True):
    """A record that was found. text: its line."""

    run: str
    number: int
    text: str


class Index:
    """One open index. Raises AuditFault when its file cannot be written."""

    def __init__(self, path: str) -> None:
        self._database = _open(path)

    def refresh(self, home: Home) -> int:
        """Takes in what the logs got since; the number of new records."""
        runs = _runs(home)
        with self._database:
            for (known,) in self._database.execute("SELECT run FROM logs").fetchall():
                if known not in runs:
                    self._forget(known)
            return sum(self._run(run, home.run_log(run)) for run in runs)

    def _run(self, run: str, directory: str) -> int:
        start, last = self._position(run)
        if start and not _is_line(directory, start - 1, last):
            self._forget(run)
            start = 0
        self._database.execute("DELETE FROM records WHERE run = ? AND number < ?", (run, purged_hint(directory)))
        count, line = 0, b""
        for number, line in _lines(directory, start):
            row = _row(run, number, line)
            if row is not None:
                self._database.execute(_INSERT, row)
            count, start = count + 1, number + 1
        if count:
            self._database.execute("INSERT OR REPLACE INTO logs VALUES (?, ?, ?)", (run, start, leaf_hash(line)))
        return count

    def _position(self, run: str) -> tuple[int, bytes]:
        found = self._database.execute("SELECT next, last FROM logs WHERE run = ?", (run,)).fetchone()
        return found if found else (0, b"")

    def _forget(self, run: str) -> None:
        self._database.execute("DELETE FROM records WHERE run = ?", (run,))
        self._database.execute("DELETE FROM logs WHERE run = ?", (run,))

    def search(self, query: Query) -> list[Hit]:
        """The newest records that fit, oldest first."""
        where, values = _conditions(query)
        rows = self._database.execute(
            f"SELECT run, number, text FROM records {where} ORDER BY time DESC, number DESC LIMIT ?",  # noqa: S608 - fixed text
            [*values, query.limit],
        )
        return [Hit(*row) for row in rows][::-1]

    def close(self) -> None:
        self._database.close()


def _conditions(query: Query) -> tuple[str, list[object]]:
    parts: list[str] = []
    values: list[object] = []
    for name in ("verdict", "kind", "rule", "bottle", "run"):
        if value := getattr(query, name):
            parts.append(f"{name} = ?")
            values.append(value)
    if query.host.startswith("*."):
        parts.append("host LIKE ? ESCAPE '\\'")
        values.append("%" + _literal(query.host[1:].lower()))
    elif query.host:
        parts.append("host = ?")
        values.append(query.host.lower())
    if query.text:
        parts.append("text LIKE ? ESCAPE '\\'")
        values.append(f"%{_literal(query.text)}%")
    if query.since:
        parts.append("time >= ?")
        values.append(query.since)
    return ("WHERE " + " AND ".join(parts) if parts else ""), values


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def _row(run: str, number: int, line: bytes) -> tuple[object, ...] | None:
    try:
        record = decode(line)
    except AuditFault:
        return None
    host, text = _host(record), line.decode().rstrip()
    return (
        run, number, min(record.time, 2**63 - 1), record.kind, record.bottle, record.label, host, record.method,
        record.path, record.verdict, record.rule, record.reason, min(record.status, 2**63 - 1), text,
    )  # fmt: skip


def _host(record: Record) -> str:
    rest = record.target.partition("://")[2] or record.target
    return rest.rpartition(":")[0] or rest


def _lines(directory: str, start: int) -> Iterator[tuple[int, bytes]]:
    for first, lines in LogReader(directory, start).batches():
        yield from enumerate(lines, first)


def _is_line(directory: str, number: int, digest: bytes) -> bool:
    if number < purged_hint(directory):
        return True
    return next((leaf_hash(line) == digest for at, line in _lines(directory, number) if at == number), False)


def _runs(home: Home) -> list[str]:
    try:
        return sorted(entry.name for entry in os.scandir(home.run_logs) if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _open(path: str) -> sqlite3.Connection:
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise AuditFault(
                "audit.index", f"The index cannot be opened: {error}.", "Mend its permissions."
            ) from None
        for name in (path, f"{path}-wal", f"{path}-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(name)
        return _connect(path)


def _connect(path: str) -> sqlite3.Connection:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(path, timeout=30)
    try:
        (version,) = database.execute("PRAGMA user_version").fetchone()
        if version != VERSION:
            with database:
                for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    database.execute(f'DROP TABLE "{name}"')
                for statement in _SCHEMA.split(";"):
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("PRAGMA synchronous = OFF")
    except BaseException:
        database.close()
        raise
    return database
