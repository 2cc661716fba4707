"""Which hosts a person has looked at: their own small SQLite below `Home.web`, apart from the index, which may be
made anew at any time. A mark says who and when; it decides nothing: no rule reads it."""

import os
import sqlite3

import msgspec

from bot_bottle.audit import database_file
from bot_bottle.base.home import Home

_SCHEMA = """CREATE TABLE IF NOT EXISTS reviewed (
    host TEXT PRIMARY KEY, at INTEGER NOT NULL, person TEXT NOT NULL
) STRICT"""


class Mark(msgspec.Struct, frozen=True):
    """host; at: wall ns; person: ``kind:id`` as in records."""

    host: str
    at: int
    person: str


class Reviewed:
    """The marks of one home. Opens its file for each use: they are few and far between."""

    def __init__(self, home: Home) -> None:
        self._path = f"{home.web}/reviewed.sqlite"

    def of(self, hosts: list[str]) -> dict[str, Mark]:
        """host -> mark, of those that have one."""
        if not os.path.exists(self._path):
            return {}
        wanted = msgspec.json.encode(hosts).decode()
        query = "SELECT host, at, person FROM reviewed WHERE host IN (SELECT value FROM json_each(?))"
        database = self._open()
        try:
            return {row[0]: Mark(*row) for row in database.execute(query, (wanted,))}
        finally:
            database.close()

    def mark(self, host: str, at: int, person: str) -> None:
        """The first mark stays."""
        database = self._open()
        try:
            database.execute("INSERT INTO reviewed VALUES (?, ?, ?) ON CONFLICT DO NOTHING", (host, at, person))
        finally:
            database.close()

    def unmark(self, host: str) -> None:
        database = self._open()
        try:
            database.execute("DELETE FROM reviewed WHERE host = ?", (host,))
        finally:
            database.close()

    def _open(self) -> sqlite3.Connection:
        os.makedirs(os.path.dirname(self._path), 0o700, exist_ok=True)
        database_file.make(self._path)
        database = sqlite3.connect(self._path, timeout=10, isolation_level=None)
        database.execute(_SCHEMA)
        return database
