"""Turns a route as written into a route as decided: defaults filled in, names and paths canonical."""

import hashlib

import msgspec
from msgspec import UNSET

from bot_bottle.base.sizes import duration, size
from bot_bottle.policy import effective, model
from bot_bottle.policy.hosts import canonical_pattern
from bot_bottle.policy.paths import canonical_path
from bot_bottle.policy.syntax import auth_scheme, canonical_address
from bot_bottle.policy.verdict import Auth, RouteLimits, Timeouts

_PORTS = {"https": (443,), "http": (80,)}
_PROTOCOLS = ("http1", "websocket")


def route_name(route: model.Route) -> str:
    """The name as written, else ``r-`` and a digest of the content: the same content has the same name."""
    if route.name is not UNSET:
        return route.name
    content = msgspec.json.encode(route, order="deterministic")
    return f"r-{hashlib.sha256(content).hexdigest()[:10]}"


def effective_route(route: model.Route, bottle: str, origin: str, ca: str = "") -> effective.Route:
    """A checked route in its effective form. ca: the PEM text of ``tls.ca``. Raises ValueError if unchecked."""
    everything = route.action == "deny"
    scheme = route.scheme if route.scheme is not UNSET else "" if everything else "https"
    ports = tuple(route.ports) if route.ports is not UNSET else () if everything else _PORTS[scheme]
    protocols = route.protocols if route.protocols is not UNSET else _PROTOCOLS if everything else ("http1",)
    return effective.Route(
        rule=f"{bottle}/{route_name(route)}",
        host=canonical_pattern(route.host),
        scheme=scheme,
        ports=tuple(sorted(set(ports))),
        protocols=tuple(sorted(set(protocols))),
        matches=tuple(_match(one) for one in route.matches),
        action=route.action,
        auth=_auth(route),
        agent_credentials=route.agent_credentials == "allow",
        ca=ca,
        address=canonical_address(route.address) if route.address is not UNSET else "",
        limits=_limits(route),
        timeouts=_timeouts(route),
        origin=origin,
    )


def path_value(kind: str, value: str) -> str:
    """The canonical spelling of an exact path or prefix; an expression stays as it is. Raises ValueError."""
    return value if kind == "regex" else canonical_path(value)


def _match(one: model.Condition) -> effective.Match:
    return effective.Match(
        paths=tuple(effective.PathMatch(path.type, path_value(path.type, path.value)) for path in one.paths),
        methods=tuple(sorted(set(one.methods))),
        headers=tuple(effective.HeaderMatch(head.name.lower(), head.type, head.value) for head in one.headers),
    )


def _auth(route: model.Route) -> Auth | None:
    if route.auth is UNSET:
        return None
    scheme, name = auth_scheme(route.auth.scheme)
    return Auth(scheme, route.auth.secret, name)


def _limits(route: model.Route) -> RouteLimits:
    limits = route.limits if route.limits is not UNSET else model.RouteLimits()
    return RouteLimits(
        request_bytes=size(limits.request_bytes) if limits.request_bytes is not UNSET else 0,
        bottle_bytes=size(limits.bottle_bytes) if limits.bottle_bytes is not UNSET else 0,
        requests_per_minute=limits.requests_per_minute if limits.requests_per_minute is not UNSET else 0,
    )


def _timeouts(route: model.Route) -> Timeouts:
    timeouts = route.timeouts if route.timeouts is not UNSET else model.RouteTimeouts()
    return Timeouts(
        idle=duration(timeouts.idle) if timeouts.idle is not UNSET else 0,
        total=duration(timeouts.total) if timeouts.total is not UNSET else 0,
    )
