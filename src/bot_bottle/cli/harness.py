"""`bot-bottle harness`: list, show, install and check the programs that run in bottles."""

import json
import os
from typing import Any

import click
import msgspec

from bot_bottle.base.errors import BottleError, HostFault, ManifestFault, UsageFault
from bot_bottle.base.home import Home, locate
from bot_bottle.cli.options import AS_JSON
from bot_bottle.harnesses import load, placement
from bot_bottle.harnesses.load import Catalogue, Loaded
from bot_bottle.harnesses.model import Harness


@click.group(name="harness")
def command() -> None:
    """The programs that nobody trusts: one file each, shipped or in ~/.bot-bottle/contrib."""


@command.command(name="list")
@AS_JSON
def list_(as_json: bool) -> None:
    """List every harness: version, whether it is installed, which secret it uses."""
    home = locate(os.environ)
    catalogue = load.load_all(home.root)
    rows = [row(home, loaded) for _, loaded in sorted(catalogue.harnesses.items())]
    broken = [str(problem) for found in catalogue.problems.values() for problem in found]
    if as_json:
        click.echo(json.dumps({"harnesses": rows, "problems": broken}))
        return
    for one in rows:
        secrets = " or ".join(one["secrets"]) or "-"
        click.echo(f"{one['name']:<12} {one['version'] or '-':<10} {one['state']:<14} {secrets:<30} {one['title']}")
    for line in broken:
        click.echo(line, err=True)


@command.command()
@click.argument("name")
@click.option("--file", "source", is_flag=True, help="The file itself, to copy into ~/.bot-bottle/contrib.")
@AS_JSON
def show(name: str, source: bool, as_json: bool) -> None:
    """Show NAME: commands, routes, what may be denied, what stops code of a repository."""
    loaded = load.load_all(locate(os.environ).root).get(name)
    if source:
        path = os.path.join(load.DATA, f"{name}.toml") if loaded.origin == "shipped" else loaded.origin
        with open(path, encoding="utf-8") as file:
            click.echo(file.read(), nl=False)
        return
    if as_json:
        document: dict[str, Any] = msgspec.to_builtins(loaded.harness)
        click.echo(json.dumps({**document, "origin": loaded.origin, "digest": loaded.digest}))
        return
    for line in described(loaded):
        click.echo(line)


@command.command()
@click.argument("names", nargs=-1, required=True)
@click.option("--host", is_flag=True, help="Use the copy on this host's PATH instead of the pinned version.")
@click.option("--unsealed", is_flag=True, help="Run npm or pip on this host instead of in a bottle (D20).")
@AS_JSON
def install(names: tuple[str, ...], host: bool, unsealed: bool, as_json: bool) -> None:
    """Install the pinned version of NAMES by hash-locked lists, without install scripts. `node` is one, too.

    npm or pip runs in a bottle with the registry's routes only; the run is in the record.
    """
    home = locate(os.environ)
    catalogue = load.load_all(home.root)
    wanted = [(name, None if name == placement.NODE else catalogue.get(name).harness) for name in names]
    rows = [install_one(home, name, harness, host, unsealed) for name, harness in wanted]
    if as_json:
        click.echo(json.dumps({"installed": rows}))
        return
    for one in rows:
        click.echo(f"{one['name']}: {one['place']}")


@command.command()
@click.argument("names", nargs=-1)
@AS_JSON
def check(names: tuple[str, ...], as_json: bool) -> None:
    """Check files and installations: every fault of a file at once, every changed byte of an installation.

    A NAME may be a path of a file that is not installed yet. Exit status 3 where something is wrong.
    """
    home = locate(os.environ)
    catalogue = load.load_all(home.root)
    rows = [checked(home, catalogue, name) for name in names or sorted(catalogue.harnesses)]
    if not names:
        rows += [
            {"name": file, "problems": [str(one) for one in found]} for file, found in catalogue.problems.items()
        ]
    if as_json:
        click.echo(json.dumps({"checked": rows}))
    for one in rows if not as_json else []:
        click.echo(f"{one['name']}: {'good' if not one['problems'] else ''}{one.get('note', '')}".rstrip())
        for line in one["problems"]:
            click.echo(f"  {line}", err=True)
    if any(one["problems"] for one in rows):
        raise click.exceptions.Exit(3)


def row(home: Home, loaded: Loaded) -> dict[str, Any]:
    """One line of `list`."""
    harness = loaded.harness
    return {
        "name": harness.name,
        "title": harness.title,
        "version": harness.install.version,
        "state": state(home, harness),
        "secrets": list(dict.fromkeys(credential.secret for credential in harness.credentials)),
        "origin": loaded.origin,
        "digest": loaded.digest,
    }


def state(home: Home, harness: Harness) -> str:
    """installed | host copy | not installed | ready (nothing to install) | a fault's slug."""
    if harness.install.kind == "none":
        return "ready"
    try:
        return "host copy" if placement.place(home.harnesses, harness).origin == "host" else "installed"
    except HostFault as fault:
        return "not installed" if fault.slug == "harness.not-installed" else fault.slug
    except BottleError as fault:
        return fault.slug


def install_one(home: Home, name: str, harness: Harness | None, host: bool, unsealed: bool) -> dict[str, str]:
    """Installs or chooses one; the row for the person."""
    from bot_bottle.cli import show
    from bot_bottle.cli.install_bottle import BottleRunner
    from bot_bottle.harnesses.hostcopy import choose
    from bot_bottle.harnesses.install import HostRunner, Installer

    runner = HostRunner() if unsealed else BottleRunner(show.host(ask=False))
    installer = Installer(home.harnesses, dict(os.environ), runner, lambda text: click.echo(text, err=True))
    if harness is None:
        return {"name": name, "place": installer.install_node(), "origin": "installed"}
    if host:
        choice = choose(home.harnesses, harness, os.environ.get("PATH", ""))
        return {"name": name, "place": " ".join(choice.entry), "origin": "host"}
    return {"name": name, "place": installer.install(harness), "origin": "installed"}


def checked(home: Home, catalogue: Catalogue, name: str) -> dict[str, Any]:
    """One row of `check`."""
    try:
        if name.endswith(".toml") and os.path.exists(name):
            with open(name, encoding="utf-8") as file:
                load.parse(file.read(load.MAX_BYTES), name)
            return {"name": name, "problems": []}
        harness = catalogue.get(name).harness
    except ManifestFault as fault:
        return {"name": name, "problems": [str(problem) for problem in fault.problems]}
    except UnicodeDecodeError:
        raise UsageFault("harness.not-utf8", f"{name} is not UTF-8.") from None
    return {"name": name, **checked_installation(home, harness)}


def checked_installation(home: Home, harness: Harness) -> dict[str, Any]:
    """Compares the files of an installation with the digest in its record."""
    from bot_bottle.harnesses import tree

    place = placement.folder(home.harnesses, harness)
    record = placement.read_record(place)
    if harness.install.kind == "none" or record is None:
        return {"problems": [], "note": f" ({state(home, harness)})"}
    if tree.digest(place, placement.RECORD) != record.digest:
        hint = f"remove {place} and run: bot-bottle harness install {harness.name}"
        return {"problems": [f"the files differ from what was installed; {hint}"]}
    note = "" if record.sealed else " (installed outside a bottle, scripts off, hashes locked)"
    return {"problems": [], "note": note}


def described(loaded: Loaded) -> list[str]:
    """`show` for a person."""
    harness = loaded.harness
    lines = [f"{harness.title} ({harness.name}), {loaded.origin}, digest {loaded.digest[:16]}", harness.description]
    if harness.install.kind != "none":
        lines.append(f"install: {harness.install.kind} {harness.install.package} {harness.install.version}")
    lines += [f"{name}: {' '.join(argv)}" for name, argv in commands(harness)]
    for route in harness.routes:
        for match in route.matches:
            methods, paths = (
                ",".join(match.methods) or "any",
                ", ".join(path.value for path in match.paths) or "any path",
            )
            lines.append(f"route {route.name}: {methods} {route.host} {paths}  {route.why}".rstrip())
    for credential in harness.credentials:
        where = ", ".join(f"{one.route} as {one.name or one.scheme}" for one in credential.inject)
        lines.append(f"secret {credential.secret} ({credential.title}): {where}")
    lines += [f"safe to deny: {one.host}  {one.why}" for one in harness.safe_to_deny]
    lines += [f"stopped: {one.trap}  by {one.by}" for one in harness.guards]
    lines += [f"masked: {path}" for path in harness.mask]
    lines.append(f"asks a person: {asking(harness)}")
    return [line for line in lines if line]


def asking(harness: Harness) -> str:
    """How its agent asks for what is denied."""
    told = "by the denial's own text and the command bottle-ask"
    if not harness.mcp.argv and harness.mcp.file is None:
        return told
    return f"by MCP tools ({' '.join(harness.mcp.argv)}), or {told}".replace(" ()", "")


def commands(harness: Harness) -> list[tuple[str, tuple[str, ...]]]:
    """The modes that the harness has."""
    both = (("headless", harness.headless.argv), ("interactive", harness.interactive.argv))
    return [(name, argv) for name, argv in both if argv]
