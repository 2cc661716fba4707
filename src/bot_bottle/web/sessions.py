"""Who is signed in: an opaque 256-bit id in a cookie, its sha256 in the store, looked up with every request.

Rotated at sign-in (fixation: an id that came with the request is never kept), revoked at once, bound to a device: the
local person's browser or a paired one. The CSRF token is derived from the id, so that only this session has it.
"""

import hashlib
import hmac
import secrets
import sqlite3
from dataclasses import dataclass

import msgspec

from bot_bottle.web.store import Store, digest, secret

SECOND = 1_000_000_000
LOCAL_SECONDS = 30 * 86400
DEVICE_SECONDS = 90 * 86400
_SEEN_EVERY = 60 * SECOND
_MOST_DEVICES = 50


class Device(msgspec.Struct, frozen=True):
    """kind: local | device. agent: the browser's own words, cut. Times: wall ns; 0 for never."""

    id: str
    name: str
    kind: str
    agent: str
    created: int
    seen: int
    revoked: int = 0


@dataclass(frozen=True, slots=True)
class Session:
    """hash: of the id. csrf: what an unsafe request must carry."""

    hash: str
    csrf: str
    device: Device


class Sessions:
    """now: wall clock ns, given with every call."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def open(self, name: str, kind: str, agent: str, now: int, old: str = "") -> str:
        """A new device with a new session; its id, for the cookie. old: id of a session that ends with it."""
        device = secrets.token_hex(8)
        seconds = LOCAL_SECONDS if kind == "local" else DEVICE_SECONDS
        fresh = secret()
        with self._store.write() as database:
            database.execute(
                "INSERT INTO devices VALUES (?, ?, ?, ?, ?, ?, 0)", (device, name, kind, agent[:200], now, now)
            )
            database.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?, ?)",
                (digest(fresh), device, now, now, now + seconds * SECOND),
            )
            if old:
                _end(database, digest(old))
            database.execute("DELETE FROM sessions WHERE expires <= ?", (now,))
        return fresh

    def find(self, given: str, now: int) -> Session | None:
        """The living session of this id."""
        found = self._store.row(
            "SELECT s.hash, s.seen AS session_seen, d.* FROM sessions s JOIN devices d ON d.id = s.device"
            " WHERE s.hash = ? AND s.expires > ? AND d.revoked = 0",
            (digest(given), now),
        )
        if found is None:
            return None
        if now - found["session_seen"] > _SEEN_EVERY:
            with self._store.write() as database:
                database.execute("UPDATE sessions SET seen = ? WHERE hash = ?", (now, found["hash"]))
                database.execute("UPDATE devices SET seen = ? WHERE id = ?", (now, found["id"]))
        return Session(found["hash"], csrf(given), _device(found))

    def lives(self, hashed: str, now: int) -> bool:
        """Whether a session that was found before still is (an event stream asks every second)."""
        query = "SELECT 1 FROM sessions s JOIN devices d ON d.id = s.device"
        return (
            self._store.row(f"{query} WHERE s.hash = ? AND s.expires > ? AND d.revoked = 0", (hashed, now))
            is not None
        )

    def ends(self, device: str, now: int) -> int:
        """When the last living session of this device ends; `now` where there is none."""
        query = "SELECT max(expires) AS last FROM sessions WHERE device = ?"
        found = self._store.row(query, (device,))
        return max(now, (found["last"] if found else 0) or 0)

    def signed_in(self, now: int) -> frozenset[str]:
        """Devices with a living session."""
        query = "SELECT d.id FROM sessions s JOIN devices d ON d.id = s.device WHERE s.expires > ? AND d.revoked = 0"
        return frozenset(row["id"] for row in self._store.rows(query, (now,)))

    def devices(self, limit: int = 200) -> list[Device]:
        """Newest first, revoked ones too."""
        return [
            _device(row) for row in self._store.rows("SELECT * FROM devices ORDER BY created DESC LIMIT ?", (limit,))
        ]

    def device(self, device: str) -> Device | None:
        found = self._store.row("SELECT * FROM devices WHERE id = ?", (device,))
        return _device(found) if found else None

    def revoke(self, device: str, now: int) -> bool:
        """Ends a device with its sessions; False where it was none or ended before."""
        with self._store.write() as database:
            changed = database.execute("UPDATE devices SET revoked = ? WHERE id = ? AND revoked = 0", (now, device))
            database.execute("DELETE FROM sessions WHERE device = ?", (device,))
            return changed.rowcount > 0

    def rename(self, device: str, name: str) -> bool:
        with self._store.write() as database:
            return database.execute("UPDATE devices SET name = ? WHERE id = ?", (name, device)).rowcount > 0


def csrf(session: str) -> str:
    """The token that belongs to a session id; whoever does not know the id cannot make it."""
    return hmac.new(session.encode(), b"bot-bottle csrf v1", hashlib.sha256).hexdigest()


def _end(database: sqlite3.Connection, hashed: str) -> None:
    """Ends one session with its device: signing in again replaces it."""
    database.execute(
        "UPDATE devices SET revoked = created WHERE id IN (SELECT device FROM sessions WHERE hash = ?)", (hashed,)
    )
    database.execute("DELETE FROM sessions WHERE hash = ?", (hashed,))


def _device(row: sqlite3.Row) -> Device:
    return Device(row["id"], row["name"], row["kind"], row["agent"], row["created"], row["seen"], row["revoked"])
