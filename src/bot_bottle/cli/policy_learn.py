"""`policy learn`: routes from what bottles did, as a suggestion that a person reads before it is written."""

import json
import os
import time

import click
import msgspec

from bot_bottle.base.errors import UsageFault
from bot_bottle.base.home import Home, locate
from bot_bottle.base.ids import is_name
from bot_bottle.base.sizes import duration
from bot_bottle.base.text import many, visible
from bot_bottle.bottles import past
from bot_bottle.bottles.manifest_files import read_home
from bot_bottle.bottles.manifests import SHIPPED
from bot_bottle.bottles.policies import library, policy_of
from bot_bottle.bottles.terminal import is_terminal
from bot_bottle.cli.completion import complete_bottle, complete_label
from bot_bottle.policy import learn
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.learn import Learned, Left, Past, Suggestion
from bot_bottle.policy.replay import Line
from bot_bottle.policy.verdict import Kind
from bot_bottle.supervise import leaf
from bot_bottle.supervise.leaf_text import route_lines

NOTHING = "Nothing to learn from: no request is recorded."


class Worth(msgspec.Struct, frozen=True):
    """What a suggestion is worth. covered of held: requests of runs that were left out while the rest was learned
    from; 0 of 0 with one run. over: past requests that did not leave and were not learned from, which it would allow.
    """

    runs: int
    requests: int
    covered: int
    held: int
    over: tuple[str, ...]


@click.command(name="learn")
@click.argument("runs", nargs=-1)
@click.option("--bottle", "bottle", default="", shell_complete=complete_bottle, help="Only runs of this bottle.")
@click.option("--denied", is_flag=True, help="Also what was denied because no route named it.")
@click.option(
    "--write", "write", default="", metavar="BOTTLE", help="Add the routes to this bottle file of the home."
)
@click.option("--yes", is_flag=True, help="Write without asking.")
@click.option("--live", default="", metavar="LABEL", shell_complete=complete_label, help="Start a timed learn mode.")
@click.option("--for", "how_long", default="30m", show_default=True, help="How long --live lasts; 0s ends it now.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def command(
    runs: tuple[str, ...],
    bottle: str,
    denied: bool,
    write: str,
    yes: bool,
    live: str,
    how_long: str,
    as_json: bool,
) -> None:
    """Suggest routes from RUNS (all, when none is named), or let a running bottle be learned from for a while.

    Learned from is what left in a learn mode or by a person's yes. With --live LABEL what no route names leaves from
    that bottle, without any secret, and is recorded, until the time is over. Exit 1: there is nothing to learn from.
    """
    home = locate(os.environ)
    if live:
        _live(home, live, how_long, as_json)
        return
    chosen = [line for line in past.lines(home, past.runs_of(home, runs)) if not bottle or line.bottle == bottle]
    rows, left = learn.beside(_policy(home, write), past.to_learn(chosen, denied))
    suggestion = learn.learn(rows)
    worth = _worth(suggestion, rows, chosen)
    if as_json:
        _print_json(suggestion, worth, left)
    else:
        told = report(suggestion, worth, denied or bool(left)) if chosen else [NOTHING]
        for line in [*told, *map(left_out, left)]:
            click.echo(visible(line, 4000))
    if not suggestion.routes:
        raise click.exceptions.Exit(1)
    if write:
        _write(home, write, suggestion, yes)


def report(suggestion: Suggestion, worth: Worth, denied: bool) -> list[str]:
    """The suggestion for a person: routes as a bottle file writes them, each with what it comes from."""
    if not suggestion.routes:
        hint = "" if denied else " --denied learns from what was denied."
        return [f"Nothing to learn from: every request is one that a route names.{hint}"]
    lines = ["egress:", "  routes:"]
    for route in suggestion.routes:
        parts = [one for one in suggestion.parts if one.host == route.host]
        lines += [f"    # {_seen(one)}" for one in parts]
        lines += [f"    {line}" for line in route_lines(route)]
    opened = sum(one.open for one in suggestion.parts)
    lines.append(
        f"# from {many(worth.requests, 'request')} of {many(worth.runs, 'run')}; {many(opened, 'open segment')}"
    )
    if worth.held:
        share = 100 * worth.covered / worth.held
        lines.append(
            f"# of runs left out while learning, {share:.1f} % of {many(worth.held, 'request')} were covered"
        )
    else:
        lines.append("# one run only: nothing tells how it does on another one")
    lines.append(f"# would also allow {many(len(worth.over), 'past request')} that did not leave")
    return lines + [f"#   {one}" for one in worth.over[:10]]


def left_out(one: Left) -> str:
    """Why some requests bring no rule."""
    them = "it" if one.requests == 1 else "them"
    ending = f"decides about {them} already" if one.verdict == "allow" else f"still decides about {them}"
    return f"# left out: {many(one.requests, 'request')} to {one.host}: the {one.verdict} route {one.rule} {ending}"


def _policy(home: Home, write: str) -> Policy:
    """What decides beside the new routes: the policy of the file that gets them; nothing where there is none yet."""
    if not write:
        return learn.as_policy(())
    if not is_name(write):
        raise UsageFault("manifest.bad-name", f"{write!r} is no name.", "Use lower case letters, digits and hyphens.")
    shelf, catalogue = library(home, os.environ, os.getcwd())
    known = write in shelf.bottle_names()
    return policy_of(shelf, catalogue, (write,), "", os.environ) if known else learn.as_policy(())


def _seen(one: Learned) -> str:
    wide = f", {many(one.open, 'open segment')}" if one.open else ""
    what = f"{'|'.join(one.methods)} {one.path.type} {one.path.value}"
    return f"{what}: {many(one.seen, 'request')}, {many(one.paths, 'path')}, {many(one.runs, 'run')}{wide}"


def _worth(suggestion: Suggestion, rows: list[Past], chosen: list[Line]) -> Worth:
    runs = {one.run for one in rows}
    covered, held = learn.held_out(rows) if len(runs) > 1 else (0, 0)
    learned = {one.request for one in rows}
    known = compile(learn.as_policy(suggestion.routes))
    over = dict.fromkeys(one.request for one in past.refused(chosen) if one.request not in learned)
    let = [one for one in over if decide(known, one).kind is Kind.ALLOW]
    texts = tuple(f"{one.method} {one.target.scheme}://{one.target.host}:{one.target.port}{one.path}" for one in let)
    return Worth(len(runs), len(rows), covered, held, texts)


def _print_json(suggestion: Suggestion, worth: Worth, left: list[Left]) -> None:
    routes = [msgspec.to_builtins(route) for route in suggestion.routes]
    click.echo(
        json.dumps(
            {
                "routes": routes,
                "parts": [msgspec.to_builtins(one) for one in suggestion.parts],
                "worth": msgspec.to_builtins(worth),
                "left": [msgspec.to_builtins(one) for one in left],
            }
        )
    )


def _write(home: Home, name: str, suggestion: Suggestion, yes: bool) -> None:
    """Shows the diff, asks, writes: the same careful way as an answer of scope `always`."""
    comment = f"learned {time.strftime('%Y-%m-%d')}"
    shipped = read_home(os.path.join(SHIPPED, f"{name}.md")) or b""
    found = leaf.propose_routes(f"{home.bottles}/{name}.md", suggestion.routes, comment, shipped)
    click.echo(visible_diff(found.diff), err=True)
    if not yes and not _confirmed(found.path):
        raise UsageFault("policy.not-written", "Nothing was written.", "Use --yes to write without being asked.")
    leaf.write(found)
    click.echo(f"{found.path} is written. A running bottle gets it by: bot-bottle policy reload LABEL", err=True)


def _confirmed(path: str) -> bool:
    """Whether somebody said yes; where there is nobody, nobody did."""
    try:
        return click.confirm(f"Write this to {path}?", default=False, err=True)
    except click.Abort:
        if is_terminal(0):
            raise
        click.echo(err=True)
        return False


def visible_diff(diff: str) -> str:
    """A diff with its lines kept and everything else of a stranger made visible."""
    return "\n".join(visible(line, 2000) for line in diff.splitlines())


def _live(home: Home, label: str, how_long: str, as_json: bool) -> None:
    from bot_bottle.api.approvals import person
    from bot_bottle.bottles import control
    from bot_bottle.keeper.messages.control import LearnPolicy

    try:
        seconds = int(duration(how_long))
    except ValueError as error:
        raise UsageFault("policy.bad-time", f"--for: {error}.") from None
    control.learn(home, label, LearnPolicy(seconds, person()))
    if as_json:
        click.echo(json.dumps({"label": label, "seconds": seconds}))
    elif seconds:
        what = f"{label} is LEARNING for {how_long}: what no route names leaves, without any secret, and is recorded."
        click.echo(f"{what}\nEnd it earlier: bot-bottle policy learn --live {label} --for 0s", err=True)
    else:
        click.echo(f"{label} learns no more.", err=True)
