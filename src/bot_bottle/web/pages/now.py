"""Now: what runs and what ran, what is being started, what waits, and the panic button."""

import os
from collections.abc import Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot_bottle.audit.filters import Filter
from bot_bottle.audit.index_counts import Bucket
from bot_bottle.base.errors import BottleError
from bot_bottle.bottles.lease import Held
from bot_bottle.bottles.manifests import Library
from bot_bottle.harnesses.load import Loaded, load_all
from bot_bottle.harnesses.placement import is_there
from bot_bottle.supervise.cards import Card, cards
from bot_bottle.supervise.model import Ask, AskState
from bot_bottle.supervise.ports import AskQuery
from bot_bottle.web import principal
from bot_bottle.web.api import bottles, first_seen, reach
from bot_bottle.web.api.first_seen import FirstSeenWish
from bot_bottle.web.api.operation import Operation
from bot_bottle.web.api.reach import RunsWish
from bot_bottle.web.desk import Desk
from bot_bottle.web.news import news_for
from bot_bottle.web.page import act, desk, form, in_lane, page
from bot_bottle.web.problem import WebFault

_BARS, _RECENT, _ASKS, _EACH, _CARDS = 30, 8, 2000, 500, 2
Bars = list[tuple[float, float, bool]]


async def now(request: Request) -> Response:
    notes = desk(request).office.said.take(request.query_params.get("said", ""))
    return await run_in_threadpool(view, request, "now.html", notes=notes)


async def part(request: Request) -> Response:
    """The same without the frame: what an event of the stream brings up to date."""
    return await run_in_threadpool(view, request, "now_part.html")


def view(request: Request, template: str, status: int = 200, notes: tuple[dict[str, str], ...] = ()) -> Response:
    """The page, or its part, with notes on top of it."""
    at = desk(request)
    waiting = at.approvals().asks(AskQuery(states=(AskState.WAITING,), each=_EACH, limit=_ASKS))
    new = news_for(at, waiting)
    living = [_row(at, held, bottles.item(held, facts), waiting, new) for held, facts in at.running()]
    living.sort(key=lambda row: not row["asks"])  # what waits comes first
    runs = reach.list_runs(at, RunsWish(limit=_RECENT + len(living))).items
    shown: dict[str, Any] = {
        "living": living,
        "starting": at.office.starts.under_way(),
        "waiting": len(waiting),
        "recent": [_recent(at, run) for run in runs if run.run not in {row["run"] for row in living}][:_RECENT],
        "firsts": first_seen.first_seen(at, FirstSeenWish(days=1, limit=6)).items,
        "today": _today(at),
        "notes": notes,
    }
    if template == "now.html":
        known = load_all(at.home.root).harnesses
        library = Library(at.home, os.path.dirname(at.home.root), harnesses=known)
        shown |= {"agents": agents(at, library, known), "files": library.bottle_names(), "projects": _projects(at)}
    return page(request, template, status=status, tab="now", **shown)


def agents(at: Desk, library: Library, known: Mapping[str, Loaded]) -> list[tuple[str, str]]:
    """Names of agents, and why one cannot start; those that can come first."""
    found: list[tuple[str, str]] = []
    for name in sorted({*library.agent_names(), *known} - {"command"}):
        try:
            harness = library.agent(name).harness
            there = harness in known and is_there(at.home.harnesses, known[harness].harness)
            found.append((name, "" if there else "not installed"))
        except BottleError:
            found.append((name, "its file has errors"))
    return sorted(found, key=lambda one: one[1] != "")


def _row(at: Desk, held: Held, item: bottles.BottleItem, waiting: list[Ask], new: set[str]) -> dict[str, Any]:
    asks = [ask for ask in waiting if ask.run == held.run]
    stack = cards(asks, new.__contains__)
    state = "frozen" if item.state == "frozen" else "held" if asks else "run"
    return {
        "run": held.run, "label": held.label, "agent": held.agent, "harness": held.harness, "task": held.task,
        "item": item, "state": state, "started": held.started, "hosts": len(item.hosts | item.denied_hosts),
        "bars": bars(_timeline(at, held.run, held.started)),
        "asks": [(card, _wish(card)) for card in stack[:_CARDS]], "more": max(0, len(stack) - _CARDS),
    }  # fmt: skip


def _wish(card: Card) -> str:
    """What a card wants, without who wants it: that stands above."""
    said = card.sentence
    return said.partition(" ")[2] if said.startswith(f"{card.asks[0].label} ") else said


def _recent(at: Desk, run: Any) -> dict[str, Any]:
    found = at.index().reach.hosts(Filter().plus("run", run.run), at.clock())
    sums = reach.sums(found)
    return {"run": run, "sums": sums}


def _timeline(at: Desk, run: str, started: int) -> list[Bucket]:
    end = max(at.clock(), started + 1)
    return at.index().reach.timeline(Filter().plus("run", run), at.clock(), started, end, _BARS)


def bars(buckets: list[Bucket]) -> Bars:
    """Heights of a sparkline, each from 0 to 1."""
    most = max((bucket.allow for bucket in buckets), default=0) or 1
    worst = max((bucket.deny for bucket in buckets), default=0) or 1
    return [(bucket.allow / most, bucket.deny / worst, bool(bucket.ask)) for bucket in buckets]


def _today(at: Desk) -> reach.ReachSums:
    return reach.sums(at.index().reach.hosts(Filter().plus("since", "00:00"), at.clock()))


def _projects(at: Desk) -> list[str]:
    """Workspaces that bottles had, the last used first."""
    living = [held.workspace for held, _ in at.running() if held.workspace]
    return list(dict.fromkeys([*living, *at.index().reach.subjects("project", 50)]))[:50]


# ---- deeds


async def freeze_all(request: Request) -> Response:
    """Freezes, then leads to Now, which says how that went; loading the address again only leads there."""
    if request.method != "POST":
        return RedirectResponse("/", 303)
    await form(request)
    return await in_lane(request, "safe", _freeze_all, request)


def _freeze_all(request: Request) -> Response:
    found: bottles.FrozenAll = act(request, _BY_NAME["freezeAll"])
    notes: list[dict[str, str]] = [
        {"kind": "deny", "what": f"{label} is not frozen.", "hint": why}
        for label, why in found.results.items()
        if why
    ]
    if not found.recorded:
        notes.append({"kind": "deny", "what": "This was not recorded.", "hint": "The serve process did not answer."})
    if not notes:
        notes.append({"kind": "frozen", "what": _frozen(len(found.results)), "hint": "Thaw them one by one."})
    return RedirectResponse(f"/?said={desk(request).office.said.leave(tuple(notes))}", 303)


def _frozen(count: int) -> str:
    return f"{count} bottles are frozen." if count != 1 else "One bottle is frozen." if count else "No bottle runs."


async def deed(request: Request) -> Response:
    """freeze, thaw, stop or kill one bottle, or begin or end its learn mode; then the page that the button was on."""
    values = await form(request)
    return await in_lane(request, "safe", _deed, request, values)


def _deed(request: Request, values: dict[str, str]) -> Response:
    operation = DEEDS.get(str(request.path_params["verb"]))
    if operation is None:
        raise WebFault(404, "web.lost", "This cannot be done to a bottle.")
    try:
        act(request, operation, label=request.path_params["label"], **_more(operation, values))
    except BottleError as error:
        return view(request, "now.html", 409, (fault_note(error),))
    return RedirectResponse(back(values.get("back", "")), 303)


def _more(operation: Operation[Any, Any], values: dict[str, str]) -> dict[str, str]:
    """What the form says besides the bottle."""
    return {name: values[name] for name in ("seconds",) if operation.name == "learn" and name in values}


def back(path: str) -> str:
    """A page of ours to go back to; never another site (no scheme, no second slash, no backslash)."""
    good = path.startswith("/") and not path.startswith("//") and "\\" not in path and path.isprintable()
    return path if good else "/"


def fault_note(error: BottleError) -> dict[str, str]:
    """An error as a note on top of a page."""
    return {"kind": "deny", "what": error.what, "hint": error.hint}


async def waiting(request: Request) -> Response:
    """The number beside Inbox."""
    principal.need(request, "read")
    return await run_in_threadpool(page, request, "waiting.html")


_BY_NAME: dict[str, Operation[Any, Any]] = {operation.name: operation for operation in bottles.OPERATIONS}
DEEDS = {verb: _BY_NAME[f"{verb}Bottle"] for verb in ("freeze", "thaw", "stop", "kill")} | {
    "learn": _BY_NAME["learn"]
}

ROUTES = [
    Route("/", now, methods=["GET"]),
    Route("/part/now", part, methods=["GET"]),
    Route("/part/waiting", waiting, methods=["GET"]),
    Route("/freeze-all", freeze_all, methods=["GET", "POST"]),
    Route("/bottle/{label}/{verb:str}", deed, methods=["POST"]),
]

__all__ = ["ROUTES", "back", "bars"]
