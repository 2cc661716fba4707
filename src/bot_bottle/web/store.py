"""What the web process owns: devices, sessions, API tokens, first answers of idempotent requests.

SQLite below `Home.web`; secrets only as sha256. One connection per thread; every write is BEGIN IMMEDIATE.
"""

import contextlib
import hashlib
import os
import secrets
import sqlite3
import threading
from collections.abc import Generator, Sequence

from bot_bottle.audit import database_file
from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home

VERSION = 1
_SCHEMA = (
    """CREATE TABLE devices (id TEXT PRIMARY KEY, name TEXT NOT NULL, kind TEXT NOT NULL, agent TEXT NOT NULL,
       created INTEGER NOT NULL, seen INTEGER NOT NULL, revoked INTEGER NOT NULL) STRICT""",
    """CREATE TABLE sessions (hash TEXT PRIMARY KEY, device TEXT NOT NULL, created INTEGER NOT NULL,
       seen INTEGER NOT NULL, expires INTEGER NOT NULL) STRICT""",
    """CREATE TABLE tokens (id TEXT PRIMARY KEY, hash TEXT NOT NULL UNIQUE, name TEXT NOT NULL, scopes TEXT NOT NULL,
       created INTEGER NOT NULL, expires INTEGER NOT NULL, seen INTEGER NOT NULL, revoked INTEGER NOT NULL) STRICT""",
    """CREATE TABLE firsts (person TEXT NOT NULL, key TEXT NOT NULL, digest TEXT NOT NULL, at INTEGER NOT NULL,
       status INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (person, key)) STRICT""",
)


class Store:
    """One file, any number of threads. Raises HostFault where a newer bot-bottle wrote it."""

    def __init__(self, home: Home) -> None:
        os.makedirs(home.web, 0o700, exist_ok=True)
        self.path = f"{home.web}/web.sqlite"
        self._own = threading.local()
        database_file.make(self.path)
        with self.write() as database:
            (version,) = database.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in _SCHEMA:
                    database.execute(statement)
                database.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise HostFault("web.newer", f"{self.path} was written by a newer bot-bottle.", "Upgrade bot-bottle.")

    def rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        return self._database().execute(statement, values).fetchall()

    def row(self, statement: str, values: Sequence[object] = ()) -> sqlite3.Row | None:
        return self._database().execute(statement, values).fetchone()

    @contextlib.contextmanager
    def write(self) -> Generator[sqlite3.Connection]:
        """One transaction; rolled back where the block raises."""
        database = self._database()
        database.execute("BEGIN IMMEDIATE")
        try:
            yield database
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")

    def _database(self) -> sqlite3.Connection:
        database: sqlite3.Connection | None = getattr(self._own, "database", None)
        if database is None:
            database = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            database.row_factory = sqlite3.Row
            database.execute("PRAGMA synchronous = NORMAL")
            self._own.database = database
        return database


def secret() -> str:
    """256 random bits, URL-safe."""
    return secrets.token_urlsafe(32)


def digest(text: str) -> str:
    """How a secret is kept: it has 256 bits, so a plain hash is enough."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
