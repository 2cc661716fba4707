"""`bot-bottle log forward` and `log sinks`: records to other machines, at least once; how far each sink has got."""

from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from bot_bottle.audit.forward import Status
    from bot_bottle.base.errors import BottleError

_json = click.option("--json", "as_json", is_flag=True, help="JSON for programs.")


@click.command(name="forward")
@click.argument("sink", required=False, default="")
@click.option("--once", is_flag=True, help="Send what is signed now, wait until it has arrived, and end.")
@click.option(
    "--patience", default=30, show_default=True, type=click.IntRange(1), help="Seconds of failures for --once."
)
@_json
def forward(sink: str, once: bool, patience: int, as_json: bool) -> None:
    """Forward the record to SINK, or to all sinks of settings.toml. `serve` does the same."""
    import threading

    from bot_bottle.api import forwarding
    from bot_bottle.api.records import secret_values
    from bot_bottle.api.settings import Settings, load
    from bot_bottle.base.errors import BottleError
    from bot_bottle.cli import show

    host = show.host(ask=False)
    settings = load(host.home)
    chosen = {sink: forwarding.sink_named(settings, sink)} if sink else settings.sinks
    if not chosen:
        click.echo("There is no sink: add [sink.NAME] to settings.toml.", err=True)
    values = secret_values(host, Settings(sinks=chosen))
    if not once:
        forwarding.run(
            host.home, Settings(sinks=chosen), values, threading.Event(), lambda line: click.echo(line, err=True)
        )
        return
    code = 0
    for name, config in chosen.items():
        try:
            status = forwarding.once(host.home, name, config, values, patience)
        except BottleError as error:
            if sink:
                raise
            _failed(name, error, as_json)
            code = code or error.exit_code
        else:
            _sent(name, status, as_json)
    click.get_current_context().exit(code)


def _sent(name: str, status: "Status", as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.encode({"sink": name, "sent": status.sent, "missing": status.missing}).decode())
    else:
        click.echo(f"{name}: {status.sent} sent" + (f", {status.missing} purged before" if status.missing else ""))


def _failed(name: str, error: "BottleError", as_json: bool) -> None:
    """Said at once; the sinks after it get their records all the same."""
    from bot_bottle.base.text import visible

    if as_json:
        click.echo(msgspec.json.encode({"sink": name, "fault": error.slug, "what": error.what}).decode())
    else:
        click.echo(f"{name}: {visible(f'{error.what} {error.hint}'.strip(), 500)}", err=True)


@click.command(name="sinks")
@_json
def sinks(as_json: bool) -> None:
    """List the sinks: kind, how many records they lag behind, what fails."""
    from bot_bottle.api import forwarding
    from bot_bottle.api.settings import load
    from bot_bottle.api.wiring import Host

    home = Host().home
    found = forwarding.states(home, load(home))
    if as_json:
        click.echo(msgspec.json.encode({"sinks": found}).decode())
        return
    for one in found:
        click.echo(_line(one))
    if not found:
        click.echo("No sinks. Add [sink.NAME] to settings.toml.")


def _line(one: object) -> str:
    from bot_bottle.api.forwarding import SinkState
    from bot_bottle.base.text import many, visible

    assert isinstance(one, SinkState)
    failures = many(one.status.failures, "time")
    parts = [f"{one.name:<16} {one.kind or 'not in the settings':<8}"]
    parts.append(f"{many(one.behind, 'record')} behind" if one.behind else "up to date")
    if one.status.missing:
        parts.append(f"{one.status.missing} were purged before they were sent")
    if one.status.state == "failing":
        parts.append(f"failed {failures}: {visible(one.status.fault, 300)}")
    return "  ".join(parts)
