"""`bot-bottle forward LABEL PORT`: this host connects in; nothing leads out."""

import click

from bot_bottle.cli.options import OF_LABEL


@click.command()
@OF_LABEL
@click.argument("port", type=click.IntRange(1, 65535))
@click.option(
    "--listen", type=click.IntRange(0, 65535), default=None, help="Port on 127.0.0.1 here; default: the same, 0: any."
)
def command(label: str, port: int, listen: int | None) -> None:
    """Let this host connect to PORT inside the bottle, until ctrl-C or its end."""
    from bot_bottle.api.bottles import forward

    def ready(chosen: int) -> None:
        click.echo(f"127.0.0.1:{chosen} here is port {port} in {label}.")

    forward(label, port, port if listen is None else listen, ready)
