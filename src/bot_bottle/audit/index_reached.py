"""Which hosts were reached: the one meaning of the word, for Now, Reach, Bottle and the API.

Allowed is not reached. A host is reached where an allowed request to it got a connection, and counts as reached while
one goes on or its end is not known: only where every one ended without a connection is it not.
"""

# ruff: noqa: S608 - statements are fixed texts and numbers of ours; every value is bound

import sqlite3
from collections.abc import Mapping

import msgspec

from bot_bottle.audit.index_match import Plan
from bot_bottle.audit.index_rows import REACHED_BIT

ALLOWED = "sum(iif(s.verdict = ?, s.requests, 0))"
"""Requests of groups ``s`` that were allowed; the value is the number of the name ``allow``."""
REACHED = f"(max(s.kinds & {REACHED_BIT}) > 0 OR {ALLOWED} > sum(s.missed))"
"""Whether groups ``s`` reached something; the same value."""


def reached(database: sqlite3.Connection, made: Plan, allow: int) -> set[int]:
    """Numbers of the hosts that the groups of a plan reached. allow: number of the name ``allow``."""
    query = (
        f"SELECT s.host FROM groups s WHERE {made.where or '1'} AND s.last >= ? AND s.first < ?"
        f" GROUP BY s.host HAVING {REACHED}"
    )
    return {host for (host,) in database.execute(query, [*made.values, made.since, made.until, allow])}


def reached_before(database: sqlite3.Connection, times: Mapping[str, int], allow: int) -> set[str]:
    """Those of these hosts that were reached before their time, wall ns. What was refused, asked about or looked up
    makes no host a known one: a bottle does that by itself (B73)."""
    only = "s.host = h.id AND s.first < w.value"
    query = (
        "SELECT w.key FROM json_each(?) w JOIN hosts h ON h.host = w.key"
        f" WHERE EXISTS (SELECT 1 FROM groups s WHERE {only} AND s.kinds & {REACHED_BIT})"
        f" OR (SELECT {ALLOWED} > sum(s.missed) FROM groups s WHERE {only})"
    )
    wanted = msgspec.json.encode(dict(times)).decode()
    return {host for (host,) in database.execute(query, (wanted, allow))}
