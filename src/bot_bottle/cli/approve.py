"""`bot-bottle approve ID` and `bot-bottle deny ID`: a person's answer to one ask.

Exit status: 0 the answer counts, 2 it does not (unknown, settled, too late, of another scope), 3 a manifest cannot
take it, 4 its keeper does not answer, 6 somebody was faster.
"""

import json
from typing import TYPE_CHECKING, Any

import click

from bot_bottle.cli.options import AS_JSON, names, seconds

if TYPE_CHECKING:
    from bot_bottle.keeper.messages.approvals import Answered
    from bot_bottle.supervise.model import Ask

SCOPES = ("once", "run", "bottle", "project", "always")
ID = click.argument("ident", metavar="ID", shell_complete=names("ask"))
REASON = click.option("--reason", default="", help="Why, for the record.")


@click.command(name="approve")
@ID
@click.option(
    "--scope", type=click.Choice(SCOPES), default="once", show_default=True, help="How far the yes reaches."
)
@click.option("--expires", metavar="DURATION", help="How long it lasts; each scope has its own default.")
@REASON
@click.option("--late", is_flag=True, help="Also where nobody waits any more: one more request like it may go then.")
@click.option("--yes", "-y", is_flag=True, help="Write the rule of --scope always without asking again.")
@AS_JSON
def command(
    ident: str, scope: str, expires: str | None, reason: str, late: bool, yes: bool, as_json: bool
) -> None:  # fmt: skip
    """Let what was asked for go; with --late, one more like it where nobody waits any more."""
    from bot_bottle.api import approvals
    from bot_bottle.cli.show import host
    from bot_bottle.supervise.model import Scope

    home = host(True).home
    ask = approvals.find(approvals.reader(home), ident)
    shown = confirm_rule(ask, yes, as_json) if scope == "always" else ""
    lasts = int(seconds(expires))
    done = approvals.answer(home, approvals.person(), ask, True, Scope(scope), lasts, reason, shown, late)
    tell(ask, done, as_json)


@click.command(name="deny")
@ID
@REASON
@AS_JSON
def deny(ident: str, reason: str, as_json: bool) -> None:
    """Say no to what was asked for."""
    from bot_bottle.api import approvals
    from bot_bottle.cli.show import host

    home = host(True).home
    ask = approvals.find(approvals.reader(home), ident)
    tell(ask, approvals.answer(home, approvals.person(), ask, False, reason=reason), as_json)


def confirm_rule(ask: "Ask", yes: bool, quiet: bool) -> str:
    """Shows the diff that `always` makes, and asks; which file it was made for. Aborts on a no."""
    from bot_bottle.api import approvals
    from bot_bottle.base.text import visible
    from bot_bottle.cli.show import host

    proposed = approvals.propose(host(True).home, ask)
    if not quiet:
        click.echo(f"{visible(proposed.path, 500)} gets a rule:", err=True)
        for line in proposed.diff.splitlines():
            click.echo(f"  {visible(line, 500)}", err=True)
        if proposed.also:
            click.echo(visible(f"Also holds for: {', '.join(proposed.also)}.", 500), err=True)
    if not yes:
        sure()
    return proposed.before


def sure() -> None:
    """Aborts on a no. Raises UsageFault where there is nobody to ask."""
    from bot_bottle.base.errors import UsageFault
    from bot_bottle.bottles.terminal import is_terminal

    try:
        if not click.confirm("Write it?", default=False, err=True):
            raise click.exceptions.Exit(130)
    except click.Abort:
        if is_terminal(0):
            raise
        hint = "Once you have read the change: --yes."
        raise UsageFault("ask.unconfirmed", "There is nobody to ask, so no rule was written.", hint) from None


def tell(ask: "Ask", done: "Answered", as_json: bool) -> None:
    """How it stands now."""
    if as_json:
        facts: dict[str, Any] = {"id": ask.id, "state": done.state.value, "grant": done.grant, "wrote": done.wrote}
        click.echo(json.dumps(facts))
        return
    words = f"{ask.id} {done.state.value}."
    if done.grant and not done.wrote:
        words += f" Grant {done.grant}; take it back with: bot-bottle grants revoke {done.grant}"
    if done.wrote:
        words += f" The rule stands in {done.wrote}."
    click.echo(words, err=True)
