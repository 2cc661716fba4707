"""`bot-bottle notify`: list the notifiers, and try one."""

import click
import msgspec


@click.group(name="notify")
def command() -> None:
    """Notifiers: what tells you that an ask waits ([notify.NAME] of settings.toml)."""


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
def list_(as_json: bool) -> None:
    """List the notifiers of the settings."""
    from bot_bottle.api.settings import load
    from bot_bottle.api.wiring import Host
    from bot_bottle.supervise.notify.registry import kind_of

    found = {name: kind_of(config) for name, config in load(Host().home).notifiers.items()}
    if as_json:
        rows = [{"name": name, "kind": kind.name} for name, kind in found.items()]
        click.echo(msgspec.json.encode({"notifiers": rows}).decode())
        return
    for name, kind in found.items():
        click.echo(f"{name:<16} {kind.name:<8} {kind.says}")
    if not found:
        click.echo("No notifiers. Add [notify.NAME] to settings.toml.")


@command.command()
@click.argument("name")
@click.option("--link", default="", help="Address of your dashboard, as the notice should link to it.")
def test(name: str, link: str) -> None:
    """Send a test notice by the notifier NAME."""
    from bot_bottle.api import notifying
    from bot_bottle.api.records import secret_values
    from bot_bottle.api.settings import Settings, load
    from bot_bottle.cli import show

    host = show.host(ask=False)
    settings = load(host.home)
    chosen = {one: config for one, config in settings.notifiers.items() if one == name}
    values = secret_values(host, Settings(notifiers=chosen))
    click.echo(notifying.test(host.home, settings, values, name, link or settings.serve.public))
