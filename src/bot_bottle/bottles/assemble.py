"""Gathers what a plan is made of: files, harness, workspace, registries. Reads this host, changes nothing.

The steps are those of design (b): load manifests, place the harness, look at the workspace, ask the clients, plan.
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from bot_bottle.base.errors import UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import registries
from bot_bottle.bottles.manifests import DEFAULT_BOTTLE, FoundAgent, Library
from bot_bottle.bottles.plan import Mount, Plan, Workspace
from bot_bottle.bottles.planner import Facts, Wanted, plan_run, wanted_secrets
from bot_bottle.bottles.trust import TrustFile
from bot_bottle.bottles.workspace.facts import inspect_source
from bot_bottle.custody import placeholders
from bot_bottle.harnesses import fit, load, placement
from bot_bottle.harnesses.model import Mode
from bot_bottle.policy import merge
from bot_bottle.policy.effective import Policy


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line or the API was asked for. workspace: directory, "" = none. agent: name, or a harness.

    bottles: names in overlay order, () = the agent's own, else default. label: "" = the agent's name.
    """

    agent: str
    workspace: str
    bottles: tuple[str, ...] = ()
    label: str = ""
    mode: Mode = "headless"
    prompt: str = ""
    model: str = ""
    argv: tuple[str, ...] = ()
    terminal: bool = False
    wall_clock: float = 0


@dataclass(frozen=True, slots=True)
class Assembled:
    """The plan, and the agent that may still need a person's yes (D21, see `confirmed`)."""

    plan: Plan
    agent: FoundAgent


def library(home: Home, environ: Mapping[str, str], workspace: str) -> tuple[Library, load.Catalogue]:
    """Manifests and harnesses as seen from a workspace."""
    catalogue = load.load_all(home.root)
    return Library(home, environ.get("HOME", "/"), workspace, catalogue.harnesses.keys()), catalogue


def bottle_names(asked: tuple[str, ...], agent: FoundAgent | None) -> tuple[str, ...]:
    """Which bottle files hold: those that were asked for, else the agent's, else default."""
    return asked or (agent.bottles if agent else ()) or (DEFAULT_BOTTLE,)


def assemble(
    request: Request,
    home: Home,
    environ: Mapping[str, str],
    existing: Collection[str],
    capabilities: Mapping[str, str],
    random: Callable[[int], bytes] = os.urandom,
    now: str = "2026-01-01T00:00:00Z",
) -> Assembled:
    """The whole plan of a run. existing: names of secrets in custody. capabilities: of the backend."""
    source = os.path.realpath(request.workspace) if request.workspace else ""
    shelf, catalogue = library(home, environ, source)
    agent = shelf.agent(request.agent)
    names = bottle_names(request.bottles, agent)
    merged = shelf.resolve(names)
    harness = catalogue.get(agent.harness)
    wanted = Wanted(
        label=request.label or agent.name,
        agent=agent,
        bottles=merged,
        bottle="+".join(names),
        harness=harness,
        mode=request.mode,
        prompt=request.prompt,
        model=request.model,
        argv=request.argv,
        terminal=request.terminal,
        wall_clock=request.wall_clock,
    )
    place = placement.place(home.harnesses, harness.harness)
    facts = Facts(
        home=home,
        user_home=os.path.realpath(environ.get("HOME", "/")),
        environ=environ,
        workspace=look(source, merged, home),
        placeholders=lookalikes(wanted, existing, random),
        existing=existing,
        registries=registries.discover(tuple(merged.bottle.egress.registries), environ, source),
        capabilities=capabilities,
        entry=place.entry,
        path=place.path,
        mounts=tuple(Mount(host, inside, "ro", f"harness {harness.harness.name}") for host, inside in place.mounts),
        now=now,
    )
    return Assembled(plan_run(wanted, facts), agent)


def look(source: str, merged: merge.Merged, home: Home) -> Workspace:
    """The workspace as the bottle files want it."""
    if not source:
        return Workspace("", "none")
    asked = merged.bottle.workspace
    mode = asked.mode if isinstance(asked.mode, str) else "copy"
    return inspect_source(source, tuple(asked.keep), home.root, home.runtime).workspace(mode)


def lookalikes(wanted: Wanted, existing: Collection[str], random: Callable[[int], bytes]) -> dict[str, str]:
    """A fresh placeholder for each secret that the plan may need."""
    shapes = wanted_secrets(wanted, existing)
    return {
        name: placeholders.placeholder(shape, random) if shape else placeholders.generic(name, random)
        for name, shape in shapes.items()
    }


def policy_of(
    shelf: Library,
    catalogue: load.Catalogue,
    bottles: tuple[str, ...],
    agent: str,
    environ: Mapping[str, str],
    existing: Collection[str] = (),
) -> Policy:
    """The effective policy of a bottle (and an agent's harness, if named), without a workspace and without a run."""
    found = shelf.agent(agent) if agent else None
    names = bottle_names(bottles, found)
    merged = shelf.resolve(names)
    asked = registries.discover(tuple(merged.bottle.egress.registries), environ, shelf.repository)
    given, hosts = asked.routes(), dict[str, str]()
    if found:
        harness = catalogue.get(found.harness).harness
        mode: Mode = "headless" if harness.headless.argv else "interactive"
        credential = fit.choose_credential(harness, mode, existing)
        both = (*fit.routes(harness, "headless", credential), *fit.routes(harness, "interactive", credential))
        given = (*dict.fromkeys(both), *given)
        hosts = {route.host: route.error for route in harness.routes if route.error}
    return merge.effective(merged, "+".join(names), given, hosts)


def confirmed(agent: FoundAgent, home: Home, repository: str) -> bool:
    """Whether this agent may run without a question: it is the person's own, or this digest was confirmed (D21)."""
    return not agent.needs_confirmation or trust_file(home).is_confirmed(repository, agent.name, agent.digest)


def confirm(agent: FoundAgent, home: Home, repository: str) -> None:
    """Remembers a person's yes to this digest."""
    trust_file(home).confirm(repository, agent.name, agent.digest)


def require_confirmed(agent: FoundAgent, home: Home, repository: str) -> None:
    """Raises UsageFault for an agent of a repository that nobody has confirmed: the answer when headless."""
    if not confirmed(agent, home, repository):
        raise UsageFault(
            "agent.unconfirmed",
            f"The agent {agent.name} comes from this repository and its text was not confirmed.",
            f"Read {agent.file}, then start it once in a terminal.",
        )


def trust_file(home: Home) -> TrustFile:
    """Where confirmations are kept."""
    return TrustFile(f"{home.root}/trusted-agents.json")
