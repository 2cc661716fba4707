"""Starting a bottle: the form of Now, and the page of a start that takes long. It says how it stands, and goes on to
the bottle; nothing is called failed that is still under way."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot_bottle.base.errors import BottleError
from bot_bottle.web import problem
from bot_bottle.web.api import bottles
from bot_bottle.web.api.operation import fill
from bot_bottle.web.page import desk, form, in_lane, page
from bot_bottle.web.pages.now import fault_note, view
from bot_bottle.web.problem import WebFault


async def start(request: Request) -> Response:
    values = await form(request)
    return await in_lane(request, "slow", _start, request, values)


def _start(request: Request, values: dict[str, str]) -> Response:
    """Whoever clicks again comes to the same start: the same wish is begun once while it is under way."""
    project = values.get("other", "").strip() or values.get("project", "")
    wish = {
        "agent": values.get("agent", ""), "workspace": project, "prompt": values.get("prompt", ""),
        "bottles": tuple(filter(None, [values.get("bottle", "")])),
    }  # fmt: skip
    try:
        at = desk(request, bottles.START.scope)
        begun = bottles.begin_start(at, fill(bottles.START, wish))
        label = begun.outcome(at.office.starts.glance)
    except BottleError as error:
        return view(request, "now.html", 409, (fault_note(error),))
    return RedirectResponse(f"/bottle/{label}" if label else f"/start/{begun.id}", 303)


async def show(request: Request) -> Response:
    return await run_in_threadpool(_show, request, "start.html")


async def part(request: Request) -> Response:
    """What an event of the stream brings up to date; htmx follows HX-Redirect."""
    return await run_in_threadpool(_show, request, "start_part.html")


def _show(request: Request, template: str) -> Response:
    found = desk(request).office.starts.find(str(request.path_params["start"]))
    if found is None:
        raise WebFault(404, "start.unknown", "There is no such start, or it is long past.", "Now shows what runs.")
    fault, label = None, ""
    try:
        label = found.outcome()
    except BottleError as error:
        fault = error
    except Exception as error:
        fault = problem.bug(error)
    if label and template == "start.html":
        return RedirectResponse(f"/bottle/{label}", 303)
    response = page(request, template, tab="now", start=found, fault=fault)
    if label:
        response.headers["hx-redirect"] = f"/bottle/{label}"
    return response


ROUTES = [
    Route("/start", start, methods=["POST"]),
    Route("/start/{start}", show, methods=["GET"]),
    Route("/part/start/{start}", part, methods=["GET"]),
]
