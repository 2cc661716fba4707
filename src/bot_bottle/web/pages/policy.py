"""Policy: the effective rules with file and line, what each was used for, what is wrong with them; the tester."""

from typing import Any

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bot_bottle.base.errors import BottleError, ManifestFault
from bot_bottle.web.api import policies
from bot_bottle.web.api.operation import Empty
from bot_bottle.web.api.policies import DAYS, ProposalWish, TestWish, WhichPolicy
from bot_bottle.web.desk import Desk
from bot_bottle.web.page import desk, page
from bot_bottle.web.problem import WebFault, status_of

_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_NS_DAY = 86400 * 1_000_000_000


async def show(request: Request) -> Response:
    return await run_in_threadpool(_show, request)


def _show(request: Request) -> Response:
    at, query = desk(request), request.query_params
    files = policies.list_files(at, Empty())
    running = _running(at)
    used = at.index().reach.subjects("bottle", 1)
    bottle = query.get("bottle") or next((held[1] for held in running), "") or (used[0] if used else "")
    bottle = bottle or (files.names[0] if files.names else "default")
    agent = query.get("agent", "")
    shown: dict[str, Any] = {
        "bottle": bottle, "leaf": bottle.rpartition("+")[2], "agent": agent,
        "files": files, "running": running, "policy": None, "fault": None,
        "method": query.get("method", "GET")[:32], "url": query.get("url", "")[:4000], "tested": None, "wrong": None,
        "proposal": None, "methods": _METHODS, "days": DAYS, "old": at.clock() - DAYS * _NS_DAY, "problems": (),
        "narrow": query.get("narrow", ""), "proposed": "propose" in query or "narrow" in query,
    }  # fmt: skip
    status = 200
    try:
        which = msgspec.convert({"bottle": bottle, "agent": agent}, WhichPolicy)
        shown["policy"] = policies.effective(at, which)
        shown |= _tested(at, which, shown)
        if shown["proposed"]:
            wish = ProposalWish(bottle, agent, shown["narrow"][:200])
            shown["proposal"] = policies.propose(at, wish)
    except msgspec.ValidationError:
        shown["fault"], status = WebFault(404, "bottle.unknown", "There is no such bottle file."), 404
    except ManifestFault as fault:
        shown["fault"], shown["problems"] = fault, fault.problems[:8]
    except BottleError as fault:
        shown["fault"], status = fault, status_of(fault)
    return page(request, "policy.html", tab="policy", status=status, **shown)


def _tested(at: Desk, which: WhichPolicy, shown: dict[str, Any]) -> dict[str, Any]:
    if not shown["url"]:
        return {}
    try:
        wish = msgspec.convert(
            {"url": shown["url"], "method": shown["method"], "bottle": which.bottle, "agent": which.agent}, TestWish
        )
        return {"tested": policies.test_request(at, wish)}
    except msgspec.ValidationError:
        return {"wrong": WebFault(422, "policy.bad-request", "This is no request.", "A method and a whole URL.")}
    except BottleError as fault:
        return {"wrong": fault}


def _running(at: Desk) -> list[tuple[str, str, str]]:
    """(label, bottle, agent) of living bottles."""
    return [(held.label, held.bottle, held.agent) for held, _ in at.running()]


ROUTES = [Route("/policy", show, methods=["GET"])]
