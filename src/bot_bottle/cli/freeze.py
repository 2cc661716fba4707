"""`bot-bottle freeze LABEL`."""

import click

from bot_bottle.cli.options import OF_LABEL


@click.command()
@OF_LABEL
def command(label: str) -> None:
    """Stop all traffic and processes of a bottle, at once; `thaw` lets it go on."""
    from bot_bottle.api.bottles import freeze

    freeze(label)
