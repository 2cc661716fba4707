"""The numbers that stand for texts and hosts in the index: made at their first use, remembered within bounds."""

import sqlite3

from bot_bottle.audit.index_schema import MOST

_MOST_CACHED = 100_000


class Numbers:
    """For the one process that writes."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._names: dict[str, int] = {}
        self._hosts: dict[str, int] = {}

    def forget(self) -> None:
        """Another process may have changed them, or a host may be gone."""
        self._names.clear()
        self._hosts.clear()

    def name(self, text: str) -> int:
        number = self._names.get(text)
        if number is None:
            self._database.execute("INSERT INTO names (text) VALUES (?) ON CONFLICT (text) DO NOTHING", (text,))
            (number,) = self._database.execute("SELECT id FROM names WHERE text = ?", (text,)).fetchone()
            if len(self._names) > _MOST_CACHED:
                self._names.clear()
            self._names[text] = number
        return number

    def host(self, host: str, run: int) -> int:
        """run: in which it was seen first, if nobody has seen it before."""
        number = self._hosts.get(host)
        if number is None:
            self._database.execute(
                "INSERT INTO hosts (host, first, last, run) VALUES (?, ?, ?, ?) ON CONFLICT (host) DO NOTHING",
                (host, MOST, 0, run),
            )
            (number,) = self._database.execute("SELECT id FROM hosts WHERE host = ?", (host,)).fetchone()
            if len(self._hosts) > _MOST_CACHED:
                self._hosts.clear()
            self._hosts[host] = number
        return number
