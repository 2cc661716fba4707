"""`bot-bottle secret`: set, list, test, remove. A value comes from standard input, never from an argument (B47)."""

import contextlib
import json
import os
import sys
from typing import BinaryIO

import click

from bot_bottle.api.wiring import Host
from bot_bottle.base.errors import BottleError, OperatorFault, UsageFault
from bot_bottle.base.home import Home, locate
from bot_bottle.base.ids import is_name
from bot_bottle.bottles.control import renew_everywhere
from bot_bottle.custody.check import acceptable, weakness
from bot_bottle.custody.open import Custody, open_custody
from bot_bottle.policy.model import Bottle

LIMIT = 65536


@click.group(name="secret")
def command() -> None:
    """Keep the real credentials on this host; a bottle only ever holds placeholders."""


@command.command(name="set", context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
@click.argument("name")
@click.pass_context
def set_(ctx: click.Context, name: str) -> None:
    """Set NAME to what standard input holds (a terminal is asked, without echo)."""
    if ctx.args:
        raise UsageFault(
            "custody.argument",
            "A secret is never an argument: other processes and your shell's history would see it.",
            f"Pipe it in, or let it be asked for: bot-bottle secret set {name if is_name(name) else 'NAME'}",
        )
    checked(name)
    stdin = sys.stdin.buffer
    value = asked(name) if stdin.isatty() else piped(stdin)
    secret = acceptable(name, value)
    kind = custody().put(secret)
    click.echo(f"{name} is set ({kind}).", err=True)
    for label in renew_everywhere(Host().home, name):
        click.echo(f"the running bottle {label} uses it from now on", err=True)
    if warning := weakness(secret):
        click.echo(f"warning: {warning}", err=True)


@command.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="One JSON document.")
def list_(as_json: bool) -> None:
    """List the names of all secrets, the store that gives each, and what uses it. Values are not read."""
    opened = custody()
    stores, uses = opened.located(), users(locate(os.environ))
    names = sorted({*stores, *(name for name, by in uses.items() if any(user.startswith("bottle ") for user in by))})
    rows = [{"name": name, "store": stores.get(name), "used_by": uses.get(name, [])} for name in names]
    if as_json:
        click.echo(json.dumps({"secrets": rows, "protection": opened.protection()}))
        return
    width = max(map(len, names), default=0)
    for name in names:
        click.echo(f"{name:<{width}}  {stores.get(name, 'not set'):<11}  {', '.join(uses.get(name, []))}".rstrip())
    if not rows:
        click.echo("No secret is set. Set one: bot-bottle secret set anthropic", err=True)
    for sentence in opened.protection():
        click.echo(sentence, err=True)


@command.command()
@click.argument("name")
def test(name: str) -> None:
    """Say whether NAME can be read and used. Nothing is sent, nothing of the value is shown."""
    checked(name)
    opened = custody()
    secret = opened.get(name)
    if secret is None:
        raise OperatorFault("custody.unset", f"The secret {name} is not set.", f"Run: bot-bottle secret set {name}")
    click.echo(f"{name} is set and readable ({opened.where(name)}).")
    if warning := weakness(secret):
        click.echo(f"warning: {warning}", err=True)


@command.command()
@click.argument("name")
def remove(name: str) -> None:
    """Remove NAME from every store that bot-bottle writes."""
    checked(name)
    if not custody().remove(name):
        raise OperatorFault("custody.unset", f"The secret {name} is not set.", "See: bot-bottle secret list")
    click.echo(f"{name} is removed.", err=True)


def users(home: Home) -> dict[str, list[str]]:
    """Secret name -> ``bottle NAME`` and ``harness NAME`` that name it. Files that are broken are left out."""
    from bot_bottle.bottles.manifests import Library
    from bot_bottle.harnesses.load import load_all

    found: dict[str, list[str]] = {}
    harnesses = load_all(home.root).harnesses
    library = Library(home, os.environ.get("HOME", ""), harnesses=tuple(harnesses))
    for name in library.bottle_names():
        with contextlib.suppress(BottleError):
            for secret in named_secrets(library.bottle(name).bottle):
                found.setdefault(secret, []).append(f"bottle {name}")
    for name, loaded in sorted(harnesses.items()):
        for credential in loaded.harness.credentials:
            found.setdefault(credential.secret, []).append(f"harness {name}")
    return found


def named_secrets(bottle: Bottle) -> list[str]:
    """What this bottle's routes inject and its environment shows, sorted."""
    routes = (route.auth.secret for route in bottle.egress.routes if route.auth)
    variables = (value.secret for value in bottle.env.values() if not isinstance(value, str) and value.secret)
    return sorted({*routes, *variables})


def custody() -> Custody:
    return open_custody(locate(os.environ), os.environ)


def checked(name: str) -> None:
    if not is_name(name):
        raise UsageFault(
            "custody.name",
            "That is not a name for a secret.",
            "Names are lower case letters, digits and hyphens, like anthropic. The value goes to standard input.",
        )


def asked(name: str) -> bytes:
    """Without echo, twice. What is typed is never on the screen nor in the shell's history."""
    value: str = click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True, err=True)
    return value.encode()


def piped(stdin: BinaryIO) -> bytes:
    """All of standard input without its last line end. Raises UsageFault where that is nothing or too much."""
    value = stdin.read(LIMIT + 1)
    if len(value) > LIMIT:
        raise UsageFault("custody.value", f"Standard input holds more than {LIMIT} bytes.", "Pipe only the secret.")
    return value
