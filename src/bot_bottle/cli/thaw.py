"""`bot-bottle thaw LABEL`."""

import click

from bot_bottle.cli.options import OF_LABEL


@click.command()
@OF_LABEL
def command(label: str) -> None:
    """Let a frozen bottle go on."""
    from bot_bottle.api.bottles import thaw

    thaw(label)
