"""`bot-bottle freeze LABEL`."""

import click


@click.command()
@click.argument("label")
def command(label: str) -> None:
    """Stop all traffic and processes of a bottle, at once; `thaw` lets it go on."""
    from bot_bottle.api.bottles import freeze

    freeze(label)
