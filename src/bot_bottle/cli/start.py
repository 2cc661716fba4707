"""`bot-bottle start NAME`: an agent in a bottle of its own, at this terminal, detached, or headless."""

import sys
from typing import TYPE_CHECKING

import click

from bot_bottle.cli.options import BOTTLES, LABEL, WORKSPACE, at_end, names, place, seconds

if TYPE_CHECKING:
    from bot_bottle.api.bottles import Prepared
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
def command(
    context: click.Context,
    name: str,
    argv: tuple[str, ...],
    bottle: tuple[str, ...],
    label: str,
    workspace: str,
    model: str,
    headless: bool,
    prompt: str,
    detach: bool,
    timeout: str | None,
    result: str,
    as_json: bool,
    dry_run: bool,
    keep: bool,
    apply: bool,
    discard: bool,
) -> None:
    """Start the agent or harness NAME; what follows -- goes to it."""
    from bot_bottle.api.bottles import prepare
    from bot_bottle.api.request import Request
    from bot_bottle.base.errors import UsageFault
    from bot_bottle.bottles.terminal import is_terminal
    from bot_bottle.cli.show import host, show_plan

    person = is_terminal(0, 1)
    if headless and not prompt and not argv:
        raise UsageFault("start.no-prompt", "A headless start needs a task.", "Give it with --prompt TEXT.")
    if not headless and not detach and not dry_run and not person:
        raise UsageFault(
            "start.no-terminal", "There is no terminal here.", "Use --headless --prompt TEXT, or --detach."
        )
    request = Request(
        agent=name,
        bottles=bottle,
        workspace=place(workspace),
        argv=argv,
        mode="headless" if headless else "interactive",
        terminal=not headless,
        prompt=sys.stdin.read() if prompt == "-" else prompt,
        model=model,
        wall_clock=seconds(timeout),
        label=label,
        at_end=at_end(keep, apply, discard, "ask" if person and not headless and not detach else "keep"),
    )
    prepared = prepare(request, host(person), survey=dry_run, hatched=context.obj)
    if dry_run:
        show_plan(prepared, as_json)
        return
    context.exit(go(prepared, headless, detach, result, as_json))


def go(prepared: "Prepared", headless: bool, detach: bool, result: str, as_json: bool) -> int:
    """The three ways to be connected to it."""
    from bot_bottle.bottles.session import write_result
    from bot_bottle.bottles.streams import Terminal
    from bot_bottle.cli.show import finished, warn

    warn(prepared.plan)
    if detach:
        return detached(prepared, result, as_json)
    outcome = run_headless(prepared, as_json) if headless else prepared.start(Terminal())
    if result:
        write_result(result, outcome)
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
