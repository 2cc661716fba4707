"""`bot-bottle log purge`, `log hold`, `log holds`: what may go, what must stay, both signed and recorded."""

from typing import TYPE_CHECKING

import click
import msgspec

if TYPE_CHECKING:
    from bot_bottle.audit.wishes import PurgeResult

_json = click.option("--json", "as_json", is_flag=True, help="JSON for programs.")


@click.command(name="purge")
@click.argument("runs", nargs=-1)
@click.option("--expired", is_flag=True, help="Also what [retention] of settings.toml lets go.")
@click.option(
    "--days", default=0, type=click.IntRange(0, 36500), help="Also runs that ended more than so many days ago."
)
@click.option("--reason", default="", help="Why, for the record.")
@click.option("--despite-sinks", is_flag=True, help="Also what a sink has not got yet.")
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
@_json
def purge(
    runs: tuple[str, ...], expired: bool, days: int, reason: str, despite_sinks: bool, dry_run: bool, as_json: bool
) -> None:
    """Delete the records of ended RUNS. Hashes and checkpoints stay, so the rest and every proof still verify.

    A legal hold beats it. Who purged what and why stands in the signed host log. Exit code 6 where something stays.
    """
    from bot_bottle.api import records
    from bot_bottle.api.settings import load
    from bot_bottle.base.errors import UsageFault
    from bot_bottle.cli import show
    from bot_bottle.cli.log_check import directory_of

    host = show.host(ask=False)
    settings = load(host.home)
    days = days or (settings.retention.days if expired else 0)
    named = tuple(directory_of(host.home, run)[1] for run in runs)
    if "host" in named:
        raise UsageFault("purge.host", "The host log is never purged.", "It holds what makes the rest verifiable.")
    if not named and not days:
        raise UsageFault(
            "purge.nothing", "Nothing to purge was named.", "Name runs, --days, or --expired with [retention]."
        )
    if named and not reason:
        raise UsageFault("purge.reason", "A purge of named runs needs a reason.", "Add --reason 'why'.")
    if dry_run:
        result = records.foreseen(host, settings, named, days, despite_sinks)
    else:
        result = records.purge(host, settings, named, days, reason or "retention", despite_sinks)
    _print(result, as_json, dry_run)
    click.get_current_context().exit(6 if result.kept else 0)


def _print(result: "PurgeResult", as_json: bool, dry_run: bool) -> None:
    from bot_bottle.audit.wishes import BEHIND
    from bot_bottle.base.text import visible

    if as_json:
        click.echo(msgspec.json.encode(result).decode())
        return
    for run, count in result.purged.items():
        click.echo(f"{'would purge' if dry_run else 'purged'} {visible(run, 80)}: {count} records")
    for run, why in result.kept.items():
        click.echo(f"kept {visible(run, 80)}: {why.what}", err=True)
    if any(why.slug == BEHIND for why in result.kept.values()):
        click.echo("--despite-sinks purges also what a sink has not got.", err=True)


@click.command(name="hold")
@click.argument("run")
@click.option("--reason", default="", help="What it is kept for; for the record.")
@click.option("--release", is_flag=True, help="End the hold.")
def hold(run: str, reason: str, release: bool) -> None:
    """Keep the records of RUN (a run id, a label, or `all` for every run) from being purged, until --release."""
    from bot_bottle.api import records
    from bot_bottle.audit.holds import EVERY
    from bot_bottle.cli import show
    from bot_bottle.cli.log_check import directory_of

    host = show.host(ask=False)
    chosen = EVERY if run in ("all", EVERY) else directory_of(host.home, run)[1]
    records.hold(host, chosen, reason, release)
    click.echo(f"{chosen}: {'released' if release else 'held'}")


@click.command(name="holds")
@_json
def holds(as_json: bool) -> None:
    """List the legal holds."""
    import datetime

    from bot_bottle.api.wiring import Host
    from bot_bottle.audit.holds import read
    from bot_bottle.base.text import visible

    found = read(Host().home.host_log)
    if as_json:
        click.echo(msgspec.json.encode({"holds": list(found.values())}).decode())
        return
    for one in found.values():
        when = datetime.datetime.fromtimestamp(one.at // 1_000_000_000, datetime.UTC)
        click.echo(
            f"{visible(one.run, 80)}  since {when:%Y-%m-%d}  {visible(one.approver, 80)}  {visible(one.reason, 300)}"
        )
    if not found:
        click.echo("No holds.")
