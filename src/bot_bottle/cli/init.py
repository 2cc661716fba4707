"""`bot-bottle init`: the first steps. Finds harnesses, keys and toolchains, and writes one bottle file."""

import json
import os
import shutil
import sys
from collections.abc import Mapping
from typing import Any

import click

from bot_bottle.base.errors import BottleError, UsageFault
from bot_bottle.base.home import Home, locate
from bot_bottle.base.ids import is_name
from bot_bottle.bottles import toolchains
from bot_bottle.harnesses import load, placement
from bot_bottle.harnesses.model import Harness
from bot_bottle.policy.check import check_bottle

CLIENTS = {"pypi": "pip", "npm": "npm", "cargo": "cargo", "go": "go"}


@click.command(name="init")
@click.option("--bottle", default="default", show_default=True, help="Name of the bottle file to write.")
@click.option("--yes", is_flag=True, help="Ask nothing: show all toolchains, allow no registries.")
@click.option("--force", is_flag=True, help="Replace a bottle file that is there already.")
@click.option("--json", "as_json", is_flag=True, help="Report as one JSON document; asks nothing.")
def command(bottle: str, yes: bool, force: bool, as_json: bool) -> None:
    """Find what is installed, offer toolchains as read-only mounts, write a bottle file, and say what is next."""
    if not is_name(bottle):
        raise UsageFault("bottle.bad-name", f"{bottle!r} is no name.", "Use lower case letters, digits and hyphens.")
    home = locate(os.environ)
    asks = not (yes or as_json) and sys.stdin.isatty()
    _make_home(home)
    report = survey(home, os.environ)
    chosen = choose(report, asks)
    path = os.path.join(home.bottles, f"{bottle}.md")
    text = toolchains.bottle_file(tuple(chosen["mounts"]), tuple(chosen["registries"]))
    check_bottle(text.encode(), bottle, path)
    written = _write(path, text, force)
    report |= {"bottle": path, "written": written, "chosen": chosen}
    if as_json:
        click.echo(json.dumps(report))
        return
    for line in summary(report):
        click.echo(line)


def survey(home: Home, environ: Mapping[str, str]) -> dict[str, Any]:
    """What is on this host: harnesses, the variables that hold keys, toolchains, package clients."""
    catalogue = load.load_all(home.root)
    harnesses = [_harness(home, one.harness, environ) for _, one in sorted(catalogue.harnesses.items())]
    found = [{"name": one.name, "mounts": list(one.mounts)} for one in toolchains.found(environ)]
    clients = [kind for kind, program in CLIENTS.items() if shutil.which(program, path=environ.get("PATH"))]
    return {"home": home.root, "harnesses": harnesses, "toolchains": found, "registries": clients}


def choose(report: dict[str, Any], asks: bool) -> dict[str, list[str]]:
    """Which offers are taken; everything when nobody is asked."""
    mounts: list[str] = []
    for one in report["toolchains"]:
        if not asks or click.confirm(
            f"Show {one['name']} ({', '.join(one['mounts'])}) read-only in bottles?", default=True
        ):
            mounts += one["mounts"]
    wanted: list[str] = report["registries"]
    if (
        asks
        and wanted
        and not click.confirm(f"Allow package downloads (GET) for {', '.join(wanted)}?", default=False)
    ):
        wanted = []
    return {"mounts": mounts, "registries": wanted if asks else []}


def summary(report: dict[str, Any]) -> list[str]:
    """The report for a person, and the next steps."""
    lines = [f"home: {report['home']}", "harnesses:"]
    for one in report["harnesses"]:
        lines.append(f"  {one['name']:<10} {one['state']}")
    kept = "" if report["written"] else " (kept as it was; --force replaces it)"
    lines += [f"bottle file: {report['bottle']}{kept}", *(f"  shows {one}" for one in report["chosen"]["mounts"])]
    lines.append("next:")
    keys = {key["secret"]: key for one in report["harnesses"] for key in one["keys"] if key["here"]}
    lines += [f"  printenv {key['variable']} | bot-bottle secret set {name}" for name, key in keys.items()]
    if not keys:
        lines.append("  bot-bottle secret set anthropic   (or openai; the key is asked for, never an argument)")
    ready = any(one["name"] == "claude" and one["state"].startswith("ready") for one in report["harnesses"])
    lines += [] if ready else ["  bot-bottle harness install claude"]
    return [*lines, "  bot-bottle start claude --dry-run"]


def _harness(home: Home, harness: Harness, environ: Mapping[str, str]) -> dict[str, Any]:
    try:
        placed = placement.place(home.harnesses, harness)
        state = f"ready ({placed.version or placed.origin})"
    except BottleError as fault:
        state = fault.hint or fault.what
    keys = [
        {"secret": one.secret, "variable": one.host_env, "here": bool(one.host_env and environ.get(one.host_env))}
        for one in harness.credentials
    ]
    return {"name": harness.name, "title": harness.title, "state": state, "keys": keys}


def _make_home(home: Home) -> None:
    for folder in (home.root, home.agents, home.bottles, home.contrib):
        os.makedirs(folder, 0o700, exist_ok=True)


def _write(path: str, text: str, force: bool) -> bool:
    """False where a file is there already and `force` is not given."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if force else os.O_EXCL)
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError:
        return False
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
    return True
