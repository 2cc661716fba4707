"""Errors as problem+json (RFC 9457) for the API; the same values make the error page."""

import os
import sys
import traceback

import msgspec
from starlette.responses import Response

from bot_bottle.base import errors
from bot_bottle.base.errors import BottleError


class Misfit(msgspec.Struct, frozen=True):
    """One value that does not fit. place: ``in`` the path, the query or the body. pointer: to it, as a fragment (RFC
    6901, section 6); of a query its parameters are the members. detail: one sentence."""

    place: str = msgspec.field(name="in")
    pointer: str
    detail: str


class Problem(msgspec.Struct, omit_defaults=True):
    """type: urn of the slug. title: one sentence, what happened. detail: what to do next. slug: stable name. errors:
    everything that does not fit, where it is a 422 about values."""

    type: str
    title: str
    status: int
    slug: str
    detail: str = ""
    errors: tuple[Misfit, ...] = ()


class WebFault(BottleError):
    """A request that web itself refuses. status: of HTTP. errors: the values that do not fit."""

    def __init__(self, status: int, slug: str, what: str, hint: str = "", errors: tuple[Misfit, ...] = ()) -> None:
        super().__init__(slug, what, hint)
        self.status = status
        self.errors = errors


def status_of(error: BottleError) -> int:
    """The HTTP status of an error of ours."""
    if isinstance(error, WebFault):
        return error.status
    if isinstance(error, errors.BusyFault):
        return 409
    if error.slug.endswith(".unknown"):
        return 404
    if isinstance(error, errors.UsageFault):
        return 409 if error.slug.startswith(("ask.", "grant.", "answer.")) else 422
    if isinstance(error, errors.OperatorFault | errors.AgentFault):
        return 422
    return 503 if isinstance(error, errors.HostFault | errors.UpstreamFault) else 500


def problem(error: BottleError) -> Problem:
    errors = error.errors if isinstance(error, WebFault) else ()
    kind = f"urn:bot-bottle:problem:{error.slug}"
    return Problem(kind, error.what, status_of(error), error.slug, error.hint, errors)


def bug(error: Exception) -> BottleError:
    """A fault of ours: its place goes to the terminal of `serve`, nothing of it to the browser, no value anywhere."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{os.path.basename(frame.filename)}:{frame.lineno}"
    print(f"bot-bottle web failed: {type(error).__name__} at {place}. Please report this line.", file=sys.stderr)
    return errors.OurFault("web.bug", "This did not work, through a fault of ours.", "Reload the page.")


def response(error: BottleError) -> Response:
    """As an HTTP response of the API. A 401 says how to sign in (RFC 9110, 11.6.1)."""
    found = problem(error)
    headers = {"www-authenticate": "Bearer"} if found.status == 401 else None
    return Response(msgspec.json.encode(found), found.status, headers, media_type="application/problem+json")
