"""`bot-bottle policy`: what a bottle may do, answered by the same `decide` as in the gateway, without any traffic."""

import json
import os
from collections.abc import Callable
from typing import Any, TypeVar

import click
import msgspec

from bot_bottle.base.errors import UsageFault
from bot_bottle.base.home import locate
from bot_bottle.base.text import visible
from bot_bottle.bottles.plan_text import policy_text
from bot_bottle.bottles.policies import library, policy_again, policy_of
from bot_bottle.cli import policy_compare, policy_learn
from bot_bottle.cli.completion import complete_agent, complete_bottle
from bot_bottle.policy.asked import Asked, from_text, from_url
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.explain import Explanation, explain, file_of, place_of
from bot_bottle.policy.verdict import Kind

F = TypeVar("F", bound=Callable[..., Any])
EXIT = {Kind.ALLOW: 0, Kind.ASK: 10, Kind.DENY: 11}


def options(function: F) -> F:
    """Whose policy is asked: bottles in overlay order, and the agent or harness whose own routes count."""
    function = click.option("--json", "as_json", is_flag=True, help="One JSON document.")(function)
    function = click.option(
        "--agent", default="", shell_complete=complete_agent, help="Agent or harness whose own routes are added."
    )(function)
    return click.option(
        "--bottle",
        "bottles",
        multiple=True,
        shell_complete=complete_bottle,
        help="Bottle; several are laid over each other.",
    )(function)


@click.group(name="policy")
def command() -> None:
    """Show, ask, test and learn the policy. check and explain exit 0 for allow, 10 for ask, 11 for deny."""


for verb in (policy_learn.command, policy_compare.test, policy_compare.diff, policy_compare.replay):
    command.add_command(verb)


@command.command()
@options
def show(bottles: tuple[str, ...], agent: str, as_json: bool) -> None:
    """Show every route that holds, where it was written, and what it replaces."""
    policy = asked_policy(bottles, agent)
    click.echo(json.dumps(msgspec.to_builtins(policy)) if as_json else policy_text(policy), nl=as_json)
    if not agent:
        click.echo("Without --agent the routes of a harness are not part of this.", err=True)


@command.command()
@click.argument("url")
@click.option("--method", default="GET", show_default=True)
@click.option("--header", "headers", multiple=True, help="Like 'x-kind: a'.")
@options
def check(
    url: str, method: str, headers: tuple[str, ...], bottles: tuple[str, ...], agent: str, as_json: bool
) -> None:
    """Say whether a request to URL would be allowed, in one line."""
    asked = _asked(lambda: from_url(url, method, headers))
    policy = asked_policy(bottles, agent)
    verdict = decide(compile(policy), asked.request)
    place = place_of(policy, verdict)
    if as_json:
        click.echo(json.dumps({"verdict": msgspec.to_builtins(verdict), "notes": list(asked.notes), "place": place}))
    else:
        reason = f"{verdict.reason}: {verdict.hint}" if verdict.reason else ""
        click.echo(visible("  ".join(filter(None, (verdict.kind.value, verdict.rule, reason))), 2000))
        if place:
            click.echo(visible(written(place), 500), err=True)
        if not verdict.rule and not set(url) & set(".:/"):  # a name without a dot may be a host: only what is certain
            click.echo(visible(f"{url} was read as https://{asked.request.target.host}/", 500), err=True)
    raise click.exceptions.Exit(EXIT[verdict.kind])


@command.command(name="explain")
@click.argument("request", nargs=-1, required=True)
@options
def explain_(request: tuple[str, ...], bottles: tuple[str, ...], agent: str, as_json: bool) -> None:
    """Explain the verdict on REQUEST, like: POST https://api.example.com/v1/items"""
    asked = _asked(lambda: from_text(" ".join(request)))
    found = explain(compile(asked_policy(bottles, agent)), asked.request)
    if as_json:
        click.echo(json.dumps({"explanation": msgspec.to_builtins(found), "notes": list(asked.notes)}))
    else:
        for line in explained(asked, found):
            click.echo(visible(line, 2000))
    raise click.exceptions.Exit(EXIT[found.verdict.kind])


@command.command()
@click.argument("label")
@click.option("--untested", is_flag=True, help="Also where an assertion beside a bottle file does not hold.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def reload(label: str, untested: bool, as_json: bool) -> None:
    """Give the running bottle LABEL its bottle files as they are now; flows that they no longer allow end.

    The assertions beside the files (see `policy test`) must hold. Only routes change: a port that no route named at
    the start stays closed, mounts and limits stay as they are.
    """
    from bot_bottle.bottles import control

    home = locate(os.environ)
    held = control.held(home, label)
    shelf, catalogue = library(home, os.environ, held.workspace)
    harness = catalogue.get(held.harness).harness
    names = tuple(held.bottle.split("+"))
    policy = policy_again(shelf, harness, names, os.environ, held.env)
    if not untested:
        policy_compare.require_tested(home, names, policy)
    control.reload(home, label, policy)
    if as_json:
        click.echo(json.dumps({"label": label, "policy": policy.digest}))
    else:
        click.echo(f"{label} has the policy {policy.digest[:16]} now.", err=True)


def asked_policy(bottles: tuple[str, ...], agent: str) -> Policy:
    """The effective policy that the options name, seen from the current directory."""
    shelf, catalogue = library(locate(os.environ), os.environ, os.getcwd())
    return policy_of(shelf, catalogue, bottles, agent, os.environ)


def explained(asked: Asked, found: Explanation) -> list[str]:
    """The explanation for a person."""
    request, verdict = asked.request, found.verdict
    target = request.target
    lines = [f"{request.method} {target.scheme}://{target.host}:{target.port}{request.path}"]
    lines += [f"  {note}" for note in asked.notes]
    lines.append(f"{verdict.kind.value}: {verdict.reason or verdict.rule}")
    lines += [f"  {verdict.hint}"] if verdict.hint else []
    for one in found.considered:
        mark = "*" if one.selected else "-"
        lines.append(f"  {mark} {one.rule} ({one.action}, {one.origin}): {one.why or 'matches'}")
    lines += [f"  note: {note}" for note in found.notes]
    lines += ["would allow it:", f"  {found.allow}"] if found.allow else []
    lines += [f"  {written(found.place)}"] if found.place else []
    return lines


def written(place: str) -> str:
    """Where a rule is to be changed."""
    name = file_of(place)
    return f"It is written in {place}{f': bot-bottle edit {name}' if name else ''}"


def _asked(make: Callable[[], Asked]) -> Asked:
    try:
        return make()
    except ValueError as error:
        raise UsageFault("policy.bad-request", f"The request is refused before any rule: {error}.") from None
