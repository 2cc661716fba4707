"""Why a request is decided as it is: every route that was considered, what did not fit, and what would allow it."""

import msgspec

from bot_bottle.policy.addresses import AddressClass, classify
from bot_bottle.policy.arms import Arm, arms_of
from bot_bottle.policy.decide import Compiled, decide, routes_for_host
from bot_bottle.policy.effective import HeaderMatch, Match, PathMatch, Policy, Route
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.hosts import bracketed, is_address
from bot_bottle.policy.paths import loose_views
from bot_bottle.policy.verdict import Kind, Request, Verdict


class Considered(msgspec.Struct, frozen=True):
    """One route. why: what does not fit, "" where it matches. selected: it gives the verdict."""

    rule: str
    action: str
    origin: str
    why: str
    selected: bool = False


class Explanation(msgspec.Struct, frozen=True):
    """The verdict with its reasons. allow: a route, as a manifest writes it, that would allow the request, or what is
    to be done with the rule that stands in the way. place: ``file:line`` of that rule, or "" for a route to
    add. edit: the bottle file of that place, for `bot-bottle edit`, or ""."""

    verdict: Verdict
    considered: tuple[Considered, ...]
    allow: str = ""
    notes: tuple[str, ...] = ()
    place: str = ""
    edit: str = ""


def explain(compiled: Compiled, request: Request) -> Explanation:
    """Explains the verdict of `decide` for a canonical request; no traffic, no names resolved."""
    verdict = decide(compiled, request)
    host = request.target.host
    considered = tuple(
        Considered(route.rule, route.action, route.origin, why_not(route, request), route.rule == verdict.rule)
        for route in routes_for_host(compiled, host)
    )
    notes = tuple(note for note in compiled.policy.notes if note.startswith(f"{host}: "))
    if verdict.rule == DEFAULT:
        notes += ("egress.default: ask - what no route allows waits for a person's answer",)
    allow = "" if verdict.kind is Kind.ALLOW else would_allow(verdict, request)
    place = place_of(compiled.policy, verdict)
    return Explanation(verdict, considered, allow, notes, place, file_of(place))


def place_of(policy: Policy, verdict: Verdict) -> str:
    """``file:line`` of the rule that stands in the way of a request; "" where none does, or it is allowed."""
    if verdict.kind is Kind.ALLOW:
        return ""
    return next((route.origin for route in policy.routes if route.rule == verdict.rule), "")


def file_of(place: str) -> str:
    """The name of the bottle file that a rule was written in; "" for the routes of a harness."""
    name, dot, _ = place.rpartition("/")[2].partition(".md:")
    return name if dot else ""


def why_not(route: Route, request: Request) -> str:
    """The first thing about a request that a route for its host does not cover; "" where it matches."""
    target = request.target
    if route.scheme and route.scheme != target.scheme:
        return f"the scheme is {target.scheme}, the route says {route.scheme}"
    if route.ports and target.port not in route.ports:
        return f"the port is {target.port}, the route says {_any(route.ports)}"
    if request.protocol not in route.protocols:
        return f"the protocol is {request.protocol}, the route says {_any(route.protocols)}"
    arms = arms_of(route, 0)
    views = loose_views(request.path)
    if any(arm.matches(request) if arm.action == "allow" else arm.matches_loosely(request, views) for arm in arms):
        return ""
    return "; or ".join(
        dict.fromkeys(_arm_why(arm, match, path, request) for arm, match, path in _detail(route, arms))
    )


def would_allow(verdict: Verdict, request: Request) -> str:
    """The route that a person could add to a bottle file, or what stands in the way."""
    if verdict.reason == "policy.denied-by-rule":
        return f"Remove or narrow {verdict.rule}: a deny route always wins."
    if verdict.reason == "policy.needs-approval":
        return f"Set action: allow on {verdict.rule}."
    if verdict.reason == "policy.ambiguous-routes":
        return "Make one of the two routes more specific, or give both the same auth, address and ca."
    target = request.target
    kind = classify(target.host) if is_address(target.host) else AddressClass.PUBLIC
    if not kind.pinnable:
        return f"Nothing: no route reaches a {kind.value} address."
    parts = [f"host: {_yaml(target.host)}"]
    if target.scheme != "https":
        parts.append(f"scheme: {target.scheme}")
    if target.port != (443 if target.scheme == "https" else 80):
        parts.append(f"ports: [{target.port}]")
    if request.protocol != "http1":
        parts.append(f"protocols: [{request.protocol}]")
    if not kind.dialable:
        parts.append(f"address: {_yaml(f'{bracketed(target.host)}:{target.port}')}")
    path = f"{{type: exact, value: {_yaml(request.path)}}}"
    parts.append(f"matches: [{{paths: [{path}], methods: [{request.method}]}}]")
    return f"- {{{', '.join(parts)}}}"


def _detail(route: Route, arms: list[Arm]) -> list[tuple[Arm, Match, PathMatch]]:
    pairs = [(match, path) for match in route.matches or (Match(),) for path in match.paths or (PathMatch("", ""),)]
    return [(arm, match, path) for arm, (match, path) in zip(arms, pairs, strict=True)]


def _arm_why(arm: Arm, match: Match, path: PathMatch, request: Request) -> str:
    if arm.path is not None and not arm.path(request.path):
        return f"the path is not {path.type} {path.value}"
    if arm.methods and request.method not in arm.methods:
        return f"the method is {request.method}, the route says {_any(match.methods)}"
    missing = [head for head in match.headers if not _header_fits(head, request)]
    return f"the header {missing[0].name} does not fit" if missing else "the path has two readings"


def _header_fits(head: HeaderMatch, request: Request) -> bool:
    probe = Route("", "", matches=(Match(headers=(head,)),))
    return arms_of(probe, 0)[0].matches(msgspec.structs.replace(request, protocol="http1"))


def _any(values: tuple[object, ...]) -> str:
    return " or ".join(map(str, values))


def _yaml(text: str) -> str:
    """A flow scalar that YAML reads as this text."""
    return (
        text
        if text.replace("/", "").replace("-", "").replace(".", "").isalnum()
        else msgspec.json.encode(text).decode()
    )
