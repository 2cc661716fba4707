"""The gate in front of every page and operation, in this order; each step names the attack that it stops.

1 Host must be one of ours (DNS rebinding to loopback). 2 what another site causes is refused (CSRF, cross-site SSE
and reads), by Sec-Fetch-Site and Origin. 3 the caller is looked up (cookie or bearer token). 4 an unsafe request
under a cookie needs the session's own token (CSRF again, where a browser tells us nothing). 5 the body has a size and
a time. 6 every reply gets the headers that stop framing, sniffing, caching, referrers and scripts of others.
"""

import asyncio
import secrets
import urllib.parse
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request

from bot_bottle.base.clock import Clock
from bot_bottle.supervise.model import Approver
from bot_bottle.web import problem
from bot_bottle.web.forwarded import Origins
from bot_bottle.web.principal import Person, find
from bot_bottle.web.problem import WebFault
from bot_bottle.web.sessions import Sessions
from bot_bottle.web.tokens import Tokens

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SAFE = frozenset(("GET", "HEAD", "OPTIONS"))
CSRF_HEADER = "x-bot-bottle-csrf"
REPORTS = "/csp-report"
BODY_BYTES = 1 << 20
BODY_SECONDS = 15.0
_SHARED = {
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer a browser says `Origin: null` for our own forms
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-embedder-policy": "require-corp",
    "permissions-policy": "accelerometer=(), camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "origin-agent-cluster": "?1",
}


@dataclass(frozen=True, slots=True)
class Defences:
    """Each can be taken away by a test that shows what it is good for. Never by a setting."""

    hosts: bool = True
    fetch_site: bool = True
    csrf: bool = True
    headers: bool = True
    limits: bool = True


@dataclass(slots=True)
class Gate:
    """The outermost ASGI application."""

    app: App
    origins: Origins
    sessions: Sessions
    tokens: Tokens
    local: Approver
    clock: Clock
    defences: Defences = field(default_factory=Defences)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        scope["bot_bottle.nonce"] = nonce = secrets.token_urlsafe(16)
        send = self._headed(send, nonce)
        try:
            if self.defences.limits:
                receive = bounded(scope, receive, BODY_BYTES, BODY_SECONDS)
            scope["bot_bottle.person"] = person = await self._checked(scope)
            if person is not None and person.session is not None and scope["method"] not in SAFE:
                receive = await self._token(scope, receive, person.session.csrf)
        except WebFault as refused:
            return await problem.response(refused)(scope, receive, send)
        except Exception as error:  # a store that cannot be read: closed, and with all headers
            return await problem.response(problem.bug(error))(scope, receive, send)
        return await self.app(scope, receive, send)

    async def _checked(self, scope: Scope) -> Person | None:
        headers = Headers(scope=scope)
        seen = self.origins.seen(scope, headers)
        scope["bot_bottle.seen"] = seen
        scope["scheme"] = seen.scheme
        if self.defences.hosts and not seen.ours:
            raise WebFault(421, "web.host", "This is not the address of this dashboard.", "Open the link as printed.")
        if self.defences.fetch_site:
            refuse_other_sites(scope["method"], headers, seen.origin)
        cookie = Request(scope).cookies.get(seen.cookie, "")
        return await asyncio.to_thread(
            find, cookie, headers.get("authorization", ""), self.sessions, self.tokens, self.local, self.clock.wall()
        )

    async def _token(self, scope: Scope, receive: Receive, csrf: str) -> Receive:
        """Raises WebFault where the session's own token is missing: in the header, or in a form's field ``csrf``."""
        headers = Headers(scope=scope)
        given = headers.get(CSRF_HEADER, "")
        if not given and headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            body = await Request(scope, receive).body()
            given = next(iter(urllib.parse.parse_qs(body.decode("latin-1")).get("csrf", [])), "")
            receive = again(body, receive)
        right = secrets.compare_digest(given.encode(), csrf.encode())
        if self.defences.csrf and not right and scope["path"] != REPORTS:
            raise WebFault(403, "web.csrf", "This request did not come from a page of ours.", "Reload the page.")
        return receive

    def _headed(self, send: Send, nonce: str) -> Send:
        async def headed(message: Message) -> None:
            if message["type"] == "http.response.start" and self.defences.headers:
                headers = MutableHeaders(raw=list(message.get("headers", ())))
                for name, value in _SHARED.items():
                    headers[name] = value
                headers.setdefault("content-security-policy", policy(nonce))
                headers.setdefault("cache-control", "no-store")
                message = {**message, "headers": headers.raw}
            await send(message)

        return headed


def policy(nonce: str) -> str:
    """The Content-Security-Policy of every page (CSP 3, Trusted Types)."""
    return (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " font-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none';"
        " frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types htmx bot-bottle-worker;"
        f" report-uri {REPORTS}"
    )


def refuse_other_sites(method: str, headers: Headers, origin: str) -> None:
    """Raises WebFault for what another site (or another port of this host: `same-site`) made a browser send.

    Safe methods: a person may follow a link to a page (a top-level navigation); nothing else may come from elsewhere.
    """
    site = headers.get("sec-fetch-site", "")
    given = headers.get("origin", "")
    if method in SAFE:
        navigation = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if site in ("cross-site", "same-site") and not navigation:
            raise WebFault(403, "web.cross-site", "Another site asked for this.")
        if given and given != origin:
            raise WebFault(403, "web.cross-site", "Another site asked for this.")
        return
    if site not in ("", "same-origin", "none") or (given and given != origin):
        raise WebFault(403, "web.cross-site", "Another site asked for this.")
    if not given and not site and "cookie" in headers and not headers.get("authorization"):
        raise WebFault(403, "web.no-origin", "This request does not say which page it comes from.")


def again(body: bytes, receive: Receive) -> Receive:
    """`receive` for somebody who reads a body that was read already."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay


def bounded(scope: Scope, receive: Receive, most: int, seconds: float) -> Receive:
    """`receive` for a body of at most `most` bytes that arrives within `seconds`. Raises WebFault 413, 408."""
    declared = Headers(scope=scope).get("content-length", "0")
    if not declared.isdecimal() or int(declared[:20]) > most:
        raise WebFault(413, "web.too-large", f"The body is larger than {most} bytes.")
    total = 0
    done = False
    deadline = asyncio.get_running_loop().time() + seconds

    async def limited() -> Message:
        nonlocal total, done
        if done:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise WebFault(408, "web.too-slow", f"The body did not arrive within {seconds:.0f} s.") from None
        total += len(message.get("body", b""))
        done = not message.get("more_body", False)
        if total > most:
            raise WebFault(413, "web.too-large", f"The body is larger than {most} bytes.")
        return message

    return limited
