"""`bot-bottle run [--bottle B] -- CMD`: a command in a bottle; its own output, errors and exit code."""

import click

from bot_bottle.cli.options import BOTTLES, LABEL, WORKSPACE, at_end, place


@click.command(context_settings={"allow_interspersed_args": False})
@BOTTLES
@LABEL
@WORKSPACE
@click.option("--no-workspace", is_flag=True, help="The command sees no directory of this host.")
@click.option("--timeout", metavar="DURATION", help="End it after this time (exit 124).")
@click.option("--keep", "keep", is_flag=True, help="Keep its changes as a branch, else under its label.")
@click.option("--apply", "apply", is_flag=True, help="Apply its changes to the workspace.")
@click.option("--dry-run", is_flag=True, help="Print the effective plan and start nothing.")
@click.option("--quiet", "-q", is_flag=True, help="No summary.")
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def command(
    context: click.Context,
    bottle: tuple[str, ...],
    label: str,
    workspace: str,
    no_workspace: bool,
    timeout: str | None,
    keep: bool,
    apply: bool,
    dry_run: bool,
    quiet: bool,
    argv: tuple[str, ...],
) -> None:
    """Run CMD in a bottle. Its output is its own; what we have to say goes to standard error."""
    from bot_bottle.api.bottles import prepare
    from bot_bottle.api.request import Request
    from bot_bottle.bottles.streams import choose
    from bot_bottle.bottles.terminal import is_terminal
    from bot_bottle.cli.options import seconds
    from bot_bottle.cli.show import finished, host, show_plan

    terminal = is_terminal(0, 1, 2)
    request = Request(
        bottles=bottle,
        workspace="" if no_workspace else place(workspace),
        argv=argv,
        terminal=terminal,
        label=label,
        base="run",
        wall_clock=seconds(timeout),
        at_end=at_end(keep, apply, False, "ask" if terminal else "discard"),
    )
    prepared = prepare(request, host(terminal), survey=dry_run, hatched=context.obj)
    if dry_run:
        show_plan(prepared, False)
        return
    outcome = prepared.start(choose(False))
    if not quiet:
        finished(outcome)
    context.exit(outcome.exit_code)
