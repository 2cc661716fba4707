"""The effective plan for a person (`start --dry-run`): what runs, what it sees, where it may go, what holds."""

import shlex

from bot_bottle.base.sizes import human
from bot_bottle.base.text import visible
from bot_bottle.bottles.plan import Plan
from bot_bottle.policy.effective import Route


def plan_text(plan: Plan) -> list[str]:
    """Lines; every text that a repository or a command line gave is made visible (B73)."""
    out = [
        f"bottle     {plan.bottle}  label {plan.label}  backend {plan.backend}",
        f"agent      {plan.agent}  harness {plan.harness}  {'at a terminal' if plan.terminal else 'headless'}",
        f"command    {visible(shlex.join(plan.argv), 2000)}",
        f"workspace  {visible(plan.workspace.source) or 'none'}  {plan.workspace.mode}",
    ]
    out += [f"  hidden   {visible(path)}" for path in plan.workspace.masked]
    out += [f"mount      {visible(m.source)} at {visible(m.target)}  {m.mode}  {m.why}".rstrip() for m in plan.mounts]
    out += [f"skill      {skill.name}  {skill.digest[:16]}" for skill in plan.skills]
    out += [f"seed       {visible(seed.path)}" for seed in plan.seeds]
    out += [_secret(plan, name) for name in plan.secrets]
    out += [_route(route) for route in plan.policy.routes]
    out += [f"limit      {limit.name} {_value(limit.name, limit.value)}  {limit.how}" for limit in plan.limits]
    out += [f"note       {visible(note, 500)}" for note in plan.policy.notes]
    out += [f"warning    {visible(warning, 500)}" for warning in plan.warnings]
    out += [f"log        {plan.policy.log}  sync {plan.policy.sync}"]
    return [*out, f"policy     {plan.policy.digest}"]


def _secret(plan: Plan, name: str) -> str:
    variable = plan.visible.get(name)
    return f"secret     {name}" + (f"  shown to the agent as ${variable}" if variable else "")


def _route(route: Route) -> str:
    ports = ",".join(map(str, route.ports))
    matches = " | ".join(_match(route, n) for n in range(len(route.matches))) or "every request"
    auth = f"  injects {route.auth.secret} ({route.auth.scheme})" if route.auth else ""
    pinned = f"  at {route.address}" if route.address else ""
    place = f"{route.scheme}://{route.host}:{ports}"
    return f"route      {route.action:<5} {place}  {matches}{auth}{pinned}  [{route.rule}]"


def _match(route: Route, number: int) -> str:
    match = route.matches[number]
    methods = ",".join(match.methods) or "any method"
    paths = ",".join(f"{path.type} {visible(path.value, 100)}" for path in match.paths) or "any path"
    headers = "".join(f" {header.name}~{visible(header.value, 60)}" for header in match.headers)
    return f"{methods} {paths}{headers}"


def _value(name: str, value: int) -> str:
    return human(value) if name in ("memory", "disk") else str(value)
