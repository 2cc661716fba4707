"""What a person gains and loses by one policy instead of another, in words: `policy diff`. Pure.

Routes are taken apart into what each one permits - one target, protocol, method, path and its headers - and compared
part by part, whatever the routes are called and however they are cut. A part that a wider one covers is no loss.
Where routes for one host give different power, precedence matters, and every part that is not the same is named.
"""

from collections.abc import Iterable, Sequence
from itertools import product

import msgspec

from bot_bottle.policy.arms import prefix_check
from bot_bottle.policy.effective import HeaderMatch, Match, PathMatch, Policy, Route
from bot_bottle.policy.hosts import covers
from bot_bottle.policy.regex import compile_regex
from bot_bottle.policy.verdict import Auth, RouteLimits, Timeouts

ANY = PathMatch("", "")
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


class Difference(msgspec.Struct, frozen=True):
    """Sentences. gained: what leaves, or may be asked for, only under the second policy. lost: only under the first.
    changed: what is neither - asks, how long one waits, what is logged."""

    gained: tuple[str, ...]
    lost: tuple[str, ...]
    changed: tuple[str, ...]


def difference(before: Policy, after: Policy) -> Difference:
    """From one policy to another. Nothing in all three: every request is decided alike, with the same power."""
    old, new = parts(before), parts(after)
    gone, come = _without(old, new), _without(new, old)
    gained = [f"allowed: {text}" for text in _texts(come, "allow")]
    gained += [f"no longer denied: {text}" for text in _texts(gone, "deny")]
    lost = [f"no longer allowed: {text}" for text in _texts(gone, "allow")]
    lost += [f"denied: {text}" for text in _texts(come, "deny")]
    changed = [f"asked about now: {text}" for text in _texts(come, "ask")]
    changed += [f"no longer asked about: {text}" for text in _texts(gone, "ask")]
    return Difference(tuple(gained), tuple(lost), (*changed, *_settings(before, after)))


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


def _without(these: Sequence[Part], others: Sequence[Part]) -> list[Part]:
    """Parts that the others do not have, not even in a wider one."""
    same = set(others)
    return [
        one
        for one in these
        if one not in same and (_precedence(one, these, others) or not any(covered(one, wide) for wide in others))
    ]


def _precedence(part: Part, these: Sequence[Part], others: Sequence[Part]) -> bool:
    """Whether it matters which of several routes is the more specific one: they give different power."""
    near = (
        one for some in (these, others) for one in some if one.action == part.action and _meet(one.host, part.host)
    )
    return part.action != "deny" and len({one.power for one in near}) > 1


def _meet(one: str, two: str) -> bool:
    return one == two or covers(one, two.removeprefix("*.")) or covers(two, one.removeprefix("*.")) or (
        one.startswith("*.") != two.startswith("*.") and (covers(one, two) or covers(two, one))
    )  # fmt: skip


def covered(part: Part, wide: Part) -> bool:
    """Whether everything that a part speaks about is also what another one speaks about, to the same effect."""
    return (
        part.action == wide.action
        and (part.power == wide.power or part.action == "deny")
        and (part.host == wide.host or (not part.host.startswith("*.") and covers(wide.host, part.host)))
        and wide.scheme in ("", part.scheme)
        and wide.port in (0, part.port)
        and wide.protocol == part.protocol
        and wide.method in ("", part.method)
        and set(wide.headers) <= set(part.headers)
        and _path_covered(part.path, wide.path)
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


def _texts(some: Sequence[Part], action: str) -> list[str]:
    """One sentence for parts that differ in method, protocol or port only."""
    together: dict[tuple[object, ...], list[Part]] = {}
    for one in some:
        if one.action == action:
            key = (one.host, one.scheme, one.path, one.headers, one.power)
            together.setdefault(key, []).append(one)
    return list(dict.fromkeys(_text(group) for group in together.values()))


def _text(group: list[Part]) -> str:
    one = group[0]
    methods = _some(part.method or "any method" for part in group)
    ports = _some(str(part.port) if part.port else "any port" for part in group)
    own = {"https": "443", "http": "80"}.get(one.scheme, "")
    port = "" if ports == own else f" port {ports}" if ports != "any port" else " any port"
    where = f"{methods} {one.scheme or 'http(s)'}://{one.host}{port}"
    path = {"": "", "exact": f" exactly {one.path.value}", "prefix": f" {one.path.value} and below"}
    words = [where + path.get(one.path.type, f" paths like {one.path.value}")]
    words += [f"only with {head.name} {head.type} {head.value}" for head in one.headers]
    protocols = {part.protocol for part in group}
    words += ["as WebSocket"] if protocols == {"websocket"} else []
    words += ["also as WebSocket"] if len(protocols) > 1 and one.action != "deny" else []
    return ", ".join([*words, *_power(one.power)])


def _power(power: Power) -> list[str]:
    auth, address, ca, own, limits, timeouts = power
    return [
        *([f"with secret {auth.secret}"] if auth else []),
        *([f"dialled at {address}"] if address else []),
        *(["trusting its own CA"] if ca else []),
        *(["agent's own credentials pass"] if own else []),
        *(["with limits of its own"] if (limits, timeouts) != (RouteLimits(), Timeouts()) else []),
    ]


def _some(words: Iterable[str]) -> str:
    return "|".join(dict.fromkeys(words))


def _settings(before: Policy, after: Policy) -> list[str]:
    """What is not about single requests."""
    found: list[str] = []
    for name in ("default", "ask_body", "ask_wait", "learn", "log", "sync"):
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            found.append(f"{name}: {old} -> {new}")
    return found
