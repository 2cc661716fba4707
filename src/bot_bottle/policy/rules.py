"""What no type can say: how the parts of one route, and the routes of one file, must fit together."""

from collections.abc import Callable, Iterator

from msgspec import UNSET

from bot_bottle.base.sizes import duration, size
from bot_bottle.policy import model, ties
from bot_bottle.policy.addresses import classify
from bot_bottle.policy.hosts import INSIDE, canonical_pattern, is_address, is_inside
from bot_bottle.policy.regex import compile_regex
from bot_bottle.policy.routes import effective_route, path_value, route_name

MAX_WAIT = 7 * 86400
MAX_BODY = 1_000_000_000

Finding = tuple[str, str, str]
"""(slug, what, hint)"""


def route_findings(route: model.Route) -> Iterator[Finding]:
    """Problems inside one route whose fields each fit."""
    yield from _pin_findings(route)
    yield from _power_findings(route)
    for match in route.matches:
        for path in match.paths:
            yield from _path_findings(path)
        for header in match.headers:
            if header.type == "regex":
                yield from _regex_findings(header.value)


def env_finding(name: str, source: model.EnvSource) -> Finding | None:
    """A variable has exactly one source, and only a secret can be visible."""
    if (source.from_host is UNSET) == (source.secret is UNSET):
        return "bad-value", f"env.{name} needs exactly one of from_host and secret", ""
    if source.visible and source.secret is UNSET:
        return "bad-value", f"env.{name}: visible belongs to a secret", ""
    return None


def hold_finding(key: str, text: str) -> str:
    """What is wrong with ``egress.ask_wait`` or ``egress.ask_body``; "" for what fits or is another's to report."""
    try:
        if key == "ask_wait" and not 1 <= duration(text) <= MAX_WAIT:
            return "a held request waits from 1s to 7d"
        if key == "ask_body" and size(text) > MAX_BODY:
            return "a held request is at most 1GB"
    except ValueError:
        return ""
    return ""


def pair_findings(routes: list[model.Route], report: Callable[[int, Finding], None]) -> None:
    """Two routes of one file: the same name, or equal match sets with different power."""
    names: dict[str, int] = {}
    for index, route in enumerate(routes):
        name = route_name(route)
        if name in names:
            report(index, ("duplicate-route", f"two routes have the name or content {name!r}", ""))
        names.setdefault(name, index)
    lowered = [effective_route(route, "", "", _authority(route)) for route in routes]
    for one, two in ties.pairs(lowered):
        names_of_both = f"{route_name(routes[one])} and {route_name(routes[two])}"
        what = f"routes {names_of_both} match the same requests with different power"
        report(two, ("equal-routes", what, "give both the same auth, address and ca, or other matches"))


def _authority(route: model.Route) -> str:
    return route.tls.ca if route.tls is not UNSET else ""


def _pin_findings(route: model.Route) -> Iterator[Finding]:
    host = canonical_pattern(route.host)
    if is_inside(host):
        yield "reserved-host", f"{INSIDE} is the bottle's own name, which the gateway answers itself", ""
    if is_address(host) and route.action != "deny" and not classify(host).dialable and route.address is UNSET:
        hint = f"pin it: address: {host if ':' not in host else f'[{host}]'}:PORT"
        yield "address-class", f"host {host} is a {classify(host).value} address", hint


def _power_findings(route: model.Route) -> Iterator[Finding]:
    cleartext = route.scheme == "http"
    if route.auth is not UNSET and cleartext:
        yield "cleartext-secret", "a secret never leaves over http", "use scheme: https"
    if route.tls is not UNSET and cleartext:
        yield "bad-value", "tls belongs to scheme: https", ""
    if route.auth is not UNSET and route.agent_credentials == "allow":
        yield "bad-value", "a route with auth sends one credential only", "leave agent_credentials out"
    if route.action == "deny":
        extra = [
            name for name in ("auth", "tls", "address", "limits", "timeouts") if getattr(route, name) is not UNSET
        ]
        if extra:
            yield "bad-value", f"a deny route has no {', '.join(extra)}", ""


def _path_findings(path: model.PathCondition) -> Iterator[Finding]:
    if path.type == "regex":
        yield from _regex_findings(path.value)
        return
    try:
        path_value(path.type, path.value)
    except ValueError as error:
        yield "bad-value", f"path {path.value!r}: {error}", ""


def _regex_findings(text: str) -> Iterator[Finding]:
    try:
        compile_regex(text)
    except ValueError as error:
        yield "bad-regex", str(error), ""
