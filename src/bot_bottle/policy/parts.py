"""A policy taken apart: one target, protocol, method, path and its headers each, and what lies in what. Pure.

Whether a stricter rule has the last word over a part is answered as `decide` would: deny and ask rules hold for every
lenient reading of a path (B32), so a part is overruled by more than what is written alike.
"""

import re
from collections.abc import Callable, Iterable
from itertools import product
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from bot_bottle.policy.arms import prefix_check
from bot_bottle.policy.effective import HeaderMatch, Match, PathMatch, Policy, Route
from bot_bottle.policy.hosts import covers
from bot_bottle.policy.paths import loose_views
from bot_bottle.policy.regex import compile_regex
from bot_bottle.policy.verdict import Auth, RouteLimits, Timeouts

ANY = PathMatch("", "")
_PLAIN = re.compile(r"[A-Za-z0-9/_-]*")
Power = tuple[Auth | None, str, str, bool, RouteLimits, Timeouts]


class Part(msgspec.Struct, frozen=True):
    """One thing that a route speaks about. scheme "", port 0 and method "" mean any."""

    action: str
    host: str
    scheme: str
    port: int
    protocol: str
    method: str
    path: PathMatch
    headers: tuple[HeaderMatch, ...]
    power: Power


_NO_POWER: Power = (None, "", "", False, RouteLimits(), Timeouts())


class Overruled(NamedTuple):
    """by: the rule that has the last word over all of a part, or "". partly: rules that have it over some of it."""

    by: str
    partly: tuple[str, ...]


def parts(policy: Policy) -> list[Part]:
    """Everything that the routes of a policy speak about."""
    return [part for route in policy.routes for part in _parts(route)]


def _parts(route: Route) -> Iterable[Part]:
    power = (route.auth, route.address, route.ca, route.agent_credentials, route.limits, route.timeouts)
    for match in route.matches or (Match(),):
        headers = tuple(sorted(match.headers, key=lambda head: (head.name, head.type, head.value)))
        every = product(match.paths or (ANY,), match.methods or ("",), route.ports or (0,), route.protocols)
        for path, method, port, protocol in every:
            yield Part(route.action, route.host, route.scheme, port, protocol, method, path, headers, power)


def overruled(part: Part, policy: Policy, action: str) -> Overruled:
    """Which rules of an action decide about requests of a part before what it belongs to does."""
    rows = [(route.rule, one) for route in policy.routes if route.action == action for one in _parts(route)]
    whole = next((rule for rule, one in rows if _aimed(part, one) and _overrules(part, one)), "")
    some = () if whole else tuple(dict.fromkeys(rule for rule, one in rows if _touches(part, one)))
    return Overruled(whole, some)


def opened(part: Part, policy: Policy) -> Overruled:
    """Which rules of a policy allow what a part speaks about, or ask about it: one for all of it, or some."""
    rows = [(route.rule, one) for route in policy.routes if route.action != "deny" for one in _parts(route)]
    whole = next((rule for rule, one in rows if _aimed(part, one) and _path_covered(part.path, one.path)), "")
    some = () if whole else tuple(dict.fromkeys(rule for rule, one in rows if _touches(one, part)))
    return Overruled(whole, some)


def covered(part: Part, wide: Part) -> bool:
    """Whether everything that a part speaks about is also what another one speaks about, to the same effect."""
    return (
        part.action == wide.action
        and (part.power == wide.power or part.action == "deny")
        and _aimed(part, wide)
        and _path_covered(part.path, wide.path)
    )


def _aimed(part: Part, wide: Part) -> bool:
    """The same but for the path and what is done about it."""
    return (
        (part.host == wide.host or (not part.host.startswith("*.") and covers(wide.host, part.host)))
        and wide.scheme in ("", part.scheme)
        and wide.port in (0, part.port)
        and wide.protocol == part.protocol
        and wide.method in ("", part.method)
        and set(wide.headers) <= set(part.headers)
    )


def _path_covered(path: PathMatch, wide: PathMatch) -> bool:
    if wide in (ANY, path):
        return True
    if wide.type == "prefix" and path.type in ("exact", "prefix"):
        inside = prefix_check(wide.value)
        return inside(path.value)
    if wide.type == "regex" and path.type == "exact":
        return "%" not in path.value and compile_regex(wide.value).fullmatch(path.value.encode()) is not None
    return False


def _overrules(part: Part, strict: Part) -> bool:
    """Whether every path of a part is one of a stricter rule's, in some reading."""
    path, wide = part.path, strict.path
    if _path_covered(path, wide):
        return True
    if path.type not in ("exact", "prefix"):
        return False
    views = loose_views(path.value)
    if wide.type == "prefix":
        return any(map(prefix_check(_low(wide.value).rstrip("/") or "/"), views))
    if wide.type == "exact":
        return path.type == "exact" and _low(wide.value) in views
    return path.type == "exact" and any(map(_loosely(wide.value), views))


def _touches(part: Part, strict: Part) -> bool:
    """Whether some request of a part may be one of a stricter rule's. Where it cannot be told, it may."""
    return (
        (covers(part.host, strict.host) or covers(strict.host, part.host) or part.host == strict.host)
        and (not (part.scheme and strict.scheme) or part.scheme == strict.scheme)
        and (not (part.port and strict.port) or part.port == strict.port)
        and part.protocol == strict.protocol
        and (not (part.method and strict.method) or part.method == strict.method)
        and _may_meet(part.path, strict.path)
    )


def _may_meet(path: PathMatch, strict: PathMatch) -> bool:
    if ANY in (path, strict):
        return True
    if path.type == "exact":
        one = Part("", "", "", 0, "", "", path, (), _NO_POWER)
        return _overrules(one, msgspec.structs.replace(one, path=strict))
    mine = [_start(path)] if path.type == "regex" else list(loose_views(path.value))
    their = _start(strict)
    return any(view.startswith(their) or their.startswith(view.rstrip("/")) for view in mine)


def _start(path: PathMatch) -> str:
    """How every path of a condition begins, in the loose reading."""
    if path.type != "regex":
        return _low(path.value).rstrip("/")
    plain = _PLAIN.match(path.value) if "|" not in path.value else None
    found = plain[0] if plain else ""
    return (found[:-1] if path.value[len(found) :][:1] in ("*", "?", "{") else found).lower()


def _low(value: str) -> str:
    return unquote(value).lower()


def _loosely(expression: str) -> Callable[[str], bool]:
    full = compile_regex(expression if "%2F" in expression else f"(?i:{expression})").fullmatch
    return lambda view: full(view.encode()) is not None
