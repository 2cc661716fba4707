"""`bot-bottle device`: browsers that were paired, or signed in on this machine: list them, end one."""

import time

import click
import msgspec

from bot_bottle.cli.options import AS_JSON


@click.group(name="device")
def command() -> None:
    """Browsers that may use the dashboard; `bot-bottle serve --phone` pairs the next one."""


@command.command(name="list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List devices, the newest first."""
    from bot_bottle.base.text import visible
    from bot_bottle.cli.show import host
    from bot_bottle.cli.token import moment
    from bot_bottle.web.sessions import Sessions
    from bot_bottle.web.store import Store

    found = Sessions(Store(host(False).home)).devices()
    if as_json:
        click.echo(msgspec.json.encode({"devices": found}).decode())
        return
    if not found:
        click.echo("There is no device.", err=True)
    for one in found:
        ended = f"ended {moment(one.revoked)}" if one.revoked else f"seen {moment(one.seen)}"
        kind = "this machine" if one.kind == "local" else "paired"
        click.echo(f"{one.id}  {ended:<16}  {kind:<12}  {visible(one.name, 64)}  {visible(one.agent, 100)}")


@command.command()
@click.argument("ident", metavar="ID")
@AS_JSON
def revoke(ident: str, as_json: bool) -> None:
    """Sign device ID out at once, and for good."""
    from bot_bottle.api import records
    from bot_bottle.base.errors import UsageFault
    from bot_bottle.cli.show import host
    from bot_bottle.cli.token import whole
    from bot_bottle.supervise.notify.subscriptions import keep_only
    from bot_bottle.web.sessions import Sessions
    from bot_bottle.web.store import Store

    here, now = host(False), time.time_ns()
    sessions = Sessions(Store(here.home))
    found = whole(ident, [one.id for one in sessions.devices()])
    if not sessions.revoke(found, now):
        hint = "bot-bottle device list"
        raise UsageFault("device.unknown", "There is no such device, or it was revoked before.", hint)
    keep_only(here.home.web, sessions.signed_in(now))
    records.note(here, "device revoked", {"device": found})
    if as_json:
        click.echo(msgspec.json.encode({"device": found, "revoked": True}).decode())
    else:
        click.echo(f"{found} has ended.", err=True)
