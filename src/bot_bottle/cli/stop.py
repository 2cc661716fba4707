"""`bot-bottle stop LABEL...`."""

import click


@click.command()
@click.argument("labels", nargs=-1, required=True)
def command(labels: tuple[str, ...]) -> None:
    """End bottles; returns when they have ended and their logs are sealed."""
    from bot_bottle.api.bottles import stop

    for label in labels:
        stop(label)
