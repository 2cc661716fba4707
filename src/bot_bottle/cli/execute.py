"""`bot-bottle exec LABEL -- CMD`."""

import click

from bot_bottle.cli.options import OF_LABEL


@click.command(name="exec", context_settings={"allow_interspersed_args": False})
@click.option("--tty/--no-tty", "-t/-T", default=None, help="A terminal for it; default: where this is one.")
@OF_LABEL
@click.argument("argv", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def command(context: click.Context, tty: bool | None, label: str, argv: tuple[str, ...]) -> None:
    """Run CMD in a running bottle, under the same confinement; its exit code is ours."""
    from bot_bottle.api.bottles import execute
    from bot_bottle.bottles.terminal import is_terminal

    argv = argv[1:] if argv[0] == "--" else argv
    terminal = is_terminal(0, 1, 2) if tty is None else tty and is_terminal(0, 1)
    context.exit(execute(label, argv, terminal))
