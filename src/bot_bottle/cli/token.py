"""`bot-bottle token`: API tokens without a browser: create one, list them, end one.

They lie in the store of the dashboard, which need not run; one that runs knows of each change with its next request.
"""

import time
from typing import TYPE_CHECKING

import click
import msgspec

from bot_bottle.cli.options import AS_JSON

if TYPE_CHECKING:
    from bot_bottle.web.tokens import Token

SCOPES = ("read", "answer", "control", "admin")
_DAY = 86_400_000_000_000
_MOST_DAYS = 3650


@click.group(name="token")
def command() -> None:
    """Tokens for programs that use the API of `bot-bottle serve`."""


@command.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=("read",),
    show_default=True,
    help="What it may; may be given again.",
)
@click.option(
    "--days",
    type=click.IntRange(0, _MOST_DAYS),
    default=90,
    show_default=True,
    help="How long it lives; 0: for ever.",
)
@AS_JSON
def create(name: str, scopes: tuple[str, ...], days: int, as_json: bool) -> None:  # fmt: skip
    """Make a token NAME and print it: now, and never again."""
    from bot_bottle.api import records
    from bot_bottle.base.errors import UsageFault
    from bot_bottle.cli.show import host
    from bot_bottle.web.store import Store
    from bot_bottle.web.tokens import Tokens

    if not (0 < len(name) <= 64 and name.isascii() and name.isprintable()):
        raise UsageFault("token.bad-name", "A name is 1 to 64 printable ASCII characters.", "Say what it is for.")
    here, now = host(False), time.time_ns()
    tokens = Tokens(Store(here.home))
    wanted = tuple(one for one in SCOPES if one in scopes)
    records.note(here, "token issued", {"name": name, "scopes": " ".join(wanted)})  # none exists that no record names
    token, text = tokens.issue(name, wanted, now, now + days * _DAY if days else 0)
    if as_json:
        facts = {"id": token.id, "token": text, "scopes": token.scopes, "expires": token.expires}
        click.echo(msgspec.json.encode(facts).decode())
        return
    click.echo(text)
    click.echo(f"Shown once: only its hash is kept. End it with: bot-bottle token revoke {token.id}", err=True)


@command.command(name="list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List tokens, the newest first; never their text."""
    from bot_bottle.base.text import visible
    from bot_bottle.cli.show import host
    from bot_bottle.web.store import Store
    from bot_bottle.web.tokens import Tokens

    found, now = Tokens(Store(host(False).home)).all(), time.time_ns()
    if as_json:
        click.echo(msgspec.json.encode({"tokens": found}).decode())
        return
    if not found:
        click.echo("There is no token.", err=True)
    for one in found:
        used = f"used {moment(one.seen)}" if one.seen else "never used"
        click.echo(f"{one.id}  {state(one, now):<16}  {used:<21}  {','.join(one.scopes)}  {visible(one.name, 64)}")


@command.command()
@click.argument("ident", metavar="ID")
@AS_JSON
def revoke(ident: str, as_json: bool) -> None:
    """End token ID at once, with the streams that it opened."""
    from bot_bottle.api import records
    from bot_bottle.base.errors import UsageFault
    from bot_bottle.cli.show import host
    from bot_bottle.web.store import Store
    from bot_bottle.web.tokens import Tokens

    here = host(False)
    tokens = Tokens(Store(here.home))
    found = whole(ident, [one.id for one in tokens.all()])
    if not tokens.revoke(found, time.time_ns()):
        raise UsageFault(
            "token.unknown", "There is no such token, or it was revoked before.", "bot-bottle token list"
        )
    records.note(here, "token revoked", {"token": found})
    if as_json:
        click.echo(msgspec.json.encode({"token": found, "revoked": True}).decode())
    else:
        click.echo(f"{found} has ended.", err=True)


def whole(ident: str, known: list[str]) -> str:
    """The only id that begins so; what was given where there is none, or more."""
    alike = [one for one in known if len(ident) >= 4 and one.startswith(ident)]
    return alike[0] if len(alike) == 1 else ident


def state(token: "Token", now: int) -> str:
    """``until 2026-02-23``, or how it ended."""
    if token.revoked:
        return f"ended {moment(token.revoked)}"
    if not token.expires:
        return "for ever"
    return f"{'until' if token.expires > now else 'expired'} {moment(token.expires)}"


def moment(nanoseconds: int) -> str:
    """``2026-02-23``, here."""
    return time.strftime("%Y-%m-%d", time.localtime(nanoseconds // 1_000_000_000))
