"""`bot-bottle grants`: every yes that outlives its request; `grants revoke ID` takes one back.

Exit status of revoke: 0 it has ended, 2 there is none or it has ended before.
"""

import time
from typing import Any

import click
import msgspec

from bot_bottle.cli.options import AS_JSON, names


@click.group(name="grants", invoke_without_command=True)
@click.option("--all", "every", is_flag=True, help="Also those that have ended.")
@AS_JSON
@click.pass_context
def command(context: click.Context, every: bool, as_json: bool) -> None:
    """List what a yes permits."""
    if context.invoked_subcommand is not None:
        return
    from bot_bottle.api import approvals
    from bot_bottle.cli.show import host
    from bot_bottle.supervise.granting import alive

    now = time.time_ns()
    found = approvals.reader(host(False).home).grants(live_at=0 if every else now)
    if as_json:
        rows: list[dict[str, Any]] = [msgspec.to_builtins(one) | {"live": alive(one, now)} for one in found]
        click.echo(msgspec.json.encode({"grants": rows}).decode())
        return
    if not found:
        click.echo("No yes holds beyond its request.", err=True)
    for one in found:
        click.echo(line(one, now))


@command.command()
@click.argument("ident", metavar="ID", shell_complete=names("grant"))
@AS_JSON
def revoke(ident: str, as_json: bool) -> None:
    """End grant ID now, in every bottle; flows under it end."""
    from bot_bottle.api import approvals
    from bot_bottle.cli.show import host

    home = host(True).home
    grant = approvals.find_grant(approvals.reader(home), ident)
    approvals.revoke(home, approvals.person(), grant.id)
    if as_json:
        click.echo(msgspec.json.encode({"grant": grant.id, "revoked": True}).decode())
    else:
        click.echo(f"{grant.id} has ended.", err=True)


def line(grant: Any, now: int) -> str:
    """One grant in one line: id, scope, whose, what, how long."""
    from bot_bottle.base.text import visible
    from bot_bottle.supervise.granting import alive
    from bot_bottle.supervise.model import Scope
    from bot_bottle.supervise.sentence import request_line

    until = "in the file" if grant.scope is Scope.ALWAYS else left(grant.expires - now)
    state = until if alive(grant, now) or grant.scope is Scope.ALWAYS else "ended"
    what = f"{request_line(grant.wanted)}{'*' if not grant.wanted.method else ''}"
    times = " one use" if grant.uses else ""
    who = visible(grant.approver.name or grant.approver.id, 40)
    return f"{grant.id}  {grant.scope.value:<7}  {state:>11}  {what}{times}  {visible(grant.subject, 100)}  by {who}"


def left(nanoseconds: int) -> str:
    """``7 h``: what is left, in the largest unit."""
    seconds = max(0, nanoseconds // 1_000_000_000)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} left"
    return f"{seconds} s left"
