"""Names for shell completion: bottles, agents, harnesses and labels. No bottle or agent file is read."""

import os

import click
from click.shell_completion import CompletionItem

from bot_bottle.base.home import locate


def complete_bottle(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of bottle files."""
    return _items(_names()[0], incomplete)


def complete_agent(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of agents and harnesses."""
    return _items(_names()[1], incomplete)


def complete_manifest(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of bottle and agent files."""
    bottles, agents = _names()
    return _items(sorted({*bottles, *agents}), incomplete)


def complete_label(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Labels of running and kept bottles."""
    from bot_bottle.bottles.lease import leases

    return _items([held.label for held, _ in leases(locate(os.environ))], incomplete)


def complete_ask(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of asks that wait."""
    from bot_bottle.api import approvals
    from bot_bottle.base.errors import BottleError

    try:
        return _items([ask.id for ask in approvals.waiting(approvals.reader(locate(os.environ)))], incomplete)
    except BottleError:
        return []


def complete_grant(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Ids of grants."""
    from bot_bottle.api import approvals
    from bot_bottle.base.errors import BottleError

    try:
        return _items([one.id for one in approvals.reader(locate(os.environ)).grants(limit=100)], incomplete)
    except BottleError:
        return []


def _names() -> tuple[list[str], list[str]]:
    from bot_bottle.bottles.policies import library

    try:
        shelf, catalogue = library(locate(os.environ), os.environ, os.getcwd())
    except OSError:
        return [], []
    return shelf.bottle_names(), sorted({*shelf.agent_names(), *catalogue.harnesses})


def _items(names: list[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
