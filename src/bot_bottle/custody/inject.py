"""The one place where a real secret enters a request (B36, B40, B42, B46, D11, P10).

Pure and light: the gateway calls it at step 8. The route says which secret, where and in which format; nothing that
the agent sent can choose any of it. All carriers that the agent filled are emptied first, so exactly one credential
leaves, and it is ours; what the agent's `Connection` names is dropped before, so it cannot strip ours.
"""

import base64
import re
from urllib.parse import quote

from bot_bottle.base.errors import OperatorFault
from bot_bottle.custody import carriers
from bot_bottle.policy.verdict import Auth

Headers = list[tuple[bytes, bytes]]

_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_SUBPROTOCOL = b"sec-websocket-protocol"
_HOP_TOKENS = frozenset((b"close", b"keep-alive", b"upgrade"))
_NEEDED = frozenset((b"host", b"content-length", b"transfer-encoding", b"content-type", b"upgrade", b"connection"))


def prepare_headers(
    headers: Headers, query: str, auth: Auth | None, value: bytes | None, agent_credentials: bool, *, scheme: str
) -> tuple[Headers, str]:
    """Headers and query as they leave. value: the real secret of `auth`; scheme: http or https, of the upstream.

    agent_credentials: the route lets the agent's own credentials through; without effect where the route has `auth`.
    Raises OperatorFault ``custody.unset``, ``custody.cleartext``, ``custody.value`` or ``custody.scheme``; the flow
    is then denied with that reason, and nothing was sent.
    """
    if auth is None and agent_credentials:
        return [field for field in _without_hops(headers) if field[0].lower() != b"proxy-authorization"], query
    kept = [field for field in _without_hops(headers) if not carriers.is_header(field[0])]
    if any(field[0].lower() == _SUBPROTOCOL for field in kept):
        kept = _without_subprotocols(kept)
    query = carriers.without_query(query)
    if auth is None:
        return kept, query
    return _injected(kept, query, auth, _usable(auth, value, scheme))


def _usable(auth: Auth, value: bytes | None, scheme: str) -> bytes:
    if not value:
        raise OperatorFault(
            "custody.unset", f"The secret {auth.secret} is not set.", f"Run: bot-bottle secret set {auth.secret}"
        )
    if scheme != "https":
        raise OperatorFault(
            "custody.cleartext",
            f"The secret {auth.secret} is never sent over cleartext {scheme}.",
            "Give the route scheme: https, or remove its auth.",
        )
    if _CONTROL.search(value):
        raise OperatorFault(
            "custody.value",
            f"The secret {auth.secret} holds a line break or control character, so no header can carry it.",
            f"Set it again: bot-bottle secret set {auth.secret}",
        )
    return value


def _injected(headers: Headers, query: str, auth: Auth, value: bytes) -> tuple[Headers, str]:
    match auth.scheme:
        case "bearer":
            return [*headers, (b"authorization", b"Bearer " + value)], query
        case "token":
            return [*headers, (b"authorization", b"token " + value)], query
        case "basic":
            return [*headers, (b"authorization", b"Basic " + base64.b64encode(_pair(auth, value)))], query
        case "header" if auth.name:
            return [*_without_named(headers, auth.name), (auth.name.lower().encode(), value)], query
        case "query" if auth.name:
            return headers, _with_query(query, auth.name, value)
        case _:
            raise OperatorFault(
                "custody.scheme",
                f"The route's auth scheme {auth.scheme!r} is unknown.",
                "Use bearer, token, basic, header:NAME or query:NAME.",
            )


def _pair(auth: Auth, value: bytes) -> bytes:
    """RFC 7617: user and password. A value without a colon would be sent as a user name and shown in logs."""
    if b":" not in value:
        raise OperatorFault(
            "custody.value",
            f"The secret {auth.secret} is not user:password, which auth scheme basic needs.",
            f"Set it again: bot-bottle secret set {auth.secret}",
        )
    return value


def _without_named(headers: Headers, name: str) -> Headers:
    """Without the route's own header in any spelling."""
    wanted = carriers.folded(name)
    return [field for field in headers if carriers.folded(field[0].decode("latin-1")) != wanted]


def _with_query(query: str, name: str, value: bytes) -> str:
    """One pair of this name, ours, the last; every spelling of the name that the agent used is dropped."""
    wanted = carriers.folded(name)
    pieces = [piece for piece in re.split("[&;]", query) if piece]
    kept = [piece for piece in pieces if carriers.folded(piece.split("=", 1)[0]) != wanted]
    return "&".join([*kept, f"{quote(name, safe='')}={quote(value, safe='')}"])


def _without_subprotocols(headers: Headers) -> Headers:
    cleaned = (
        (name, carriers.without_subprotocols(value) if name.lower() == _SUBPROTOCOL else value)
        for name, value in headers
    )
    return [(name, value) for name, value in cleaned if value or name.lower() != _SUBPROTOCOL]


def _without_hops(headers: Headers) -> Headers:
    """Without the fields that `Connection` names (RFC 9110 7.6.1), and `Connection` reduced to its known options."""
    named: set[bytes] = {
        token.strip().lower()
        for name, value in headers
        if name.lower() == b"connection"
        for token in value.split(b",")
    }
    if not named:
        return headers
    dropped = named - _NEEDED - _HOP_TOKENS
    options = sorted(named & _HOP_TOKENS)
    kept = [(name, value) for name, value in headers if name.lower() not in dropped and name.lower() != b"connection"]
    return [*kept, (b"connection", b", ".join(options))] if options else kept
