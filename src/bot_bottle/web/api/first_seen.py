"""Hosts that the logs named for the first time lately, and the marks of people who looked at them."""

import time
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bot_bottle.web.api import cursor
from bot_bottle.web.api.operation import Nothing, Operation
from bot_bottle.web.desk import Desk
from bot_bottle.web.reviewed import Reviewed

DAY = 86400 * 1_000_000_000
HostName = Annotated[str, Meta(min_length=1, max_length=1100)]


class FirstSeenWish(msgspec.Struct, forbid_unknown_fields=True):
    """days: how far back. reviewed: also those that somebody reviewed."""

    days: Annotated[int, Meta(ge=1, le=3650)] = 30
    reviewed: bool = False
    before: Annotated[str, Meta(max_length=2000)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class NewHost(msgspec.Struct):
    """first: when any log named it first. allowed: requests to it were. reached: one of them got a connection, or may
    have one still. reviewed: by whom, "" for nobody."""

    host: str
    first: int
    last: int
    run: str
    label: str
    requests: int
    allowed: bool
    reached: bool
    reviewed: str = ""
    reviewed_at: int = 0


class NewHosts(msgspec.Struct):
    items: list[NewHost]
    next: str


class OneHost(msgspec.Struct, forbid_unknown_fields=True):
    host: HostName


def first_seen(desk: Desk, wish: FirstSeenWish) -> NewHosts:
    """Hosts that the logs named for the first time lately, and who reviewed them."""
    since, before = desk.clock() - wish.days * DAY, None
    if wish.before:
        before = cursor.decode(wish.before, tuple[int, str])
    desk.office.watch.fresh()
    items: list[NewHost] = []
    reach, marks = desk.index().reach, Reviewed(desk.home)
    end = time.monotonic() + 0.25
    while len(items) < wish.limit:
        found = reach.first_seen(since, wish.limit, before)
        reviewed = marks.of([one.host for one in found])
        for one in found:
            mark = reviewed.get(one.host)
            if mark is None or wish.reviewed:
                items.append(
                    NewHost(
                        one.host, one.first, one.last, one.run, one.label, one.requests, one.allowed > 0, one.reached,
                        mark.person if mark else "", mark.at if mark else 0,
                    )
                )  # fmt: skip
        before = (found[-1].first, found[-1].host) if found else None
        if len(found) < wish.limit or time.monotonic() > end:
            before = before if len(found) == wish.limit else None
            break
    return NewHosts(items, cursor.encode(before) if before else "")


def mark_reviewed(desk: Desk, which: OneHost) -> Nothing:
    """Says that a person has looked at a host. It decides nothing."""
    Reviewed(desk.home).mark(which.host.lower(), desk.clock(), f"{desk.person.kind}:{desk.person.id}")
    return Nothing()


def unmark_reviewed(desk: Desk, which: OneHost) -> Nothing:
    Reviewed(desk.home).unmark(which.host.lower())
    return Nothing()


OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        "listFirstSeen", "GET", "/hosts/first-seen", "Hosts seen for the first time", "read", FirstSeenWish, NewHosts,
        first_seen,
    ),
    Operation(
        "markReviewed", "PUT", "/hosts/{host}/reviewed", "A person has looked at this host", "answer", OneHost,
        Nothing, mark_reviewed, status=204,
    ),
    Operation(
        "unmarkReviewed", "DELETE", "/hosts/{host}/reviewed", "Take the mark back", "answer", OneHost, Nothing,
        unmark_reviewed, status=204,
    ),
)  # fmt: skip
