"""From loaded manifests, a harness and facts about the host to the plan of one run. Pure and golden-tested.

Nothing is read, asked or created here: whoever calls has loaded the files, looked at the workspace, made the
placeholders and asked the backend what it can hold. What the plan says is what the run does (B62).
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET

from bot_bottle.base.errors import OperatorFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.base.sizes import duration, size
from bot_bottle.base.text import visible as visible_text
from bot_bottle.bottles import ask_command, plan_env, plan_mounts
from bot_bottle.bottles.manifests import FoundAgent
from bot_bottle.bottles.plan import Limit, Mount, Plan, Seed, Skill, Workspace
from bot_bottle.bottles.registries import Registries
from bot_bottle.harnesses.fit import Choice, Fitted, choose_credential, fit
from bot_bottle.harnesses.load import Loaded
from bot_bottle.harnesses.model import Harness, Mode
from bot_bottle.policy import merge, model, ties
from bot_bottle.policy.effective import Policy

DEFAULT_LIMITS = {"memory": 4_000_000_000, "pids": 512, "disk": 10_000_000_000}
AUTHORITY = "/etc/ssl/certs/ca-certificates.crt"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a person asks for. bottles: merged files; bottle: their name; argv: the command, or more arguments.

    prompt: the task. model: over the agent's. wall_clock: seconds over the bottle's, 0 = not said.
    """

    label: str
    agent: FoundAgent
    bottles: merge.Merged
    bottle: str
    harness: Loaded
    mode: Mode = "headless"
    prompt: str = ""
    model: str = ""
    argv: tuple[str, ...] = ()
    terminal: bool = False
    wall_clock: float = 0


@dataclass(frozen=True, slots=True)
class Facts:
    """What is true on this host. entry, path, mounts: how the harness's program is started inside.

    user_home: the person's HOME; also where HOME is inside, so that toolchains keep their paths. environ: of the
    person; only what a bottle names by from_host, TERM, COLORTERM, LANG and PATH are looked at. existing: names of
    the secrets in custody. placeholders: one for each of `wanted_secrets`. capabilities: limit -> how it holds.
    exists: whether a path is there on this host, asked for each mount of a bottle file.
    """

    home: Home
    user_home: str
    environ: Mapping[str, str]
    workspace: Workspace
    placeholders: dict[str, str]
    existing: Collection[str] = ()
    registries: Registries = field(default_factory=Registries)
    capabilities: Mapping[str, str] = field(default_factory=dict[str, str])
    entry: tuple[str, ...] = ()
    path: tuple[str, ...] = ()
    mounts: tuple[Mount, ...] = ()
    user: str = "agent"
    git_user: tuple[str, str] = ("", "")
    backend: str = "bubblewrap"
    exists: Callable[[str], bool] = lambda _path: True
    authority: str = AUTHORITY
    now: str = "2026-01-01T00:00:00Z"


@dataclass(frozen=True, slots=True)
class _Steps:
    """What the steps of a plan decided. notes: warnings that they gave on the way."""

    fitted: Fitted
    policy: Policy
    mounts: tuple[Mount, ...]
    env: dict[str, str]
    visible: dict[str, str]
    secrets: tuple[str, ...]
    limits: tuple[Limit, ...]
    wall_clock: float
    notes: tuple[str, ...]


def plan_run(wanted: Wanted, facts: Facts) -> Plan:
    """The plan. Raises OperatorFault where manifests ask for what no bottle gives, UsageFault without a command."""
    bottle, terminal = wanted.bottles.bottle, wanted.terminal
    fitted = _fit(wanted, facts)  # 1 the harness: its command, files and routes
    policy = _policy(wanted, facts, fitted)  # 2
    mounts, mount_notes = _mounts(wanted, facts)  # 3
    env, visible, env_notes = plan_env.environment(bottle.env, facts, fitted.env, mounts, terminal)  # 4
    secrets = tuple(sorted({*policy.secrets(), *_env_secrets(bottle)}))  # 5
    limits, wall_clock, limit_notes = _limits(wanted, facts)  # 6
    notes = (*mount_notes, *env_notes, *limit_notes)
    return _plan(wanted, facts, _Steps(fitted, policy, mounts, env, visible, secrets, limits, wall_clock, notes))


def _plan(wanted: Wanted, facts: Facts, steps: _Steps) -> Plan:
    harness, bottle, home = wanted.harness.harness, wanted.bottles.bottle, facts.user_home
    workspace = _masked(facts.workspace, steps.fitted)
    return Plan(
        label=wanted.label, bottle=wanted.bottle, agent=wanted.agent.name, task=_task(wanted),
        harness=harness.name, harness_digest=wanted.harness.digest, argv=steps.fitted.argv, env=steps.env,
        home=home, workspace=workspace, cwd=workspace.source if workspace.mode != "none" else home,
        policy=steps.policy, mounts=steps.mounts, seeds=_seeds(steps.fitted, home), skills=_skills(wanted, home),
        limits=steps.limits, wall_clock=steps.wall_clock, terminal=wanted.terminal, backend=facts.backend,
        secrets=steps.secrets, visible=steps.visible,
        placeholders={name: value for name, value in facts.placeholders.items() if name in steps.secrets},
        caches=tuple(bottle.workspace.caches), leaf=_leaf(wanted, facts),
        git_user=wanted.agent.git_user if any(wanted.agent.git_user) else facts.git_user,
        success=harness.success.file, events=harness.success.events,
        warnings=(*_power_warnings(wanted, facts, steps), *steps.notes),
    )  # fmt: skip


def _mounts(wanted: Wanted, facts: Facts) -> tuple[tuple[Mount, ...], list[str]]:
    """The harness's and the bottle file's, and warnings."""
    asked = wanted.bottles.bottle.workspace.mounts
    own, notes = plan_mounts.mounts(asked, facts.user_home, facts.home, facts.workspace.source)
    plan_mounts.require(own, facts.exists)
    return (*facts.mounts, *own), notes


def _masked(workspace: Workspace, fitted: Fitted) -> Workspace:
    """With what the harness masks, where there is a workspace at all."""
    more = fitted.mask if workspace.mode != "none" else ()
    return msgspec.structs.replace(workspace, masked=tuple(dict.fromkeys((*workspace.masked, *more))))


def _seeds(fitted: Fitted, home: str) -> tuple[Seed, ...]:
    files = (Seed(f"{home}/{one.path}", one.content, one.executable) for one in fitted.files)
    return (*files, ask_command.seed())


def _task(wanted: Wanted) -> str:
    """What a list shows: never more than a line."""
    text = wanted.prompt.strip() or " ".join(wanted.argv)
    return visible_text(text.partition("\n")[0], 200)


def _leaf(wanted: Wanted, facts: Facts) -> str:
    """D25: `always` lands in the file that started this bottle, never in one that it extends."""
    names = wanted.bottles.names
    path = f"{facts.home.bottles}/{names[-1]}.md" if names else ""
    return path if path and facts.exists(path) else ""


def wanted_secrets(wanted: Wanted, existing: Collection[str]) -> dict[str, str]:
    """Every secret that the plan may need -> the shape of its placeholder (custody.placeholders), "" for no shape."""
    shapes = _shapes(wanted.harness.harness)
    credential = choose_credential(wanted.harness.harness, wanted.mode, existing)
    names = {route.auth.secret for route in wanted.bottles.routes if route.auth} | _env_secrets(wanted.bottles.bottle)
    if credential:
        names.add(credential.secret)
    return {name: shapes.get(name, "") for name in sorted(names)}


def _shapes(harness: Harness) -> dict[str, str]:
    out: dict[str, str] = {}
    for credential in harness.credentials:
        shape = credential.placeholder
        out[credential.secret] = f"{shape.prefix}{{{shape.length}:base62}}{shape.suffix}"
    return out


def _fit(wanted: Wanted, facts: Facts) -> Fitted:
    agent = wanted.agent
    choice = Choice(
        mode=wanted.mode,
        workspace=facts.workspace.source,
        home=facts.user_home,
        ca=facts.authority,
        entry=facts.entry,
        prompt=wanted.prompt,
        model=wanted.model or agent.model,
        instructions=agent.prompt,
        argv=wanted.argv,
        path=facts.path,
        existing=facts.existing,
        placeholders=facts.placeholders,
        now=facts.now,
    )
    fitted = fit(wanted.harness.harness, choice)
    if not fitted.argv:
        raise UsageFault(
            "plan.no-command",
            f"The agent {agent.name} runs a command, and none was given.",
            "Write it after --, like: bot-bottle run -- make test",
        )
    return fitted


def _policy(wanted: Wanted, facts: Facts, fitted: Fitted) -> Policy:
    given = (*fitted.routes, *facts.registries.routes())
    return merge.effective(wanted.bottles, wanted.bottle, given, fitted.model_hosts)


def _env_secrets(bottle: model.Bottle) -> set[str]:
    sources = [source for source in bottle.env.values() if isinstance(source, model.EnvSource)]
    return {source.secret for source in sources if source.secret is not UNSET}


def _skills(wanted: Wanted, home: str) -> tuple[Skill, ...]:
    place = wanted.harness.harness.skills
    if wanted.agent.skills and not place:
        raise OperatorFault(
            "harness.no-skills",
            f"The agent {wanted.agent.name} has skills, but {wanted.harness.harness.title} reads none.",
            "Remove `skills` from the agent, or choose another harness.",
        )
    return tuple(
        msgspec.structs.replace(skill, target=f"{home}/{place}/{skill.name}") for skill in wanted.agent.skills
    )


def _limits(wanted: Wanted, facts: Facts) -> tuple[tuple[Limit, ...], float, list[str]]:
    said = wanted.bottles.bottle.limits
    values = dict(DEFAULT_LIMITS)
    for name in ("memory", "disk"):
        text = getattr(said, name)
        if text is not UNSET:
            values[name] = size(text)
    values |= {name: value for name in ("pids", "cpus") if (value := getattr(said, name)) is not UNSET}
    wall_clock = wanted.wall_clock or (duration(said.wall_clock) if said.wall_clock is not UNSET else 0)
    limits = [Limit(name, value, facts.capabilities.get(name, "not enforced")) for name, value in values.items()]
    if wall_clock:
        limits.append(Limit("wall_clock", int(wall_clock), facts.capabilities.get("wall_clock", "not enforced")))
    weak = [one.name for one in limits if one.how == "not enforced"]
    notes = [f"limits: this host cannot enforce {', '.join(weak)}; see bot-bottle doctor"] if weak else []
    return tuple(limits), wall_clock, notes


def _power_warnings(wanted: Wanted, facts: Facts, steps: _Steps) -> list[str]:
    fitted, policy = steps.fitted, steps.policy
    out = [
        f"visible: the agent holds the real value of {name} in ${variable}"
        for name, variable in steps.visible.items()
    ]
    missing = [name for name in steps.secrets if name not in facts.existing]
    out += [
        f"secret {name} is not set: requests that need it are refused (bot-bottle secret set {name})"
        for name in missing
    ]
    if fitted.credential and not any(
        route.auth and route.auth.secret == fitted.credential.secret for route in policy.routes
    ):
        out.append(f"the bottle replaces the routes of {wanted.harness.harness.title} and none of them gives its key")
    hosts = {route.host for route in policy.routes if route.host.startswith("*.") and route.action != "deny"}
    out += [f"{host} covers names that its owner may create at any time" for host in sorted(hosts)]
    out += ties.sentences(policy.routes)
    return [*out, *facts.registries.warnings, *facts.workspace.findings]
