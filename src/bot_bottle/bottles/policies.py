"""The effective policy of a bottle without a run: what `policy show` answers from, and what a reload sends."""

from collections.abc import Collection, Mapping

from bot_bottle.base.home import Home
from bot_bottle.bottles import registries
from bot_bottle.bottles.manifests import DEFAULT_BOTTLE, FoundAgent, Library
from bot_bottle.harnesses import fit, load
from bot_bottle.harnesses.model import Harness, Mode
from bot_bottle.policy import merge
from bot_bottle.policy.effective import Policy, Route


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
    harness = catalogue.get(found.harness).harness if found else None
    return combined(shelf, harness, bottle_names(bottles, found), environ, existing)


def policy_again(
    shelf: Library, harness: Harness, bottles: tuple[str, ...], environ: Mapping[str, str], inside: Mapping[str, str]
) -> Policy:
    """The policy of a running bottle, from its files as they are now. inside: the agent's environment.

    The environment tells which credential and which mode the bottle was started with: a reload gives no other.
    """
    mode: Mode = "headless" if inside.get("TERM", "dumb") == "dumb" else "interactive"
    used = [one.secret for one in harness.credentials if one.env and one.env.keys() <= inside.keys()]
    return combined(shelf, harness, bottles, environ, used, (mode,))


def combined(
    shelf: Library,
    harness: Harness | None,
    names: tuple[str, ...],
    environ: Mapping[str, str],
    existing: Collection[str],
    modes: tuple[Mode, ...] = ("headless", "interactive"),
    ask_registries: bool = True,
) -> Policy:
    """Bottle files, the harness's routes and the registries' routes in one policy. ask_registries: False where no
    program may be started (the dashboard): their routes are then not part of it."""
    merged = shelf.resolve(names)
    given: list[Route] = []
    hosts: dict[str, str] = {}
    if harness:
        for mode in modes:
            credential = fit.choose_credential(harness, mode, existing)
            given += [route for route in fit.routes(harness, mode, credential) if route not in given]
        hosts = {route.host: route.error for route in harness.routes if route.error}
    kinds = tuple(merged.bottle.egress.registries) if ask_registries else ()
    asked = registries.discover(kinds, environ, shelf.repository)
    return merge.effective(merged, "+".join(names), (*given, *asked.routes()), hosts)
