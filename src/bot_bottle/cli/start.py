"""`bot-bottle start NAME`: an agent in a bottle of its own, at this terminal, detached, or headless."""

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from bot_bottle.base.errors import UsageFault
from bot_bottle.cli.options import BOTTLES, LABEL, WORKSPACE, at_end, names, place, seconds

if TYPE_CHECKING:
    from bot_bottle.api.bottles import Prepared
    from bot_bottle.api.request import Request
    from bot_bottle.bottles.outcome import Outcome


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("name", shell_complete=names("agent"))
@click.argument("argv", nargs=-1, type=click.UNPROCESSED)
@BOTTLES
@LABEL
@WORKSPACE
@click.option("--model", default="", help="Over the agent's own.")
@click.option("--headless", is_flag=True, help="No terminal: do the --prompt and end.")
@click.option("--prompt", "-p", default="", help="The task; - reads standard input.")
@click.option("--detach", "-d", is_flag=True, help="Let it run by itself; `attach` shows it.")
@click.option("--timeout", metavar="DURATION", help="End it after this time (exit 124).")
@click.option("--result", metavar="FILE", default="", help="Write how it went, as JSON.")
@click.option("--json", "as_json", is_flag=True, help="Events as JSON lines on standard output.")
@click.option("--dry-run", is_flag=True, help="Print the effective plan and start nothing.")
@click.option("--keep", "keep", is_flag=True, help="Keep its changes as a branch, else under its label.")
@click.option("--apply", "apply", is_flag=True, help="Apply its changes to the workspace.")
@click.option("--discard", "discard", is_flag=True, help="Throw its changes away.")
@click.pass_context
def command(context: click.Context, /, **given: Any) -> None:
    """Start the agent or harness NAME; what follows -- goes to it."""
    from bot_bottle.api.bottles import prepare
    from bot_bottle.bottles.terminal import is_terminal
    from bot_bottle.cli.show import host, show_plan

    said = Said(**given)
    person = is_terminal(0, 1)
    refuse_impossible(said, person)
    prepared = prepare(request(said, person), host(person), survey=said.dry_run, hatched=context.obj)
    if said.dry_run:
        show_plan(prepared, said.as_json)
        return
    context.exit(go(prepared, said))


class Said(NamedTuple):
    """The arguments and options above, by their names."""

    name: str
    argv: tuple[str, ...]
    bottle: tuple[str, ...]
    label: str
    workspace: str
    model: str
    headless: bool
    prompt: str
    detach: bool
    timeout: str | None
    result: str
    as_json: bool
    dry_run: bool
    keep: bool
    apply: bool
    discard: bool


def refuse_impossible(said: Said, person: bool) -> None:
    """Raises UsageFault for a start that could do nothing. person: whether one is at a terminal here."""
    if said.headless and not said.prompt and not said.argv:
        raise UsageFault("start.no-prompt", "A headless start needs a task.", "Give it with --prompt TEXT.")
    if not (said.headless or said.detach or said.dry_run or person):
        raise UsageFault(
            "start.no-terminal", "There is no terminal here.", "Use --headless --prompt TEXT, or --detach."
        )


def request(said: Said, person: bool) -> "Request":
    """Reads the task where it is on standard input. Raises UsageFault."""
    from bot_bottle.api.request import Request

    asks = person and not said.headless and not said.detach
    return Request(
        agent=said.name,
        bottles=said.bottle,
        workspace=place(said.workspace),
        argv=said.argv,
        mode="headless" if said.headless else "interactive",
        terminal=not said.headless,
        prompt=sys.stdin.read() if said.prompt == "-" else said.prompt,
        model=said.model,
        wall_clock=seconds(said.timeout),
        label=said.label,
        at_end=at_end(said.keep, said.apply, said.discard, "ask" if asks else "keep"),
    )


def go(prepared: "Prepared", said: Said) -> int:
    """The three ways to be connected to it."""
    from bot_bottle.bottles.session import write_result
    from bot_bottle.bottles.streams import Terminal
    from bot_bottle.cli.show import finished, warn

    warn(prepared.plan)
    if said.detach:
        return detached(prepared, said.result, said.as_json)
    outcome = run_headless(prepared, said.as_json) if said.headless else prepared.start(Terminal())
    if said.result:
        write_result(said.result, outcome)
    finished(outcome)
    return outcome.exit_code


def run_headless(prepared: "Prepared", as_json: bool) -> "Outcome":
    """No terminal: the agent's events are read for its success; with --json they are wrapped and passed on."""
    from bot_bottle.api.headless import Headless

    return Headless(prepared, as_json, sys.stdout.buffer).run()


def detached(prepared: "Prepared", result: str, as_json: bool) -> int:
    """Hands the plan to a session process and goes."""
    label = prepared.detach(result)
    print(f'{{"label": "{label}"}}' if as_json else label)
    return 0
