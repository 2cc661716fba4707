"""The application: gate, API, pages, assets, events. `build` chooses nothing but what it is given."""

import importlib
import os
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from bot_bottle.base.errors import BottleError
from bot_bottle.web import principal, problem, sse
from bot_bottle.web.api import openapi
from bot_bottle.web.api import routes as api
from bot_bottle.web.desk import Office
from bot_bottle.web.forwarded import Origins
from bot_bottle.web.lanes import Lanes
from bot_bottle.web.page import page
from bot_bottle.web.pages import door
from bot_bottle.web.security import REPORTS, Defences, Gate
from bot_bottle.web.sessions import Sessions
from bot_bottle.web.tokens import Tokens

PAGES = ("door", "now", "start", "inbox", "bottle", "settings", "live", "reach", "policy", "log")
ASSETS = os.path.join(os.path.dirname(__file__), "assets")
_TYPES = {
    ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}  # fmt: skip
_ROBOTS = 500
LANES = {"safe": 24, "slow": 24}
"""Threads besides those that all requests share; `serve` bounds connections (web.serving)."""


class KeyRoute(Route):
    """Only with ``?key=``: the page at the same path belongs to somebody else."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] == "http" and b"key=" in scope.get("query_string", b""):
            return super().matches(scope)
        return Match.NONE, {}


async def signin(request: Request) -> Response:
    return await door.signin(request, request.query_params.get("key", ""))


def build(office: Office, origins: Origins, defences: Defences | None = None) -> Gate:
    """The ASGI application for one office."""
    table = api.operations()
    routes: list[BaseRoute] = [
        KeyRoute("/", signin, methods=["GET"], name="signin"),
        *api.routes(table),
        Route(f"{api.PREFIX}/openapi.json", described(table), name="openapi"),
        Route(f"{api.PREFIX}/events", sse.events, name="api-events"),
        Route("/events", sse.events, name="events"),
        Route("/assets/{name}", asset, name="asset"),
        Route("/sw.js", worker, name="worker"),
        Route(REPORTS, report, methods=["POST"], name="report"),
        *(route for name in PAGES for route in pages(name)),
    ]
    app = Starlette(routes=routes, exception_handlers={BottleError: failed, Exception: broken, 404: lost, 405: lost})
    app.router.redirect_slashes = False
    app.state.office = office
    app.state.sessions = Sessions(office.store)
    app.state.tokens = Tokens(office.store)
    app.state.streams = sse.Streams(sse.FEEDS + more_feeds())
    app.state.reports = []
    app.state.lanes = Lanes(LANES)
    defended = defences or Defences()
    return Gate(app, origins, app.state.sessions, app.state.tokens, office.local, office.clock, defended)


def pages(name: str) -> list[Route]:
    """The routes of one page module, none where it does not exist."""
    module = _module(f"bot_bottle.web.pages.{name}")
    return list(module.ROUTES) if module else []


def more_feeds() -> tuple[sse.Feed, ...]:
    """Feeds that page modules bring: their FEEDS."""
    found: list[sse.Feed] = []
    for name in PAGES:
        found.extend(getattr(_module(f"bot_bottle.web.pages.{name}"), "FEEDS", ()))
    return tuple(found)


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        return None


def described(table: tuple[api.Any_, ...]) -> Any:
    encoded = msgspec.json.encode(openapi.document(table))

    async def endpoint(request: Request) -> Response:
        try:
            principal.need(request, "read")
        except BottleError as error:
            return problem.response(error)
        return Response(encoded, media_type="application/json")

    return endpoint


async def asset(request: Request) -> Response:
    """A file of ours, by its bare name; the same for everybody, so it may be kept for a moment."""
    name = str(request.path_params["name"])
    kind = _TYPES.get(os.path.splitext(name)[1])
    path = os.path.join(ASSETS, name)
    if kind is None or "/" in name or not os.path.isfile(path):
        return Response(status_code=404)
    return FileResponse(path, media_type=kind, headers={"cache-control": "no-cache"})


async def worker(_: Request) -> Response:
    """The service worker, at the root because of its scope."""
    path = os.path.join(ASSETS, "worker.js")
    if not os.path.isfile(path):
        return Response(status_code=404)
    return FileResponse(path, media_type="text/javascript", headers={"cache-control": "no-cache"})


async def report(request: Request) -> Response:
    """A violation of our own policy: kept for tests, and for nothing else; bounded."""
    if len(request.app.state.reports) < _ROBOTS:
        request.app.state.reports.append((await request.body())[:4096].decode("utf-8", "replace"))
    return Response(status_code=204)


async def failed(request: Request, error: Exception) -> Response:
    """What a person may see of an error: problem+json for the API, a page else."""
    assert isinstance(error, BottleError)
    found = problem.problem(error)
    if request.url.path.startswith(api.PREFIX):
        return problem.response(error)
    if principal.of(request) is None and came_from_elsewhere(request):
        again = page(request, "again.html")
        again.headers["refresh"] = "0"
        return again
    template = "error.html" if principal.of(request) else "signin.html"
    return page(request, template, status=found.status, what=error.what, hint=error.hint)


def came_from_elsewhere(request: Request) -> bool:
    """A person followed a link of another site (a chat): the browser kept the SameSite=Strict cookie back. Loading
    the page again from our own origin brings it along."""
    site = request.headers.get("sec-fetch-site", "")
    return request.method == "GET" and site in ("cross-site", "same-site") and "key" not in request.query_params


async def lost(request: Request, error: Exception) -> Response:
    status = int(getattr(error, "status_code", 404))
    what = "There is no such page." if status == 404 else "This cannot be done here."
    response = await failed(request, problem.WebFault(status, "web.lost", what))
    response.headers.update(getattr(error, "headers", None) or {})
    return response


async def broken(request: Request, error: Exception) -> Response:
    """A bug of ours."""
    return await failed(request, problem.bug(error))
