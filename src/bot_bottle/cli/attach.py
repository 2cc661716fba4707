"""`bot-bottle attach LABEL`."""

import click

from bot_bottle.cli.options import OF_LABEL


@click.command()
@OF_LABEL
@click.pass_context
def command(context: click.Context, label: str) -> None:
    """Attach this terminal to a detached bottle; ctrl-P ctrl-Q leaves it running."""
    from bot_bottle.api.wiring import Host
    from bot_bottle.base.errors import UsageFault
    from bot_bottle.bottles.attach import attach
    from bot_bottle.bottles.terminal import is_terminal
    from bot_bottle.cli.show import finished

    if not is_terminal(0, 1):
        raise UsageFault("attach.no-terminal", "There is no terminal here.", "bot-bottle logs shows the output.")
    outcome = attach(Host().home, label)
    if outcome is None:
        click.echo(f"{label} goes on; bot-bottle attach {label} comes back to it.", err=True)
        return
    finished(outcome)
    context.exit(outcome.exit_code)
