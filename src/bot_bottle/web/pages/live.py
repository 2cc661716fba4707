"""Live: what the bottles do now, newest first, with a filter in the URL. The first rows come from the index, the rest
from the journals as they are written."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot_bottle.audit import filters
from bot_bottle.audit.entries import signed
from bot_bottle.audit.filter_match import matcher
from bot_bottle.audit.filters import Filter, FilterFault, Term
from bot_bottle.audit.index import Key
from bot_bottle.base.errors import UsageFault
from bot_bottle.web.api import cursor
from bot_bottle.web.api.records import directory
from bot_bottle.web.desk import Desk
from bot_bottle.web.page import desk, page
from bot_bottle.web.rows import Row, of_line, row
from bot_bottle.web.sse import Feed, Polled

ROWS = 100
BATCH = 4000
"""Records of one event at most; what is left comes with the next one."""
QUIET = Term("kind", ("intent", "pinned", "body"), negated=True)
"""What only repeats a request that has its own row: left out unless ``all=1`` or the filter speaks of kinds."""


class Batch(msgspec.Struct):
    """What the stream brings. rows: that fit. seen: records since the last event, also those that do not fit. lost:
    records that went by while nobody took them. heads: run -> records under its newest checkpoint."""

    rows: list[Row]
    seen: int
    lost: int
    heads: dict[str, int]


async def live(request: Request) -> Response:
    return await run_in_threadpool(_live, request)


def _live(request: Request) -> Response:
    at, query = desk(request), request.query_params
    text, every = query.get("q", "")[: filters.MAX_FILTER + 1], query.get("all") == "1"
    shown: dict[str, Any] = {
        "q": text, "all": every, "fault": None, "shown_rows": (), "older": "", "after": 0, "complete": True,
        "indexed": True, "looked": 0, "heads": {}, "matching": None, "today": 0, "paged": bool(query.get("before")),
        "reached": 0,
    }  # fmt: skip
    try:
        wanted = chosen(text, every)
        before = cursor.decode(query["before"], Key) if query.get("before") else None
    except FilterFault as fault:
        return page(request, "live.html", tab="live", status=422, **(shown | {"fault": fault}))
    shown["after"] = at.office.watch.turn()
    shown["indexed"] = at.office.watch.fresh()
    found = at.index().page(wanted, at.clock(), ROWS, before, 0.2)
    today = Filter().plus("since", "00:00")
    shown |= {
        "shown_rows": [of_line(hit.text, hit.run, hit.number) for hit in found.hits], "complete": found.complete,
        "older": cursor.encode(found.before) if found.before else "", "looked": found.looked,
        "reached": found.reached, "heads": heads(at, {hit.run for hit in found.hits}),
        "matching": at.index().count(Filter((*filters.parse(text).terms, *today.terms)), at.clock()),
        "today": at.index().count(today, at.clock()) or 0,
    }  # fmt: skip
    return page(request, "live.html", tab="live", **shown)


def chosen(text: str, every: bool) -> Filter:
    """The filter of the URL, and what Live leaves out by itself."""
    wanted = filters.parse(text)
    return wanted if every or wanted.of("kind") else Filter((*wanted.terms, QUIET))


def heads(at: Desk, found: set[str] | tuple[str, ...]) -> dict[str, int]:
    """run -> records under its newest checkpoint, as its file says."""
    sizes: dict[str, int] = {}
    for run in found:
        try:
            sizes[run] = signed(directory(at, run))[0]
        except UsageFault:
            continue
    return sizes


def poll(at: Desk, query: Mapping[str, str], position: str) -> Polled:
    """What was written since; `after` in the URL is where the page's own rows end."""
    watch = at.office.watch
    newest = watch.turn()
    text = position or query.get("after", "") or str(newest)
    start = int(text) if text.isdigit() and len(text) < 16 else newest
    if start > newest:  # another dashboard process counted these
        return Polled(str(newest), (_encoded(Batch([], 0, start - newest, {})),))
    try:
        fits = _matcher(query.get("q", ""), query.get("all") == "1", at.clock() // 60_000_000_000)
    except FilterFault:
        return Polled(str(newest))
    records, lost = watch.tail.since(start)
    taken = records[:BATCH]
    if not taken and not lost:
        return Polled(str(start))
    rows = [row(one.seen.record, one.run, one.number) for one in taken if fits(one.seen)]
    batch = Batch(rows, len(taken), lost, heads(at, {one.run for one in taken}))
    return Polled(str(taken[-1].seq if taken else newest), (_encoded(batch),))


@lru_cache(64)
def _matcher(text: str, every: bool, minute: int) -> Any:
    return matcher(chosen(text, every), minute * 60_000_000_000)


def _encoded(batch: Batch) -> str:
    """JSON in one line; control and hidden characters are escapes since `row`, so nothing in it ends an event."""
    return msgspec.json.encode(batch).decode()


ROUTES = [Route("/live", live, methods=["GET"])]
FEEDS = (Feed("records", poll, 0.2, always=False),)
