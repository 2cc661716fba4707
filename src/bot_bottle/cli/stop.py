"""`bot-bottle stop LABEL...`."""

import click

from bot_bottle.cli.options import names


@click.command()
@click.argument("labels", nargs=-1, required=True, shell_complete=names("label"))
def command(labels: tuple[str, ...]) -> None:
    """End bottles; returns when they have ended and their logs are sealed."""
    from bot_bottle.api.bottles import stop

    for label in labels:
        stop(label)
