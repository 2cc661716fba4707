"""list_routes and explain_denial: what the agent may know of its own policy - no secret, no pin, no file (B44)."""

from typing import TYPE_CHECKING

from bot_bottle.base.text import visible
from bot_bottle.egress.inside import HOST
from bot_bottle.egress.mcp import words
from bot_bottle.egress.mcp.access import canonical_methods, parse_url, permits
from bot_bottle.egress.mcp.answers import Result, refused, url_text
from bot_bottle.egress.mcp.catalogue import ExplainDenial
from bot_bottle.egress.mcp.denials import Denial
from bot_bottle.egress.mcp.words import LIFTED
from bot_bottle.policy.decide import Compiled
from bot_bottle.policy.effective import Match, Route
from bot_bottle.policy.explain import explain
from bot_bottle.policy.grants import Grant
from bot_bottle.policy.verdict import Kind, Request

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway

_LISTED = 200
_DEFAULTS = {
    "deny": "What no route names is denied; request_access asks a person.",
    "ask": "What no route names waits for a person's answer.",
    "learn": "What no route names is allowed and recorded for now.",
}


def listed(compiled: Compiled) -> Result:
    """Every route in one line, and what a person granted."""
    policy = compiled.policy
    lines = [_route(route) for route in policy.routes[:_LISTED]]
    left = len(policy.routes) - len(lines)
    granted = [_grant(grant) for some in compiled.grants.values() for grant in some][:_LISTED]
    data: dict[str, object] = {"routes": lines, "granted": granted}
    if left:
        data["left_out"] = left
    return Result("ok", _DEFAULTS.get(policy.default, ""), data)


def explained(gateway: "Gateway", arguments: ExplainDenial) -> Result:
    """Why: as it was answered then, and how the policy sees it now."""
    compiled = gateway.rules.compiled
    if arguments.request != "":
        number = _number(str(arguments.request), gateway.identity.run)
        denial = gateway.denials.get(number) if number else None
        if denial is None:
            return refused(
                "No request of this bottle with this number was denied lately; give method and url instead."
            )
        return _then_and_now(compiled, denial)
    if not arguments.url:
        return refused("Give the number of the denied request, or its method and url.")
    try:
        target, path = parse_url(arguments.url)
        (method,) = canonical_methods([arguments.method])
    except ValueError as fault:
        return refused(f"{str(fault).capitalize()}.")
    return _now(compiled, Request(target, method, path))


def _then_and_now(compiled: Compiled, denial: Denial) -> Result:
    if denial.target is None:
        data: dict[str, object] = {"reason": denial.reason, "rule": denial.rule}
        return Result("denied", denial.hint, data)
    now = _now(compiled, Request(denial.target, denial.method, denial.path, protocol=denial.protocol))
    if now.data.get("reason") == denial.reason:
        return now
    if now.state == "allowed" and denial.reason.startswith(("policy.", "ask.")):
        return now
    return Result("denied", denial.hint, {**now.data, "reason": denial.reason, "rule": denial.rule, "allow": ""})


def _now(compiled: Compiled, request: Request) -> Result:
    url = url_text(request.target, request.path)
    data: dict[str, object] = {"method": visible(request.method, 32), "url": url}
    if request.target.host == HOST:
        return Result("allowed", "This bottle's own name: http on port 80, POST /mcp.", data)
    found = explain(compiled, request)
    verdict = found.verdict
    data |= {"rule": verdict.rule, "reason": verdict.reason}
    if permits(compiled, request, verdict):
        return Result("allowed", "This is allowed now. A refusal then came from elsewhere: send it again.", data)
    data["allow"] = found.allow
    if verdict.kind is Kind.DENY and verdict.reason in LIFTED:
        data["how"] = words.how_to_ask(request.method, url)
    state = "denied" if verdict.kind is Kind.DENY else "ask"
    return Result(state, verdict.hint, data)


def _number(text: str, run: str) -> int:
    """The number of a request as an answer names it: ``RUN/NUMBER`` of this run, or the number alone; else 0."""
    before, slash, number = text.rpartition("/")
    if slash and before != run:
        return 0
    return int(number) if number.isascii() and number.isdigit() and len(number) <= 15 else 0


def _route(route: Route) -> str:
    ports = "|".join(map(str, route.ports)) or "any"
    where = f"{route.action} {route.scheme or 'http(s)'}://{route.host}:{ports}"
    what = " or ".join(_match(match) for match in route.matches) or "every request"
    extra = [", websocket"] if "websocket" in route.protocols else []
    extra += [", a credential is added"] if route.auth else []
    return visible(f"{where} {what}{''.join(extra)} (rule {route.rule})", 600)


def _grant(grant: Grant) -> str:
    where = f"{grant.scheme}://{grant.host}:{grant.port}{visible(grant.path, 200)}"
    return f"{where} {'|'.join(grant.methods) or 'any method'}{' once' if grant.once else ''}"


def _match(match: Match) -> str:
    parts = ["|".join(match.methods) or "any method"]
    parts += [" or ".join(f"{path.type} {path.value}" for path in match.paths)] if match.paths else []
    parts += [f"with header {', '.join(sorted({head.name for head in match.headers}))}"] if match.headers else []
    return " ".join(parts)
