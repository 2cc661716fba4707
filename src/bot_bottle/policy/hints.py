"""The sentence of a denial: what happened and what would allow it. Canonical text only, bounded (B73, D18)."""

from bot_bottle.base.text import cut
from bot_bottle.policy.addresses import AddressClass, classify
from bot_bottle.policy.arms import Arm
from bot_bottle.policy.hosts import is_address
from bot_bottle.policy.verdict import Request

_PATH = 120


def no_host(request: Request) -> str:
    """No route covers the host."""
    host = request.target.host
    kind = classify(host) if is_address(host) else AddressClass.PUBLIC
    if not kind.pinnable:
        return f"{host} is a {kind.value} address, which no route can reach."
    pin = "" if kind.dialable else f" and an address: that pins this {kind.value} address"
    return f"No route of this bottle names {host}; a route with host: {host}{pin} would allow it."


def no_port(request: Request) -> str:
    """The host has routes, but not for this scheme and port."""
    target = request.target
    return (
        f"Routes name {target.host}, but not {target.scheme} on port {target.port}; "
        f"a route with scheme: {target.scheme} and ports: [{target.port}] would allow it."
    )


def no_match(request: Request) -> str:
    """Host and port have routes, but none covers protocol, method, path and headers."""
    asked = f"{request.method} {cut(request.path, _PATH)}"
    extra = "" if request.protocol == "http1" else f" and protocols: [{request.protocol}]"
    return (
        f"Routes name {request.target.host}, but none allows {asked} with these headers; "
        f"a route with methods: [{request.method}] and this path{extra} would allow it."
    )


def denied(arm: Arm) -> str:
    """A deny route covers the request."""
    return f"Rule {arm.rule} denies this request; only removing or narrowing it would allow it."


def held(arm: Arm) -> str:
    """An ask route covers the request."""
    return f"Rule {arm.rule} asks a person first; action: allow on it would allow it without asking."


def unnamed(what: str) -> str:
    """No route allows the request, and ``egress.default: ask``. what: the sentence of the denial that it replaces."""
    return f"{what.removesuffix(' would allow it.')} would allow it without asking a person first."


def tie(arm: Arm, rival: Arm) -> str:
    """Two routes would give different power."""
    what = f"Rules {arm.rule} and {rival.rule} match equally and give different auth or address"
    return f"{what}; making one of them more specific would allow it."
