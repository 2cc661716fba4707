"""Ways in and out: the local one-time link, pairing by code, signing out, the certificate of our own CA."""

import contextlib

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot_bottle.base.errors import BottleError
from bot_bottle.supervise.notify.subscriptions import keep_only
from bot_bottle.web import principal, profile
from bot_bottle.web.forwarded import Seen
from bot_bottle.web.page import form, office_of, page
from bot_bottle.web.pages.now import back
from bot_bottle.web.principal import Person
from bot_bottle.web.problem import WebFault
from bot_bottle.web.sessions import DEVICE_SECONDS, LOCAL_SECONDS, Sessions

_NAME = 64


async def signin(request: Request, key: str) -> Response:
    """A one-time key becomes a session of this machine's person: over loopback only, and only once."""
    seen: Seen = request.scope["bot_bottle.seen"]
    office = office_of(request)
    if not seen.local or not office.door.keys.take(key):
        raise WebFault(401, "web.key", "This link was used before, or is too old.", "Run bot-bottle serve --link.")
    return await _signed_in(request, "/", office.local.name, "local")


async def pair_page(request: Request) -> Response:
    """Where another device types its code, or brings it in the fragment of a QR code's link."""
    return page(request, "pair.html", wrong="", fingerprint=office_of(request).door.fingerprint)


async def pair(request: Request) -> Response:
    """A right code becomes a session of a new device. Wrong ones are counted over everybody."""
    values = await form(request)
    office = office_of(request)
    if not office.door.codes.take(values.get("code", "")):
        wrong = "This code is not right, was used before, or is too old."
        return page(request, "pair.html", status=403, wrong=wrong, fingerprint=office.door.fingerprint)
    name = "".join(c for c in values.get("name", "").strip()[:_NAME] if c.isprintable()) or "Unnamed device"
    await run_in_threadpool(office.starter.control, "paired", "code", {"name": name})
    return await _signed_in(request, "/inbox", name, "device")


async def sign_out(request: Request) -> Response:
    """Ends this session and its device."""
    person = principal.need(request, "read")
    if person.session is not None:
        sessions: Sessions = request.app.state.sessions
        now = office_of(request).clock.wall()
        await run_in_threadpool(sessions.revoke, person.session.device.id, now)
        await run_in_threadpool(_hushed, request)
        with contextlib.suppress(BottleError):  # who leaves is let go, recorded or not
            detail = {"device": person.session.device.id, "name": person.session.device.name}
            await run_in_threadpool(office_of(request).starter.control, "signed out", who(person), detail)
    response = RedirectResponse("/signed-out", 303)
    seen: Seen = request.scope["bot_bottle.seen"]
    response.delete_cookie(seen.cookie, secure=seen.secure, httponly=True, samesite="strict")
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


def who(person: Person) -> str:
    return f"{person.approver.kind}:{person.approver.id}"


async def signed_out(request: Request) -> Response:
    """Where a page goes whose session has ended; a browser that is signed in anew goes back from here."""
    if principal.of(request) is not None:
        return RedirectResponse(back(request.query_params.get("back", "")), 303)
    return page(request, "signin.html", what="You are signed out.", hint="")


async def authority(request: Request) -> Response:
    """Our CA's certificate, to be installed on a phone; public by nature."""
    door = office_of(request).door
    if not door.authority:
        raise WebFault(404, "web.no-authority", "This dashboard has no certificate of its own.")
    if request.url.path.endswith(".mobileconfig"):
        body, kind, name = profile.mobileconfig(door.authority), "application/x-apple-aspen-config", "mobileconfig"
    else:
        body, kind, name = profile.der(door.authority), "application/x-x509-ca-cert", "crt"
    headers = {"content-disposition": f'attachment; filename="bot-bottle.{name}"'}
    return Response(body, media_type=kind, headers=headers)


async def _signed_in(request: Request, path: str, name: str, kind: str) -> Response:
    seen: Seen = request.scope["bot_bottle.seen"]
    office = office_of(request)
    sessions: Sessions = request.app.state.sessions
    old = request.cookies.get(seen.cookie, "")
    agent = request.headers.get("user-agent", "")
    session = await run_in_threadpool(sessions.open, name, kind, agent, office.clock.wall(), old)
    await run_in_threadpool(_hushed, request)
    response = RedirectResponse(path, 303)
    age = LOCAL_SECONDS if kind == "local" else DEVICE_SECONDS
    response.set_cookie(seen.cookie, session, max_age=age, secure=seen.secure, httponly=True, samesite="strict")
    return response


def _hushed(request: Request) -> None:
    """A device that is signed in no more, or was replaced by this one, gets no pushes."""
    office, sessions = office_of(request), request.app.state.sessions
    keep_only(office.home.web, sessions.signed_in(office.clock.wall()))


ROUTES = [
    Route("/pair", pair_page, methods=["GET"]),
    Route("/pair", pair, methods=["POST"]),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/signed-out", signed_out, methods=["GET"]),
    Route("/authority.crt", authority, methods=["GET"]),
    Route("/authority.mobileconfig", authority, methods=["GET"]),
]
