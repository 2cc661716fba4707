"""Reach: what did this bottle, agent, harness, project or person reach: the picture, hosts and paths, hosts that were
seen for the first time, two runs side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot_bottle.audit.filters import DIMENSIONS, Filter, Term, exactly
from bot_bottle.audit.index_counts import Reached, RunRow
from bot_bottle.base.errors import BottleError
from bot_bottle.policy.hosts import is_inside
from bot_bottle.web.api import compare, first_seen, reach
from bot_bottle.web.api.compare import CompareWish
from bot_bottle.web.api.first_seen import DAY, FirstSeenWish
from bot_bottle.web.api.operation import Empty
from bot_bottle.web.api.reach import ReachWish, RunsWish, TimelineWish
from bot_bottle.web.desk import Desk
from bot_bottle.web.page import act, desk, fields, page
from bot_bottle.web.problem import WebFault
from bot_bottle.web.reviewed import Reviewed

SPANS = {"run": 0, "24h": DAY, "7d": 7 * DAY, "30d": 30 * DAY, "all": 0}
_DRAWN = 11
_ROW = 40
_STRIPS = 60
_SHOWN = 80
Choices = tuple[str, list[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Ribbon:
    """One line of the door picture, in its units. y: where it ends. state: see `_state`. far: it left."""

    d: str
    width: float
    state: str
    y: int
    far: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """The door: ribbons, the pieces of the wall between them, height."""

    ribbons: tuple[Ribbon, ...]
    wall: str
    height: int


async def show(request: Request) -> Response:
    return await run_in_threadpool(_show, request)


def _show(request: Request) -> Response:
    at, query = desk(request), request.query_params
    subjects = reach.list_subjects(at, Empty())
    runs = reach.list_runs(at, RunsWish(limit=200)).items
    kind, name, span = _question(query.get("of", ""), query.get("in", ""), runs)
    shown: dict[str, Any] = {
        "subjects": _choices(subjects, runs, kind, name), "of": f"{kind}:{name}" if name else "", "name": name,
        "kind": kind, "span": span, "spans": _spans(kind), "hosts": (), "sums": None, "picture": None, "more": 0,
        "open": query.get("host", ""), "paths": (), "path_more": 0, "fresh": (), "fresh_more": "", "compare": None,
        "other": query.get("with", ""), "others": (), "behind": None, "fault": None, "indexed": True, "buckets": (),
        "run": None, "drawn": (), "start": 0, "end": 0, "other_label": "", "links": {},
        "strips": {}, "marks": {}, "firsts": {}, "q": "", "total": 0, "busiest": 0,
    }  # fmt: skip
    if not name:
        return page(request, "reach.html", tab="reach", **shown)
    run = next((one for one in runs if one.run == name), None) if kind == "run" else None
    wanted = _filter(kind, name, span, at.clock())
    found = reach.read_reach(at, ReachWish(str(wanted), limit=_SHOWN))
    shown |= {"hosts": found.items, "sums": found.sums, "more": found.more, "indexed": found.indexed, "run": run}
    shown |= {"q": str(wanted), "picture": picture(found.items[:_DRAWN]), "drawn": drawn(found.items)}
    shown["behind"] = reach.behind(at, name if run else "")
    shown["total"] = sum(one.requests + one.asks for one in found.items)
    names = [one.name for one in found.items]
    shown |= {"marks": Reviewed(at.home).of(names), "firsts": at.index().reach.host_first(names)}
    shown |= _times(at, wanted, span, found)
    if shown["open"]:
        paths = reach.read_reach(at, ReachWish(str(wanted), shown["open"][:1100], 100))
        shown |= {"paths": paths.items, "path_more": paths.more}
        shown["links"] = {"open": str(wanted.plus("host", exactly(shown["open"])))}
    shown |= _fresh(at, shown, found.items)
    shown |= _compared(at, run, runs, shown["other"])
    return page(request, "reach.html", tab="reach", **shown)


def _question(of: str, span: str, runs: Sequence[RunRow]) -> tuple[str, str, str]:
    """(kind, name, span) of what is asked; without a question the newest run."""
    kind, _, name = of.partition(":")
    if kind not in (*DIMENSIONS, "everything") or not name:
        kind, name = ("run", runs[0].run) if runs else ("run", "")
    span = span if span in SPANS else ""
    if kind == "run":
        return kind, name, span or "run"
    return kind, name, "30d" if span in ("", "run") else span


def _spans(kind: str) -> list[tuple[str, str]]:
    spans = [("24h", "24 hours"), ("7d", "7 days"), ("30d", "30 days"), ("all", "all time")]
    return [("run", "this run")] if kind == "run" else spans


def _choices(subjects: reach.Subjects, runs: Sequence[RunRow], kind: str, name: str) -> list[Choices]:
    """(title, [(value, text)]) of the select, newest first."""
    rows = [(f"run:{one.run}", f"{one.label or one.run}{', purged' if one.purged else ''}") for one in runs[:60]]
    groups = [("Runs, newest first", rows)]
    for field in ("agent", "harness", "project", "person", "bottle", "label"):
        values = getattr(subjects, field)[:60]
        groups.append((_TITLES[field], [(f"{field}:{value}", value) for value in values]))
    groups.append(("All", [("everything:all", "everybody")]))
    value = f"{kind}:{name}"
    if name and not any(value == one for _, rows in groups for one, _ in rows):
        groups.insert(0, ("Asked about", [(value, name)]))
    return [(title, rows) for title, rows in groups if rows]


_TITLES = {
    "agent": "Agents", "harness": "Harnesses", "project": "Projects", "person": "People", "bottle": "Bottles",
    "label": "Labels, all runs",
}  # fmt: skip


def _filter(kind: str, name: str, span: str, now: int) -> Filter:
    terms: list[Term] = [] if kind == "everything" else [Term(kind, (exactly(name),))]
    if SPANS[span]:
        terms.append(Term("since", (f"@{now - SPANS[span]}",)))
    return Filter(tuple(terms))


def picture(found: list[Reached]) -> Picture:
    """The door for some hosts, those that were reached first: what did not leave ends at the wall."""
    rows = sorted(found, key=lambda one: (_state(one) != "allow", -one.requests - one.asks))
    height, total = max(1, len(rows)) * _ROW, max(1, sum(one.requests + one.asks for one in rows))
    widths = [min(18.3, max(2.0, 60.0 * ((one.requests + one.asks) / total) ** 0.75)) for one in rows]
    at = height / 2 - sum(width + 1.2 for width in widths) / 2
    ribbons: list[Ribbon] = []
    pieces, top = "", 0.0
    for number, (one, width) in enumerate(zip(rows, widths, strict=True)):
        y, state = number * _ROW + _ROW // 2, _state(one)
        far = state == "allow"
        start = at + width / 2
        line = f"M0 {start:.1f}C34 {start:.1f} 26 {y} 60 {y}H{100 if far else 61}"
        ribbons.append(Ribbon(line, round(width, 1), state, y, far))
        if far:
            pieces, top = f"{pieces}M62 {top:.1f}V{y - width / 2 - 3:.1f}", y + width / 2 + 3
        at += width + 1.2
    return Picture(tuple(ribbons), f"{pieces}M62 {top:.1f}V{height}", height)


def drawn(found: list[Reached]) -> list[tuple[Reached, str]]:
    """The rows beside the picture, in its order, with what became of them."""
    rows = sorted(found[:_DRAWN], key=lambda one: (_state(one) != "allow", -one.requests - one.asks))
    return [(one, _state(one)) for one in rows]


def _state(one: Reached) -> str:
    """allow | miss (allowed, not reached) | held | deny."""
    if any(one.verdicts.get(name, 0) for name in ("allow", "ask")):
        return "miss" if one.reached is False else "allow"
    return "held" if one.asks and not one.verdicts.get("deny", 0) else "deny"


def _times(at: Desk, wanted: Filter, span: str, found: reach.ReachAnswer) -> dict[str, Any]:
    """The timeline of all, and a strip for each of the first hosts."""
    start = at.clock() - SPANS[span] if SPANS[span] else found.sums.first
    end = at.clock() if SPANS[span] else found.sums.last + 1
    if not found.items:
        return {"buckets": (), "start": 0, "end": 0}
    buckets = reach.read_timeline(at, TimelineWish(str(wanted), start, end, 120)).buckets
    first = [one.name for one in found.items[:12]]
    strips = at.index().reach.timelines(wanted, at.clock(), start, end, _STRIPS, first)
    busiest = max((one.allow + one.deny + one.ask for one in buckets), default=0)
    return {"buckets": buckets, "start": start, "end": end, "strips": strips, "busiest": busiest}


def _fresh(at: Desk, shown: dict[str, Any], found: list[Reached]) -> dict[str, Any]:
    """Hosts that the logs named for the first time here, and nobody reviewed."""
    run, rows = shown["run"], list[Any]()
    if run is not None:
        for one in found:
            first = shown["firsts"].get(one.name)
            if first and first[1] == run.run and one.name not in shown["marks"] and not is_inside(one.name):
                rows.append((one.name, first[0], _state(one), run.label, one.requests + one.asks))
        return {"fresh": rows[:20], "fresh_more": len(rows) > 20}
    names = {one.name for one in found}
    days = {"24h": 1, "7d": 7}.get(shown["span"], 30)
    page_of = first_seen.first_seen(at, FirstSeenWish(days, limit=100))
    rows = [
        (one.host, one.first, "allow" if one.reached else "miss" if one.allowed else "deny", one.label, one.requests)
        for one in page_of.items
        if one.host in names or shown["kind"] == "everything"
    ]
    return {"fresh": rows[:20], "fresh_more": len(rows) > 20}


def _compared(at: Desk, run: RunRow | None, runs: Sequence[RunRow], other: str) -> dict[str, Any]:
    """Another run beside this one: those of the same bottle come first."""
    if run is None:
        return {"others": ()}
    near = sorted(runs, key=lambda one: (one.label != run.label, one.bottle != run.bottle, -one.last))
    others = [one for one in near if one.run != run.run and not one.purged][:30]
    try:
        wish = msgspec.convert({"run": run.run, "other": other or run.run}, CompareWish)
        found = compare.compare_runs(at, wish) if other else None
    except (BottleError, msgspec.ValidationError):
        found = None
    label = next((one.label for one in runs if one.run == other), other)
    return {"others": others, "compare": found, "other_label": label}


async def review(request: Request) -> Response:
    """Marks a host as reviewed, or takes the mark back; then the page again."""
    values = fields(await request.body())
    name = "unmarkReviewed" if values.get("undo") else "markReviewed"
    operation = next(one for one in first_seen.OPERATIONS if one.name == name)
    await run_in_threadpool(act, request, operation, host=values.get("host", ""))
    back = values.get("back", "/reach")
    if not back.startswith("/reach") or "\\" in back or "\n" in back:
        raise WebFault(422, "web.back", "This is no page of ours.")
    return RedirectResponse(back, 303)


ROUTES = [Route("/reach", show, methods=["GET"]), Route("/reach/reviewed", review, methods=["POST"])]
