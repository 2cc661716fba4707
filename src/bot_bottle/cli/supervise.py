"""`bot-bottle supervise`: what waits for an answer, as a list, as JSON, or live with keys."""

import time
from typing import TYPE_CHECKING, Any

import click

from bot_bottle.cli.options import AS_JSON

if TYPE_CHECKING:
    from bot_bottle.supervise.model import Ask


@click.command(name="supervise")
@click.option("--once", is_flag=True, help="Print what waits now, and end.")
@click.option("--missed", is_flag=True, help="With --once: what nobody answered in time.")
@AS_JSON
def command(once: bool, missed: bool, as_json: bool) -> None:
    """Show what bottles ask, and answer it by key: a allow, d deny, j k move, 1-5 scope, enter detail, ? help."""
    from bot_bottle.bottles.terminal import is_terminal

    if as_json or once or missed or not is_terminal(0, 1):
        listed(missed, as_json)
        return
    from bot_bottle.cli.show import host
    from bot_bottle.cli.supervise_live import live

    live(host(True).home)


def listed(missed: bool, as_json: bool) -> None:
    """Once, for a person or a program."""
    import msgspec

    from bot_bottle.api import approvals
    from bot_bottle.cli.show import host
    from bot_bottle.web.news import News

    home = host(False).home
    store = approvals.reader(home)
    found = approvals.missed(store, time.time_ns()) if missed else approvals.waiting(store)
    new = News(home).of(found)
    if as_json:
        print(msgspec.json.encode({"asks": [as_row(ask, new) for ask in found]}).decode())
        return
    if not found:
        click.echo("Nothing was missed." if missed else "Nothing waits for an answer.", err=True)
    for ask in found:
        click.echo(line(ask, new))
    if found:
        late = " --late" if missed else ""
        click.echo(f"Answer with: bot-bottle approve {found[0].id}{late}, or deny {found[0].id}", err=True)


def as_row(ask: "Ask", new: set[str] | None = None) -> dict[str, Any]:
    """An ask for a program: all facts, the sentence, and the agent's own words apart from them. new: hosts that no
    bottle reached before; None where that is not known."""
    import msgspec

    from bot_bottle.supervise.risk import risk
    from bot_bottle.supervise.sentence import request_line, sentence

    first = None if new is None else ask.wanted.target.host in new
    facts = {
        "sentence": sentence(ask, first is True), "line": request_line(ask.wanted),
        "risk": risk(ask.wanted, first is True).value, "first_seen": first,
    }  # fmt: skip
    return {**msgspec.to_builtins(ask), "state": ask.state.value, **facts}


def line(ask: "Ask", new: set[str] | None = None) -> str:
    """An ask in two lines: the sentence, and below it the request itself. new: as of `as_row`."""
    from bot_bottle.cli.grants import left
    from bot_bottle.cli.supervise_lines import asked_line
    from bot_bottle.supervise.model import AskState
    from bot_bottle.supervise.sentence import sentence

    state = left(ask.deadline - time.time_ns()) if ask.state is AskState.WAITING else ask.state.value
    said = sentence(ask, ask.wanted.target.host in (new or ()))
    return f"{ask.id}  {state:>11}  {said}\n{'':>{len(ask.id)}}  {'':>11}  {asked_line(ask)}"
