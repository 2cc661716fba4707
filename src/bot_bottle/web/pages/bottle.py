"""Bottle: one run, living or ended: its timeline, hosts, log with checkpoints, and what it was made from."""

import datetime
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot_bottle.audit.encode import decode
from bot_bottle.audit.filters import Filter, Term
from bot_bottle.audit.index_counts import RunRow
from bot_bottle.audit.record import Record
from bot_bottle.base.errors import AuditFault, UsageFault
from bot_bottle.base.ids import is_label
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.lease import Held
from bot_bottle.supervise.model import AskState
from bot_bottle.supervise.ports import AskQuery
from bot_bottle.supervise.sentence import sentence
from bot_bottle.web import purged
from bot_bottle.web.api import bottles, reach
from bot_bottle.web.api.records import OneRecord, read_record
from bot_bottle.web.desk import Desk
from bot_bottle.web.news import news_for
from bot_bottle.web.page import desk, page
from bot_bottle.web.problem import WebFault
from bot_bottle.web.rows import of_line
from bot_bottle.web.timeline import line

_ROWS, _HOSTS, _BUCKETS = 14, 8, 90


async def show(request: Request) -> Response:
    return await run_in_threadpool(_show, request, "bottle.html")


async def part(request: Request) -> Response:
    return await run_in_threadpool(_show, request, "bottle_part.html")


def _show(request: Request, template: str) -> Response:
    at = desk(request)
    held, run = found(at, str(request.path_params["which"]))
    ident = run.run if run else held.run if held else ""
    lives = held is not None and held.run == ident and leases.alive(at.home, held.label)
    if run is not None and run.purged:
        gone = purged.purges(at).get(ident)
        return page(
            request, "purged.html", tab="now", run=purged.item(at, run), gone=gone, size=reach.behind(at, ident).size
        )
    item = bottles.item(held, at.facts(held.label)) if held and lives else None
    only = Filter().plus("run", ident)
    start = held.started if held and lives else run.first if run else 0
    end = max(at.clock() if lives else run.last if run else 0, start + 1)
    hosts = at.index().reach.hosts(only, at.clock())
    mine = held if held and held.run == ident else None
    behind, asked = reach.behind(at, ident), at.approvals().asks(AskQuery(run=ident, limit=200))
    rows, buckets = _rows(at, ident), at.index().reach.timeline(only, at.clock(), start, end, _BUCKETS)
    waiting = at.approvals().asks(AskQuery((AskState.WAITING,), run=ident))[:3]
    new = news_for(at, waiting)
    context: dict[str, Any] = {
        "run": run, "held": mine, "lives": lives, "item": item, "ident": ident, "start": start, "end": end,
        "label": mine.label if mine else run.label if run else "",
        "hosts": hosts[:_HOSTS], "more": max(0, len(hosts) - _HOSTS), "sums": reach.sums(hosts),
        "line": line(start, end, buckets, asked, _signed(rows, behind.size, start, end)),
        "rows": rows, "behind": behind, "made": made_from(at, ident), "answers": asked[:20],
        "waiting": [(ask, sentence(ask, ask.wanted.target.host in new)) for ask in waiting],
        "which": str(request.path_params["which"]),
    }  # fmt: skip
    return page(request, template, tab="now", **context)


def found(at: Desk, which: str) -> tuple[Held | None, RunRow | None]:
    """A label names what runs under it, else its newest run, else the newest that was purged; else a run id. Raises
    WebFault 404."""
    held = leases.read(at.home, which) if is_label(which) else None
    at.office.watch.fresh()
    wanted = Term("run", (held.run if held else which,))
    runs = at.index().reach.runs(Filter((wanted,)), at.clock(), 1)
    if not runs and held is None and is_label(which):
        runs = at.index().reach.runs(Filter((Term("label", (which,)),)), at.clock(), 1)
        if not runs and (gone := purged.labelled(at, which)):
            runs = at.index().reach.runs(Filter((Term("run", (gone,)),)), at.clock(), 1)
    if held is None and not runs:
        raise WebFault(404, "bottle.unknown", "There is no such bottle, and no log of one.")
    if held is None and runs and is_label(runs[0].label):
        held = leases.read(at.home, runs[0].label)
    return held, runs[0] if runs else None


def _signed(rows: list[Any], size: int, start: int, end: int) -> int:
    """When the newest record was written that a checkpoint covers: known where it is among the newest rows."""
    if rows and rows[0].number < size:
        return end
    iso = next((row.iso for row in rows if row.number < size), "")
    return int(datetime.datetime.fromisoformat(iso).timestamp() * 1_000_000_000) if iso else start


def _rows(at: Desk, run: str) -> list[Any]:
    only = Filter((Term("run", (run,)), Term("kind", ("pinned", "body"), negated=True)))
    return [
        of_line(hit.text, hit.run, hit.number) for hit in at.index().page(only, at.clock(), _ROWS, None, 0.1).hits
    ]


def made_from(at: Desk, run: str) -> Record | None:
    """The start record: what the bottle was made from, by name and digest."""
    try:
        return decode((read_record(at, OneRecord(run, 0)).line + "\n").encode())
    except (UsageFault, AuditFault, msgspec.MsgspecError):
        return None


ROUTES = [
    Route("/bottle/{which}", show, methods=["GET"]),
    Route("/part/bottle/{which}", part, methods=["GET"]),
]
