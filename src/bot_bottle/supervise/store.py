"""Asks, answers and grants in one SQLite file: written by keepers, read by everybody of the same person.

Rollback journal (TRUNCATE), so that a reader needs no write access to file or directory; every change is one
transaction that begins IMMEDIATE, so that of two answers one is first (D25, B74). What is written survives kill -9
and power loss. `changed` counts writes, for readers that wait.
"""

import contextlib
import fcntl
import os
import sqlite3
import time
from collections.abc import Generator
from typing import Any, TypeVar

import msgspec

from bot_bottle.base.errors import HostFault, OurFault
from bot_bottle.supervise.granting import alive
from bot_bottle.supervise.memory import may_settle, renewed, settled_ask
from bot_bottle.supervise.model import Answer, Ask, AskState, StoredGrant
from bot_bottle.supervise.opening import WAIT, open_to_read, open_to_write, told
from bot_bottle.supervise.ports import AskQuery

T = TypeVar("T")
_PAUSE = 0.001
_PLACE = ", row_number() OVER (PARTITION BY run ORDER BY asked DESC, id DESC) AS place"
_ASK = msgspec.json.Decoder(Ask)
_ANSWER = msgspec.json.Decoder(Answer)
_GRANT = msgspec.json.Decoder(StoredGrant)


class SqliteReader:
    """Reads; for one thread. Raises HostFault where the file is damaged, newer than this program or not there."""

    def __init__(self, path: str, database: sqlite3.Connection | None = None) -> None:
        self._path = path
        self._database = database or open_to_read(path)

    def ask(self, ask: str) -> Ask | None:
        row = self._one("SELECT body FROM asks WHERE id = ?", ask)
        return self._read(_ASK, row[0]) if row else None

    def asks(self, query: AskQuery) -> list[Ask]:
        where, values = _conditions(query)
        source = f"SELECT body, asked, id{_PLACE if query.each else ''} FROM asks {where}"  # noqa: S608 - fixed text
        within = f" WHERE place <= {query.each:d}" if query.each else ""
        text = f"SELECT body FROM ({source}){within} ORDER BY asked DESC, id DESC LIMIT ?"  # noqa: S608 - fixed text
        return [self._read(_ASK, row[0]) for row in self._all(text, *values, query.limit)]

    def count(self, query: AskQuery) -> int:
        where, values = _conditions(query)
        row = self._one(f"SELECT count(*) FROM asks {where}", *values)  # noqa: S608 - fixed text
        return row[0] if row else 0

    def answers(self, ask: str) -> list[Answer]:
        rows = self._all("SELECT body FROM answers WHERE ask = ? ORDER BY at, rowid", ask)
        return [self._read(_ANSWER, row[0]) for row in rows]

    def grants(self, *, live_at: int = 0, limit: int = 1000) -> list[StoredGrant]:
        rows = self._all(
            "SELECT body FROM grants WHERE expires > ? ORDER BY given DESC, id DESC LIMIT ?",
            live_at or -1,
            -1 if live_at else limit,
        )
        found = [self._read(_GRANT, row[0]) for row in rows]
        return [one for one in found if not live_at or alive(one, live_at)][:limit]

    def grant(self, grant: str) -> StoredGrant | None:
        row = self._one("SELECT body FROM grants WHERE id = ?", grant)
        return self._read(_GRANT, row[0]) if row else None

    def changes(self) -> int:
        row = self._one("SELECT number FROM changed")
        return row[0] if row else 0

    def close(self) -> None:
        self._database.close()

    def _read(self, decoder: msgspec.json.Decoder[T], body: bytes) -> T:
        """A row's content. Raises HostFault where it is damaged."""
        with told(self._path):
            return decoder.decode(body)

    def _one(self, text: str, *values: object) -> tuple[Any, ...] | None:
        rows = self._all(text, *values)
        return rows[0] if rows else None

    def _all(self, text: str, *values: object) -> list[tuple[Any, ...]]:
        with told(self._path):
            return self._database.execute(text, values).fetchall()


class SqliteStore(SqliteReader):
    """Reads and writes; for one thread of a keeper. The file is made, or brought up to date, when it is opened."""

    def __init__(self, path: str) -> None:
        super().__init__(path, open_to_write(path))
        with told(path):
            self._turn = os.open(f"{path}.turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def close(self) -> None:
        super().close()
        if self._turn >= 0:
            os.close(self._turn)
            self._turn = -1

    def add(self, ask: Ask) -> None:
        with self._change():
            if self.ask(ask.id) is not None:
                raise OurFault("approvals.twice", f"The ask {ask.id} exists already.")
            self._put(ask)

    def note(self, answer: Answer, version: int) -> bool:
        with self._change() as undo:
            ask = self.ask(answer.ask)
            if ask is None or ask.version != version or not may_settle(ask.state, AskState.ALLOWED):
                return undo()
            self._keep(answer)
            self._put(msgspec.structs.replace(ask, version=version + 1))
        return True

    def renew(self, ask: Ask, version: int) -> bool:
        with self._change() as undo:
            old = self.ask(ask.id)
            if old is None or old.version != version or old.state is not AskState.WAITING:
                return undo()
            self._put(renewed(old, ask))
        return True

    def settle(
        self, ask: str, version: int, state: AskState, at: int, answer: Answer | None = None,
        grant: StoredGrant | None = None,
    ) -> bool:  # fmt: skip
        with self._change() as undo:
            old = self.ask(ask)
            if old is None or old.version != version or not may_settle(old.state, state):
                return undo()
            if answer:
                self._keep(answer)
            if grant:
                self._give(grant)
            self._put(settled_ask(old, state, at, answer))
        return True

    def use(self, grant: str, now: int) -> bool:
        with self._change() as undo:
            found = self.grant(grant)
            if found is None or not alive(found, now):
                return undo()
            self._give(msgspec.structs.replace(found, used=found.used + 1))
        return True

    def revoke(self, grant: str, now: int, with_run: bool = False, with_policy: bool = False) -> bool:
        with self._change() as undo:
            found = self.grant(grant)
            if found is None or found.revoked:
                return undo()
            ended = msgspec.structs.replace(found, revoked=now, with_run=with_run, with_policy=with_policy)
            self._give(ended)
        return True

    def prune(self, before: int) -> int:
        with self._change():
            old = self._database.execute("DELETE FROM asks WHERE settled > 0 AND settled < ?", (before,)).rowcount
            self._database.execute("DELETE FROM answers WHERE ask NOT IN (SELECT id FROM asks)")
            return old + self._database.execute("DELETE FROM grants WHERE expires < ?", (before,)).rowcount

    @contextlib.contextmanager
    def _change(self) -> "Generator[_Undo]":
        """One transaction; whatever leaves the block with an error, or through undo(), was never there."""
        with told(self._path), self._in_turn():
            self._database.execute("BEGIN IMMEDIATE")
            undo = _Undo()
            try:
                yield undo
                if not undo.asked:
                    self._database.execute("UPDATE changed SET number = number + 1")
                self._database.execute("ROLLBACK" if undo.asked else "COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _in_turn(self) -> Generator[None]:
        """One writer after the other: SQLite alone lets them sleep and try again, some for more than a second."""
        until = time.monotonic() + WAIT
        while not _taken(self._turn):
            if time.monotonic() > until:  # who holds it hangs: that must not hang every keeper of this home
                raise HostFault("approvals.busy", f"{self._path} is in use for too long.", "Try again.")
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            fcntl.flock(self._turn, fcntl.LOCK_UN)

    def _put(self, ask: Ask) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO asks VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                ask.id, ask.run, ask.bottle, ask.label, ask.project, ask.wanted.target.host, ask.state.value,
                ask.asked, ask.settled, msgspec.json.encode(ask),
            ),
        )  # fmt: skip

    def _keep(self, answer: Answer) -> None:
        self._database.execute(
            "INSERT INTO answers VALUES (?, ?, ?, ?)", (answer.id, answer.ask, answer.at, msgspec.json.encode(answer))
        )

    def _give(self, grant: StoredGrant) -> None:
        self._database.execute(
            "INSERT OR REPLACE INTO grants VALUES (?, ?, ?, ?)",
            (grant.id, grant.given, grant.expires, msgspec.json.encode(grant)),
        )


def _taken(turn: int) -> bool:
    try:
        fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Undo:
    """Called inside a change: nothing is written, and the change returns False."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        self.asked = True
        return False


def _conditions(query: AskQuery) -> tuple[str, list[object]]:
    parts: list[str] = []
    values: list[object] = []
    for name in ("run", "bottle", "label", "project", "host"):
        if value := getattr(query, name):
            parts.append(f"{name} = ?")
            values.append(value)
    if query.states:
        parts.append(f"state IN ({', '.join('?' * len(query.states))})")
        values += [state.value for state in query.states]
    if query.before:
        parts.append("asked < ?")
        values.append(query.before)
    return ("WHERE " + " AND ".join(parts) if parts else ""), values
