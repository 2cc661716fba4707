"""Opens the file of the approval store, and says in words of ours what SQLite and the file system say.

A reader opens it read-only and needs no right to write; a writer makes it, or brings it up to date, in one change.
"""

import contextlib
import os
import sqlite3
from collections.abc import Generator

import msgspec

from bot_bottle.audit import database_file
from bot_bottle.base.errors import HostFault
from bot_bottle.supervise.schema import MIGRATIONS, VERSION

WAIT = 10.0
"""Seconds that one process waits for another one's change."""


def open_to_read(path: str) -> sqlite3.Connection:
    with told(path):
        name = path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
        database = sqlite3.connect(f"file:{name}?mode=ro", uri=True, timeout=WAIT, isolation_level=None)
        found = _version(database)
    if found != VERSION:
        database.close()
        raise _other_version(path, found)
    return database


def open_to_write(path: str) -> sqlite3.Connection:
    with told(path):
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        database_file.make(path)
        database = sqlite3.connect(path, timeout=WAIT, isolation_level=None)
        try:
            database.execute("PRAGMA journal_mode = TRUNCATE")
            database.execute("PRAGMA synchronous = FULL")
            if _version(database) == VERSION:
                return database
            database.execute("BEGIN IMMEDIATE")
            found = _version(database)
            if found > VERSION:
                raise _other_version(path, found)
            for step in MIGRATIONS[found:]:
                for statement in step:
                    database.execute(statement)
            database.execute(f"PRAGMA user_version = {VERSION}")
            database.execute("COMMIT")
        except BaseException:
            database.close()
            raise
    return database


def _version(database: sqlite3.Connection) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def _other_version(path: str, found: int) -> HostFault:
    if found < VERSION:
        return HostFault(
            "approvals.older", f"{path} is of an older version.", "The next bottle that starts brings it up to date."
        )
    return HostFault("approvals.newer", f"{path} was written by a newer bot-bottle.", "Upgrade bot-bottle.")


@contextlib.contextmanager
def told(path: str) -> Generator[None]:
    """Turns what SQLite and the file system say into errors for a person."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise _fault(path, error) from None
    except (sqlite3.DatabaseError, msgspec.MsgspecError) as error:
        raise _damaged(path, error) from None
    except OSError as error:
        raise HostFault("approvals.unusable", f"{path} cannot be opened: {error.strerror}.", "") from None


def _fault(path: str, error: sqlite3.OperationalError) -> HostFault:
    name = getattr(error, "sqlite_errorname", "")
    if name.startswith("SQLITE_BUSY"):
        return HostFault("approvals.busy", f"{path} is in use for too long.", "Try again.")
    if name.startswith("SQLITE_CANTOPEN"):
        return HostFault("approvals.none", f"{path} cannot be opened.", "It is made when the first bottle starts.")
    if name == "SQLITE_READONLY_ROLLBACK":
        what = f"{path} was left in the middle of a change by a crash."
        return HostFault("approvals.recovering", what, "The next bottle that starts mends it.")
    if name in ("SQLITE_FULL", "SQLITE_READONLY") or name.startswith("SQLITE_IOERR"):
        return HostFault("approvals.unwritable", f"{path} cannot be written: {error}.", "Free space, check the disk.")
    if name == "SQLITE_ERROR":  # no such table, unsupported file format: the file is not what we wrote
        return _damaged(path, error)
    return HostFault("approvals.unusable", f"{path} cannot be used: {error}.", "")


def _damaged(path: str, error: Exception) -> HostFault:
    hint = "Stop bottles and serve, move it away: asks and grants start anew, what was recorded is in the logs."
    return HostFault("approvals.damaged", f"{path} is damaged: {error}.", hint)
