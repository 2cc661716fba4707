"""The effective policy of a bottle without a run: what `policy show` answers from, and what a reload sends."""

from collections.abc import Collection, Mapping

from bot_bottle.base.home import Home
from bot_bottle.bottles import registries
from bot_bottle.bottles.manifests import DEFAULT_BOTTLE, FoundAgent, Library
from bot_bottle.harnesses import fit, load
from bot_bottle.harnesses.model import Mode
from bot_bottle.policy import merge
from bot_bottle.policy.effective import Policy


def library(home: Home, environ: Mapping[str, str], workspace: str) -> tuple[Library, load.Catalogue]:
    """Manifests and harnesses as seen from a workspace."""
    catalogue = load.load_all(home.root)
    return Library(home, environ.get("HOME", "/"), workspace, catalogue.harnesses.keys()), catalogue


def bottle_names(asked: tuple[str, ...], agent: FoundAgent | None) -> tuple[str, ...]:
    """Which bottle files hold: those that were asked for, else the agent's, else default."""
    return asked or (agent.bottles if agent else ()) or (DEFAULT_BOTTLE,)


def policy_of(
    shelf: Library,
    catalogue: load.Catalogue,
    bottles: tuple[str, ...],
    agent: str,
    environ: Mapping[str, str],
    existing: Collection[str] = (),
) -> Policy:
    """The policy of a bottle and, if an agent is named, of its harness in both modes.

    existing: names of secrets in custody; without them the first credential of the harness stands for all.
    """
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
        given = (*{route.rule: route for route in both}.values(), *given)
        hosts = {route.host: route.error for route in harness.routes if route.error}
    return merge.effective(merged, "+".join(names), given, hosts)
