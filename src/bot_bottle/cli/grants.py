"""`bot-bottle grants`: every yes that outlives its request; `grants revoke ID` takes one back.

Exit status of revoke: 0 it has ended, 2 there is none or it has ended before.
"""

import time
from typing import TYPE_CHECKING, Any

import click
import msgspec

from bot_bottle.cli.options import AS_JSON, names

if TYPE_CHECKING:
    from bot_bottle.supervise.model import StoredGrant
    from bot_bottle.supervise.standing import Standing


@click.group(name="grants", invoke_without_command=True)
@click.option("--all", "every", is_flag=True, help="Also those that have ended.")
@AS_JSON
@click.pass_context
def command(context: click.Context, every: bool, as_json: bool) -> None:
    """List what a yes permits."""
    if context.invoked_subcommand is not None:
        return
    from bot_bottle.api import approvals, grants
    from bot_bottle.cli.show import host

    now, home = time.time_ns(), host(False).home
    store = approvals.reader(home)
    rows = store.grants(live_at=0 if every else now)
    found = grants.stand(home, store, rows, now)
    if as_json:
        click.echo(msgspec.json.encode({"grants": [row(one, standing) for one, standing in found]}).decode())
        return
    if not found:
        click.echo("No yes holds beyond its request.", err=True)
    for one, standing in found:
        click.echo(line(one, now, standing))


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


def row(grant: "StoredGrant", standing: "Standing") -> dict[str, Any]:
    """One grant for a program: as it is kept, its state and why."""
    from bot_bottle.supervise.standing import State

    state, why = standing
    return msgspec.to_builtins(grant) | {"live": state is State.LIVE, "state": state.value, "why": why.value}


def line(grant: "StoredGrant", now: int, standing: "Standing") -> str:
    """One grant in one line: id, scope, state, how long, what, whose."""
    from bot_bottle.base.text import visible
    from bot_bottle.supervise.sentence import request_line
    from bot_bottle.supervise.standing import WORDS, State

    state, why = standing
    until = {State.RULE: "in the file", State.ENDED: WORDS[why]}.get(state) or left(grant.expires - now)
    what = request_line(grant.wanted)
    times = " one use" if grant.uses else ""
    who = visible(grant.approver.name or grant.approver.id, 40)
    note = f"  ({WORDS[why]})" if state in (State.IDLE, State.UNKNOWN) else ""
    facts = f"{grant.id}  {grant.scope.value:<7}  {state.value:<7}  {until:>11}"
    return f"{facts}  {what}{times}  {visible(grant.subject, 100)}  by {who}{note}"


def left(nanoseconds: int) -> str:
    """``7 h``: what is left, in the largest unit."""
    seconds = max(0, nanoseconds // 1_000_000_000)
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size} {unit} left"
    return f"{seconds} s left"
