"""`bot-bottle serve`: the dashboard, the API and a keeper that stays warm. Three processes, one command.

Exit status: 0 ended by Ctrl-C or SIGTERM, 3 settings.toml is wrong, 4 a port cannot be used, 6 it runs already.
"""

import contextlib
import html
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.parse
from typing import TYPE_CHECKING, Any

import click

from bot_bottle.base.text import visible
from bot_bottle.cli.options import AS_JSON

if TYPE_CHECKING:
    from bot_bottle.api.wiring import Host
    from bot_bottle.cli.serve_starter import Starter
    from bot_bottle.web.messages import CodeIssued


@click.command(name="serve")
@click.option("--port", type=click.IntRange(0, 65535), default=None, help="Of the page on this machine; 0 is any.")
@click.option(
    "--phone", is_flag=True, help="Also over TLS in the local network, for paired devices; shows a QR code."
)
@click.option("--no-open", is_flag=True, help="Open no browser.")
@click.option("--link", "relink", is_flag=True, help="Print a new link to the serve that runs here, and end.")
@click.option("--pair", "repair", is_flag=True, help="Show a new code for a phone, from the serve that runs here.")
@AS_JSON
def command(port: int | None, phone: bool, no_open: bool, relink: bool, repair: bool, as_json: bool) -> None:
    """Serve the dashboard: http://127.0.0.1 only, unless --phone or a reverse proxy is stated in settings.toml."""
    from bot_bottle.cli.show import host

    here = host(False)
    if relink or repair:
        again(here, repair, as_json)
        return
    raise click.exceptions.Exit(serve(here, port, phone, no_open or as_json, as_json))


def serve(here: "Host", port: int | None, phone: bool, no_open: bool, as_json: bool) -> int:
    """Until Ctrl-C or SIGTERM."""
    from bot_bottle.api.settings import load
    from bot_bottle.cli import serve_places, serve_socket
    from bot_bottle.cli.serve_starter import Starter
    from bot_bottle.web import addresses

    settings = load(here.home)
    only = serve_socket.Only(here.home)
    starter = Starter(here, settings, serve_places.choose(settings.serve, port, phone), say)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda _number, _frame: starter.stop.set())
    desk: serve_socket.Desk | None = None
    try:
        web = starter.begin()
        desk = serve_socket.Desk(here.home, lambda wish: given(starter, wish))
        link = addresses.link(web.urls, web.serving.key)
        tell(starter, link, phone, as_json)
        if not no_open:
            browse(link, here.home.runtime)
        starter.serve()
    finally:
        if desk is not None:
            desk.close()
        starter.close()
        only.close()
    return 0


def given(starter: "Starter", wish: Any) -> Any:
    """A new link, or a new code for a phone."""
    from bot_bottle.base.errors import HostFault
    from bot_bottle.web.messages import IssueCode, KeyIssued

    if starter.web is None:
        raise HostFault("web.ended", "The web process is being started again.", "Try again in a moment.")
    if isinstance(wish, IssueCode):
        return starter.web.code()
    return KeyIssued(starter.web.link())


def tell(starter: "Starter", link: str, phone: bool, as_json: bool) -> None:
    """One line for a program; for a person the link, and the phone's QR code."""
    web = starter.web
    assert web is not None
    code = web.code() if phone else None
    if as_json:
        facts: dict[str, Any] = {"url": link, "pid": os.getpid(), "confinement": web.serving.confinement}
        facts |= {"urls": list(web.urls), "web": web.pid, "keeper": starter.warm.pid}
        if code is not None:
            facts["phone"] = phone_facts(code)
        print(json.dumps(facts), flush=True)
        return
    click.echo(f"The dashboard: {link}")
    click.echo("The link works once, within ten minutes. A new one: bot-bottle serve --link", err=True)
    if code is not None:
        show_code(code)
    click.echo("Ctrl-C ends it; bottles go on.", err=True)


def again(here: "Host", repair: bool, as_json: bool) -> None:
    """Asks the serve that runs."""
    from bot_bottle.cli.serve_socket import ask
    from bot_bottle.web.messages import CodeIssued, IssueCode, IssueKey

    found = ask(here.home, IssueCode() if repair else IssueKey())
    if isinstance(found, CodeIssued):
        click.echo(json.dumps(phone_facts(found)) if as_json else "", nl=as_json)
        if not as_json:
            show_code(found)
        return
    click.echo(json.dumps({"url": found.link}) if as_json else found.link)


def phone_facts(code: "CodeIssued") -> dict[str, Any]:
    """What a program needs to pair a device."""
    facts: dict[str, Any] = {"code": code.code, "link": code.link, "seconds": code.seconds}
    return facts | ({"fingerprint": code.fingerprint} if code.fingerprint else {})


def show_code(code: "CodeIssued") -> None:
    """The QR code and the same in letters."""
    from bot_bottle.web.phone import qr_text

    click.echo(qr_text(code.link), nl=False)
    page, letters = visible(code.link.partition("#")[0]), visible(code.code)
    click.echo(f"Scan it, or open {page} and type {letters} (within {code.seconds // 60} minutes).")
    if code.fingerprint:
        click.echo(f"Its certificate comes from an authority of its own, sha256 {visible(code.fingerprint)}.")


def browse(link: str, folder: str) -> None:
    """Opens the person's browser where there is a desktop; a browser that is missing is no error.

    The link is in a file that only this person reads: arguments of a program are shown to every user of the machine.
    """
    program = shutil.which("xdg-open")
    if program is None or not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    os.makedirs(folder, mode=0o700, exist_ok=True)
    page = os.path.join(folder, "open.html")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(page)
    fd = os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(f'<!doctype html><meta http-equiv="refresh" content="0;url={html.escape(link)}">')
    subprocess.Popen(
        [program, f"file://{urllib.parse.quote(page)}"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, cwd="/", start_new_session=True,
    )  # fmt: skip


def say(line: str) -> None:
    """A line for the person, on standard error, which may be gone."""
    try:
        print(f"bot-bottle: {visible(line, 2000)}", file=sys.stderr, flush=True)
    except OSError:
        return
