"""`bot-bottle thaw LABEL`."""

import click


@click.command()
@click.argument("label")
def command(label: str) -> None:
    """Let a frozen bottle go on."""
    from bot_bottle.api.bottles import thaw

    thaw(label)
