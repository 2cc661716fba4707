"""The plan as a person reads it before anything starts (`--dry-run`): YAML-like text, or JSON with the same content.

Placeholders are shown cut, secrets only by name; text of strangers is made visible first (B73).
"""

import shlex
from collections.abc import Iterator

import msgspec

from bot_bottle.base.sizes import human
from bot_bottle.base.text import visible
from bot_bottle.bottles.plan import Limit, Plan
from bot_bottle.policy import ties
from bot_bottle.policy.effective import Match, Policy, Route

Line = tuple[int, str]


def as_json(plan: Plan) -> bytes:
    """The whole plan as indented JSON; it holds placeholders, never secrets."""
    return msgspec.json.format(msgspec.json.encode(plan), indent=2)


def as_text(plan: Plan) -> str:
    """The plan in the words of the manifests, with what each limit is worth on this host."""
    return _joined(_plan_lines(plan))


def policy_text(policy: Policy) -> str:
    """The effective policy: `policy show`."""
    return _joined(_policy_lines(policy))


def route_text(route: Route) -> str:
    """One route in one line."""
    where = f"{route.scheme or 'http(s)'}://{route.host}:{'|'.join(map(str, route.ports)) or 'any'}"
    parts = [route.action, where, *(["websocket"] if route.protocols == ("websocket",) else [])]
    parts.append(" or ".join(match_text(match) for match in route.matches) or "every request")
    if route.auth:
        name = f":{route.auth.name}" if route.auth.name else ""
        parts.append(f"with secret {route.auth.secret} ({route.auth.scheme}{name})")
    if route.address:
        parts.append(f"dialled at {route.address}")
    parts += [
        text
        for text, said in (("own CA", route.ca), ("agent's own credentials pass", route.agent_credentials))
        if said
    ]
    return ", ".join(parts)


def match_text(match: Match) -> str:
    """One match entry in words."""
    parts = ["|".join(match.methods)] if match.methods else []
    if match.paths:
        parts.append(" or ".join(f"{path.type} {path.value}" for path in match.paths))
    parts += [f"{head.name}: {head.type} {head.value}" for head in match.headers]
    return " ".join(parts) or "every request"


def _plan_lines(plan: Plan) -> Iterator[Line]:
    yield 0, f"label: {plan.label}"
    yield 0, f"agent: {plan.agent}"
    yield 0, f"harness: {plan.harness} ({plan.harness_digest[:12]})"
    yield 0, f"bottle: {plan.bottle}"
    yield 0, f"backend: {plan.backend}"
    yield 0, f"terminal: {'yes' if plan.terminal else 'no, headless'}"
    yield 0, f"command: {shlex.join(_shown(one) for one in plan.argv)}"
    yield from _workspace_lines(plan)
    yield from _block("limits", [limit_text(one) for one in plan.limits])
    yield from _block(
        "mounts", [f"{one.source} -> {one.target} ({one.mode}) {one.why}".rstrip() for one in plan.mounts]
    )
    yield from _block("skills", [f"{one.name} {one.digest[:12]} from {one.source}" for one in plan.skills])
    yield from _block("caches", list(plan.caches))
    yield from _block("environment", [_variable(plan, name) for name in sorted({*plan.env, *plan.visible.values()})])
    yield from _block("seeds", [one.path for one in plan.seeds])
    yield from _block("secrets", list(plan.secrets))
    yield from _policy_lines(plan.policy)
    yield from _block("warnings", list(plan.warnings))


def _workspace_lines(plan: Plan) -> Iterator[Line]:
    workspace = plan.workspace
    yield 0, f"workspace: {workspace.source} ({workspace.mode})"
    if workspace.masked:
        yield from ((depth + 1, line) for depth, line in _block("masked", list(workspace.masked)))
    if workspace.common_git:
        yield 1, f"git directory: {workspace.common_git}"
    yield from ((depth + 1, line) for depth, line in _block("findings", list(workspace.findings)))


def limit_text(limit: Limit) -> str:
    """One limit with how it holds on this host."""
    value = human(limit.value) if limit.name in ("memory", "disk") else str(limit.value)
    unit = " s" if limit.name == "wall_clock" else ""
    return f"{limit.name}: {value}{unit} ({limit.how})"


def _policy_lines(policy: Policy) -> Iterator[Line]:
    yield 0, f"policy: {policy.digest[:16]}"
    yield 1, f"log: {policy.log}"
    if policy.sync == "each":
        yield 1, "sync: each record is on the disk before its request leaves"
    yield from _default_lines(policy)
    for route in policy.routes:
        yield 2, f"- {route.rule}: {route_text(route)}"
        yield 3, f"from {route.origin}"
        if route.replaced:
            yield 3, f"replaces {', '.join(route.replaced)}"
    notes = [*policy.notes, *ties.sentences(policy.routes)]
    yield from ((depth + 1, line) for depth, line in _block("notes", notes))


def _default_lines(policy: Policy) -> Iterator[Line]:
    """What happens to what no route names, and how long and how large a held request may be."""
    if policy.default == "ask":
        yield 1, "default: ask a person about what no route names"
    if policy.default == "learn":
        yield 1, "default: LEARNING - what no route names leaves, without any secret, and is recorded"
    if policy.default == "ask" or any(route.action == "ask" for route in policy.routes):
        yield 1, f"asks: wait {policy.ask_wait:g} s, then no; held up to {human(policy.ask_body)}"
    if policy.learn == "forbid":
        yield 1, "learn: forbidden"
    nothing = "nothing leaves without an answer" if policy.default == "ask" else "nothing leaves"
    yield 1, "routes:" if policy.routes else f"routes: none, so {nothing}"


def _variable(plan: Plan, name: str) -> str:
    secret = next((secret for secret, variable in plan.visible.items() if variable == name), "")
    if secret:
        return f"{name}: the real value of secret {secret}"
    value = plan.env[name]
    if any(placeholder and placeholder in value for placeholder in plan.placeholders.values()):
        return f"{name}: a placeholder"
    return f"{name}: {_shown(value)}"


def _block(title: str, items: list[str]) -> Iterator[Line]:
    if items:
        yield 0, f"{title}:"
        for item in items:
            yield 1, f"- {item}"


def _shown(text: str) -> str:
    return visible(text, 200)


def _joined(lines: Iterator[Line]) -> str:
    return "\n".join("  " * depth + visible(line, 1000) for depth, line in lines) + "\n"
