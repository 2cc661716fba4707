"""Which hosts were reached: the one meaning of the word, for Now, Reach, Bottle and the API.

Allowed is not reached. A host is reached where an allowed request to it got a connection, and counts as reached while
one goes on or its end is not known: only where every one ended without a connection is it not.
"""

# ruff: noqa: S608 - statements are fixed texts and numbers of ours; every value is bound

import sqlite3

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
