"""The tables of the approval store, version by version. A step is never changed once it was released."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        "CREATE TABLE asks (id TEXT PRIMARY KEY, run TEXT NOT NULL, bottle TEXT NOT NULL, label TEXT NOT NULL,"
        " project TEXT NOT NULL, host TEXT NOT NULL, state TEXT NOT NULL, asked INTEGER NOT NULL,"
        " settled INTEGER NOT NULL, body BLOB NOT NULL) STRICT",
        "CREATE INDEX asks_asked ON asks (asked)",
        "CREATE INDEX asks_state ON asks (state, asked)",
        "CREATE INDEX asks_run ON asks (run, asked)",
        "CREATE INDEX asks_host ON asks (host, asked)",
        "CREATE TABLE answers (id TEXT PRIMARY KEY, ask TEXT NOT NULL, at INTEGER NOT NULL,"
        " body BLOB NOT NULL) STRICT",
        "CREATE INDEX answers_ask ON answers (ask, at)",
        "CREATE TABLE grants (id TEXT PRIMARY KEY, given INTEGER NOT NULL, expires INTEGER NOT NULL,"
        " body BLOB NOT NULL) STRICT",
        "CREATE INDEX grants_expires ON grants (expires)",
        "CREATE TABLE changed (number INTEGER NOT NULL) STRICT",
        "INSERT INTO changed VALUES (0)",
    ),
)
VERSION = len(MIGRATIONS)
"""``PRAGMA user_version`` of a file that is up to date."""
