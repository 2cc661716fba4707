"""Settings: secrets by name, devices and tokens, notifiers, sinks, retention. Values are shown nowhere."""

from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bot_bottle.base.errors import BottleError
from bot_bottle.web import phone
from bot_bottle.web.api import devices, settings, tokens
from bot_bottle.web.api.operation import Empty, Operation
from bot_bottle.web.page import act, desk, form, page
from bot_bottle.web.pages.now import fault_note
from bot_bottle.web.tokens import SCOPES


async def show(request: Request) -> Response:
    return await run_in_threadpool(_show, request)


def _show(request: Request, status: int = 200, notes: tuple[dict[str, str], ...] = (), **made: Any) -> Response:
    at = desk(request)
    may = "admin" in at.scopes
    found, fault = None, None
    try:
        found = settings.read_settings(at, Empty())
    except BottleError as error:
        fault = error
    secrets = settings.list_secrets(at, Empty())
    context: dict[str, Any] = {
        "secrets": secrets, "secret_items": secrets.items, "devices": devices.list_devices(at, Empty()).items,
        "tokens": tokens.list_tokens(at, Empty()).items if may else (), "admin": may, "found": found, "fault": fault,
        "door": at.office.door, "own": at.device, "scope_names": SCOPES, "code": None, "qr": "", "token": None,
        "notes": notes,
    }  # fmt: skip
    return page(request, "settings.html", status=status, tab="settings", **(context | made))


async def deed(request: Request) -> Response:
    values = await form(request)
    return await run_in_threadpool(_deed, request, values)


def _deed(request: Request, values: dict[str, str]) -> Response:
    """One button of the page: the API's operation of that name."""
    what = str(request.path_params["what"])
    try:
        if what == "pair":
            code: devices.PairingCode = act(request, _BY_NAME["issuePairingCode"])
            return _show(request, code=code, qr=phone.qr_image(code.link))
        if what == "token":
            scopes = tuple(name for name in SCOPES if values.get(f"scope-{name}"))
            days = values.get("days", "90")
            made: tokens.IssuedToken = act(
                request, _BY_NAME["issueToken"], name=values.get("name", ""), scopes=scopes or ("read",), days=days
            )
            return _show(request, token=made)
        if what == "try":
            said: settings.Tried = act(request, _BY_NAME["testNotice"], notifier=values.get("notifier", ""))
            return _show(request, notes=({"kind": "allow", "what": said.said, "hint": ""},))
        field = {"revoke-device": "device", "revoke-token": "token"}.get(what, "")
        name = {"device": "revokeDevice", "token": "revokeToken"}.get(field, "")
        if name:
            act(request, _BY_NAME[name], **{field: values.get(field, "")})
    except BottleError as error:
        return _show(request, 409, (fault_note(error),))
    return RedirectResponse("/settings", 303)


_BY_NAME: dict[str, Operation[Any, Any]] = {
    one.name: one for one in (*devices.OPERATIONS, *tokens.OPERATIONS, *settings.OPERATIONS)
}

ROUTES = [
    Route("/settings", show, methods=["GET"]),
    Route("/settings/{what}", deed, methods=["POST"]),
]
