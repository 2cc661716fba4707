"""The tables of the index, and how they are opened: one writer, any number of readers (WAL).

A record is a narrow row that names its *group*: all that repeats, said once per run. So every question about what was
reached is a question to groups and their sums by the hour, a small fraction of the records, and a filter is a set of
groups. Lines are not here: they are read from the logs, which alone say what is true.
"""

import contextlib
import errno
import os
import sqlite3

from bot_bottle.audit import database_file
from bot_bottle.base.errors import HostFault

VERSION = 7
HOUR = 3_600_000_000_000
MOST = 2**63 - 1

_SCHEMA = """
CREATE TABLE names (id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL UNIQUE, bottle TEXT NOT NULL, agent TEXT NOT NULL,
    harness TEXT NOT NULL, label TEXT NOT NULL, project TEXT NOT NULL, person TEXT NOT NULL, policy TEXT NOT NULL,
    first INTEGER NOT NULL, last INTEGER NOT NULL, records INTEGER NOT NULL, ended INTEGER NOT NULL,
    next INTEGER NOT NULL, leaf BLOB NOT NULL, purged INTEGER NOT NULL, seen TEXT NOT NULL
) STRICT;
CREATE INDEX runs_last ON runs (last);
CREATE TABLE hosts (
    id INTEGER PRIMARY KEY, host TEXT NOT NULL UNIQUE, first INTEGER NOT NULL, last INTEGER NOT NULL,
    run INTEGER NOT NULL
) STRICT;
CREATE INDEX hosts_first ON hosts (first);
CREATE TABLE groups (
    id INTEGER PRIMARY KEY, run INTEGER NOT NULL, host INTEGER NOT NULL, scheme INTEGER NOT NULL,
    method INTEGER NOT NULL, verdict INTEGER NOT NULL, rule INTEGER NOT NULL, reason INTEGER NOT NULL,
    secrets INTEGER NOT NULL, solo INTEGER NOT NULL, kinds INTEGER NOT NULL DEFAULT 0,
    records INTEGER NOT NULL DEFAULT 0, requests INTEGER NOT NULL DEFAULT 0, asks INTEGER NOT NULL DEFAULT 0,
    missed INTEGER NOT NULL DEFAULT 0, up INTEGER NOT NULL DEFAULT 0, down INTEGER NOT NULL DEFAULT 0,
    first INTEGER NOT NULL DEFAULT 9223372036854775807, last INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX groups_run ON groups (run);
CREATE INDEX groups_host ON groups (host, run);
CREATE INDEX groups_rule ON groups (rule, run);
CREATE TABLE hours (
    grp INTEGER NOT NULL, hour INTEGER NOT NULL, records INTEGER NOT NULL, requests INTEGER NOT NULL,
    asks INTEGER NOT NULL, up INTEGER NOT NULL, down INTEGER NOT NULL, PRIMARY KEY (grp, hour)
) STRICT, WITHOUT ROWID;
CREATE TABLE paths (
    grp INTEGER NOT NULL, path INTEGER NOT NULL, hour INTEGER NOT NULL, requests INTEGER NOT NULL,
    asks INTEGER NOT NULL, up INTEGER NOT NULL, down INTEGER NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL,
    PRIMARY KEY (grp, path, hour)
) STRICT, WITHOUT ROWID;
CREATE TABLE records (
    time INTEGER NOT NULL, run INTEGER NOT NULL, number INTEGER NOT NULL, kind INTEGER NOT NULL,
    grp INTEGER NOT NULL, status INTEGER NOT NULL, PRIMARY KEY (time, run, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX records_grp ON records (grp, time, run, number, kind, status);
CREATE TABLE uses (
    granted TEXT NOT NULL, run INTEGER NOT NULL, count INTEGER NOT NULL, PRIMARY KEY (granted, run)
) STRICT, WITHOUT ROWID;
CREATE INDEX uses_run ON uses (run);
CREATE TABLE places (
    run INTEGER NOT NULL, number INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (run, number)
) STRICT, WITHOUT ROWID;
"""


def connect(path: str) -> sqlite3.Connection:
    """An index that can be used; one that is damaged or of another version is made anew. Raises HostFault."""
    try:
        return _connect(path)
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            what = f"The index cannot be opened: {error}."
            raise HostFault("audit.index", what, "Mend its permissions, or delete it: it is made anew.") from None
        discard(path)
        return _connect(path)


def discard(path: str) -> None:
    """Removes an index that is damaged; who has it open sees that it is `stale`."""
    for name in (path, f"{path}-wal", f"{path}-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)


def identity(path: str) -> int:
    """Which file stands there now, 0 for none."""
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def _connect(path: str) -> sqlite3.Connection:
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    database_file.make(path)
    database = sqlite3.connect(path, timeout=60, isolation_level=None)
    try:
        _is_here(database, path)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        if database.execute("PRAGMA user_version").fetchone() != (VERSION,):
            _create(database)
        database.execute("PRAGMA cache_size = -65536")
        database.execute("PRAGMA mmap_size = 4294967296")
        database.execute("PRAGMA temp_store = MEMORY")
    except BaseException:
        database.close()
        raise
    return database


def _is_here(database: sqlite3.Connection, path: str) -> None:
    """The web process may write in this directory, and make the index a link after `make` has looked: what SQLite has
    opened is asked of SQLite, before it reads or changes anything (D17). Raises OSError."""
    ((_, _, opened),) = database.execute("PRAGMA database_list").fetchall()
    if opened != os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path)):
        raise OSError(errno.ELOOP, "not a file of its own", path)


def _create(database: sqlite3.Connection) -> None:
    database.execute("BEGIN IMMEDIATE")
    try:
        if database.execute("PRAGMA user_version").fetchone() != (VERSION,):
            for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                database.execute(f'DROP TABLE "{name}"')
            for statement in _SCHEMA.split(";"):
                database.execute(statement)
            database.execute(f"PRAGMA user_version = {VERSION}")
        database.execute("COMMIT")
    except BaseException:
        database.execute("ROLLBACK")
        raise
