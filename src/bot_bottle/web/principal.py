"""Who a request comes from, and what they may: the local person, a paired device, or an API token."""

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from bot_bottle.supervise.model import Approver
from bot_bottle.web.problem import WebFault
from bot_bottle.web.sessions import Session, Sessions
from bot_bottle.web.tokens import PREFIX, SCOPES, Token, Tokens

LOCAL_SCOPES = frozenset(SCOPES)
DEVICE_SCOPES = frozenset(("read", "answer", "control"))


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in caller. session: where the proof was a cookie: then unsafe requests need its CSRF token."""

    approver: Approver
    scopes: frozenset[str]
    session: Session | None = None
    token: Token | None = None


def find(
    cookie: str, authorization: str, sessions: Sessions, tokens: Tokens, local: Approver, now: int
) -> Person | None:
    """The person of a request; a bearer token beats a cookie, so that a right cookie never saves a wrong token."""
    if authorization:
        scheme, _, text = authorization.partition(" ")
        token = tokens.find(text.strip(), now) if scheme.lower() == "bearer" and text.startswith(PREFIX) else None
        if token is None:
            return None
        return Person(Approver("token", token.id, token.name, "api"), frozenset(token.scopes), token=token)
    session = sessions.find(cookie, now) if cookie else None
    if session is None:
        return None
    if session.device.kind == "local":
        return Person(local, LOCAL_SCOPES, session)
    return Person(Approver("device", session.device.id, session.device.name, "web"), DEVICE_SCOPES, session)


def of(request: HTTPConnection) -> Person | None:
    """Whom the gate found for this request."""
    person: Person | None = request.scope.get("bot_bottle.person")
    return person


def need(request: HTTPConnection, *scopes: str) -> Person:
    """The person of this request. Raises WebFault 401 where there is none, 403 where they may not all of this."""
    person = of(request)
    if person is None:
        raise WebFault(401, "web.sign-in", "You are not signed in.", "Open the link that bot-bottle serve prints.")
    for scope in scopes:
        if scope not in person.scopes:
            raise WebFault(403, "web.scope", f"This needs the scope {scope}.", "Use a token or device that has it.")
    return person
