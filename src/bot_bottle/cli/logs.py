"""`bot-bottle logs LABEL`: what a detached bottle wrote. (The record of its requests is `bot-bottle log`.)"""

import os
import sys

import click

from bot_bottle.cli.options import OF_LABEL


@click.command()
@OF_LABEL
@click.option("--follow", "-f", is_flag=True, help="Go on until the bottle ends.")
def command(label: str, follow: bool) -> None:
    """Show the output of a detached bottle, also after its end. Into a terminal it is filtered."""
    import time

    from bot_bottle.api.wiring import Host
    from bot_bottle.base.errors import UsageFault
    from bot_bottle.base.ids import is_label
    from bot_bottle.bottles import lease as leases
    from bot_bottle.bottles.session import outputs
    from bot_bottle.bottles.streams import put
    from bot_bottle.bottles.terminal_filter import TerminalFilter

    home = Host().home
    try:
        if not is_label(label):
            raise FileNotFoundError
        file = open(f"{outputs(home)}/{label}.log", "rb", buffering=0)  # noqa: SIM115  closed by the with below
    except FileNotFoundError:
        hint = "Bottles started with --detach have one."
        raise UsageFault("logs.none", f"There is no output of a bottle labelled {label}.", hint) from None
    shown = TerminalFilter() if os.isatty(1) else None
    with file:
        while True:
            lives = follow and leases.alive(home, label)
            while data := file.read(65536):
                put(sys.stdout.fileno(), shown.feed(data) if shown else data)
            if not lives:
                return
            time.sleep(0.1)
