"""Idempotency-Key: a client that does not know whether its request arrived may send it again; it is done once.

The key belongs to one person. The first answer is kept for a day; another request under the same key is refused. What
may still be under way keeps its key: a repeat finds it, or is told that nothing is known.
"""

import re
from collections.abc import Callable
from typing import Any

from starlette.responses import Response

from bot_bottle.base.errors import BottleError
from bot_bottle.web import problem
from bot_bottle.web.api.operation import Operation
from bot_bottle.web.desk import Desk
from bot_bottle.web.problem import WebFault
from bot_bottle.web.starts import Unsettled
from bot_bottle.web.store import digest

_KEPT = 86400 * 1_000_000_000
_MOST = 10_000
_KEY = re.compile(r"[!-~]{1,255}\Z")


def once(
    desk: Desk, operation: Operation[Any, Any], key: str, body: bytes, path: str, call: Callable[[], Any],
    encoded: Callable[[Operation[Any, Any], Any], Response],
) -> Response:  # fmt: skip
    """The answer to this request, or the first answer where it came before. Raises WebFault 409, 422."""
    if not _KEY.match(key):
        raise WebFault(422, "web.idempotency", "The Idempotency-Key must have 1 to 255 printable characters.")
    person = f"{desk.person.kind}:{desk.person.id}"
    asked = digest(f"{operation.method} {path}\n{body.hex()}")
    if (before := _begin(desk, operation, person, key, asked)) is not None:
        return before
    try:
        response = encoded(operation, call())
    except Unsettled as error:
        return problem.response(error)
    except BottleError as error:
        response = problem.response(error)
        if response.status_code >= 500:
            _forget(desk, person, key)
            return response
    except BaseException:
        _forget(desk, person, key)
        raise
    kept = bytes(response.body) if operation.keeps else b""
    with desk.store.write() as database:
        query = "UPDATE firsts SET status = ?, body = ? WHERE person = ? AND key = ?"
        database.execute(query, (response.status_code if operation.keeps else -1, kept, person, key))
    return response


def _begin(desk: Desk, operation: Operation[Any, Any], person: str, key: str, asked: str) -> Response | None:
    """Claims the key, or says what came of it before."""
    now = desk.clock()
    with desk.store.write() as database:
        database.execute("DELETE FROM firsts WHERE at < ?", (now - _KEPT,))
        query = "SELECT digest, status, body, at FROM firsts WHERE person = ? AND key = ?"
        found = database.execute(query, (person, key)).fetchone()
        if found is None:
            (count,) = database.execute("SELECT count(*) FROM firsts WHERE person = ?", (person,)).fetchone()
            if count >= _MOST:  # of their own: nobody pushes out what another did
                query = """DELETE FROM firsts WHERE rowid IN
                    (SELECT rowid FROM firsts WHERE person = ? ORDER BY at LIMIT 1000)"""
                database.execute(query, (person,))
            database.execute("INSERT INTO firsts VALUES (?, ?, ?, ?, 0, x'')", (person, key, asked, now))
            return None
    if found["digest"] != asked:
        raise WebFault(422, "web.idempotency", "This Idempotency-Key came with another request before.")
    if found["status"] == 0 and found["at"] < desk.office.begun:
        what = "Whether the first request with this key was done is not known: the dashboard ended in between."
        raise WebFault(409, "web.idempotency", what, "Look how it stands, then use another key.")
    if found["status"] == 0 and operation.joins:
        return None
    if found["status"] == 0:
        raise WebFault(409, "web.idempotency", "The first request with this key is not done yet.", "Try again.")
    if found["status"] < 0:
        raise WebFault(409, "web.idempotency", "This was done before; its answer held a secret and was not kept.")
    kind = "application/problem+json" if found["status"] >= 400 else "application/json"
    return Response(found["body"], found["status"], media_type=kind if found["body"] else None)


def _forget(desk: Desk, person: str, key: str) -> None:
    with desk.store.write() as database:
        database.execute("DELETE FROM firsts WHERE person = ? AND key = ?", (person, key))
