"""Pages: templates with autoescape, the session's own token, the nonce of this reply; forms; operations for pages.

Every value that a template prints goes through `shown` first (B73): no control, bidi or zero-width character of a
stranger reaches a page, whatever the template forgot. Markup is only what a macro of ours made.
"""

import asyncio
import os
import socket
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, ParamSpec, TypeVar

import jinja2
from markupsafe import Markup
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse

from bot_bottle.base.text import visible
from bot_bottle.supervise.model import Approver, AskState
from bot_bottle.supervise.ports import AskQuery
from bot_bottle.web import principal, seal
from bot_bottle.web.api.operation import Lane, Operation, fill
from bot_bottle.web.desk import Desk, Office
from bot_bottle.web.lanes import Lanes
from bot_bottle.web.look import FILTERS
from bot_bottle.web.principal import Person
from bot_bottle.web.problem import WebFault

TEMPLATES = os.path.join(os.path.dirname(__file__), "templates")
_MOST_TEXT = 100_000
NOBODY = Approver("os", "", "nobody", "web")
R = TypeVar("R")
P = ParamSpec("P")


@dataclass(frozen=True, slots=True)
class Nav:
    """waiting: asks that wait for a person. machine: this host. changes, bottles: marks of the asks and of what
    runs, from before they were read."""

    waiting: int
    machine: str
    changes: int
    bottles: str


def page(request: Request, template: str, *, status: int = 200, tab: str = "", **context: Any) -> HTMLResponse:
    """A whole page, or a fragment for htmx: the same templates. Adds nonce, csrf, nav, seal, person, now."""
    person = principal.of(request)
    office = office_of(request)
    changes, bottles = _marks(request) if person else (0, "")
    values: dict[str, Any] = {
        "nonce": request.scope["bot_bottle.nonce"],
        "csrf": person.session.csrf if person and person.session else "",
        "person": person.approver if person else NOBODY,
        "scopes": person.scopes if person else frozenset[str](),
        "tab": tab,
        "nav": Nav(_waiting(office) if person else 0, _machine(), changes, bottles),
        "seal": seal.newest(office.home) if person else None,
        "now": office.clock.wall(),
        "request_path": request.url.path,
        "fragment": "hx-request" in request.headers,
    }
    text = environment().get_template(template).render(values | context)
    return HTMLResponse(text, status)


def desk(request: Request, *scopes: str) -> Desk:
    """The desk of this request's person. scopes: `read` where none is named. Raises WebFault where nobody is signed
    in, or they may not."""
    _marks(request)
    return desk_of(request, principal.need(request, *(scopes or ("read",))))


def desk_of(request: Request, person: Person, key: str = "") -> Desk:
    device = person.session.device.id if person.session else ""
    return Desk(office_of(request), person.approver, person.scopes, device, key)


def office_of(request: Request) -> Office:
    office: Office = request.app.state.office
    return office


def act(request: Request, operation: Operation[Any, R], **fields: Any) -> R:
    """Does what the API's operation of this name does, with this request's person: same checks, same code."""
    return operation.call(desk(request, *operation.scopes), fill(operation, fields))


async def in_lane(request: Request, lane: Lane, call: Callable[P, R], *args: P.args, **more: P.kwargs) -> R:
    """In a thread of this lane; "" is the one of all requests."""
    if not lane:
        return await run_in_threadpool(call, *args, **more)
    lanes: Lanes = request.app.state.lanes
    return await asyncio.wrap_future(lanes.submit(lane, partial(call, *args, **more)))


async def form(request: Request) -> dict[str, str]:
    """The fields of an urlencoded form; of one that is given twice the last."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise WebFault(415, "web.form", "This is not a form.")
    return fields(await request.body())


def fields(body: bytes) -> dict[str, str]:
    try:
        return dict(urllib.parse.parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=1000))
    except ValueError:
        raise WebFault(400, "web.form", "This form cannot be read.") from None


def shown(value: object) -> object:
    """What a template prints: text with every invisible character as an escape."""
    if isinstance(value, str) and not isinstance(value, Markup) and not value.isprintable():
        return "\n".join(visible(line, _MOST_TEXT) for line in value[:_MOST_TEXT].split("\n"))
    return value


class Named(jinja2.StrictUndefined):
    """Printing a name that nobody gave is a bug, told at once; it may be asked about, and an ``if`` without ``else``
    prints nothing."""

    def __bool__(self) -> bool:
        return False

    def __str__(self) -> str:
        if self._undefined_name is None and (self._undefined_hint or "").startswith("the inline if-expression"):
            return ""
        return super().__str__()


@cache
def environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, finalize=shown, undefined=Named,
        trim_blocks=True, lstrip_blocks=True, auto_reload=False,
    )  # fmt: skip
    made.filters.update(FILTERS)
    return made


def _marks(request: Request) -> tuple[int, str]:
    """Of the asks and of the bottles at the first time that this request looks, so before it has read any of them."""
    if not hasattr(request.state, "marks"):
        office = office_of(request)
        request.state.marks = office.approvals().changes(), office.bottles()
    changes, bottles = request.state.marks
    return int(changes), str(bottles)


def _waiting(office: Office) -> int:
    return office.approvals().count(AskQuery(states=(AskState.WAITING,)))


@cache
def _machine() -> str:
    return socket.gethostname()
