"""API tokens: scoped, shown once, kept as sha256 only, revoked at once. A scanner finds one by its prefix `bb_`."""

import secrets
import sqlite3
from collections.abc import Collection

import msgspec

from bot_bottle.web.store import Store, digest, secret

SCOPES = ("read", "answer", "control", "admin")
PREFIX = "bb_"
_SEEN_EVERY = 60_000_000_000


class Token(msgspec.Struct, frozen=True):
    """What is known of a token, never the token. expires: wall ns, 0 for never."""

    id: str
    name: str
    scopes: tuple[str, ...]
    created: int
    expires: int
    seen: int
    revoked: int


class Tokens:
    def __init__(self, store: Store) -> None:
        self._store = store

    def issue(self, name: str, scopes: Collection[str], now: int, expires: int = 0) -> tuple[Token, str]:
        """The new token and its text, which nobody can ever read again."""
        text = PREFIX + secret()
        token = Token(secrets.token_hex(8), name, tuple(s for s in SCOPES if s in scopes), now, expires, 0, 0)
        row = (token.id, digest(text), name, " ".join(token.scopes), now, expires, 0, 0)
        with self._store.write() as database:
            database.execute("INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return token, text

    def find(self, text: str, now: int) -> Token | None:
        """The living token of this text."""
        found = self._store.row(
            "SELECT * FROM tokens WHERE hash = ? AND revoked = 0 AND (expires = 0 OR expires > ?)",
            (digest(text), now),
        )
        if found is None:
            return None
        if now - found["seen"] > _SEEN_EVERY:
            with self._store.write() as database:
                database.execute("UPDATE tokens SET seen = ? WHERE id = ?", (now, found["id"]))
        return _token(found)

    def lives(self, token: str, now: int) -> bool:
        query = "SELECT 1 FROM tokens WHERE id = ? AND revoked = 0 AND (expires = 0 OR expires > ?)"
        return self._store.row(query, (token, now)) is not None

    def all(self, limit: int = 200) -> list[Token]:
        """Newest first, revoked ones too."""
        return [
            _token(row) for row in self._store.rows("SELECT * FROM tokens ORDER BY created DESC LIMIT ?", (limit,))
        ]

    def revoke(self, token: str, now: int) -> bool:
        with self._store.write() as database:
            query = "UPDATE tokens SET revoked = ? WHERE id = ? AND revoked = 0"
            return database.execute(query, (now, token)).rowcount > 0


def _token(row: sqlite3.Row) -> Token:
    scopes = tuple(row["scopes"].split())
    return Token(row["id"], row["name"], scopes, row["created"], row["expires"], row["seen"], row["revoked"])
