"""`bot-bottle edit`: an agent or bottle file in the person's editor; a file with problems never replaces one."""

import os
import shlex
import subprocess
import sys
import tempfile

import click

from bot_bottle.base.errors import HostFault, ManifestFault, OperatorFault, UsageFault
from bot_bottle.base.home import Home, locate
from bot_bottle.base.ids import is_name
from bot_bottle.bottles.manifest_files import read_home
from bot_bottle.bottles.manifests import SHIPPED
from bot_bottle.cli.completion import complete_manifest
from bot_bottle.policy.check import check_agent, check_bottle

TEMPLATES = {
    "bottle": "---\nversion: 1\nextends: [default]\nenv: {}\negress:\n  routes: []\n---\nWhat this bottle is for.\n",
    "agent": "---\nversion: 1\nharness: claude\n---\nWho you are and how you work.\n",
}


@click.command(name="edit")
@click.argument("name", shell_complete=complete_manifest)
@click.option("--kind", type=click.Choice(sorted(TEMPLATES)), help="What NAME is; found out when it exists already.")
def command(name: str, kind: str | None) -> None:
    """Edit the agent or bottle NAME of the home (a shipped bottle is copied there); it is checked on save."""
    if not is_name(name):
        raise UsageFault("manifest.bad-name", f"{name!r} is no name.", "Use lower case letters, digits and hyphens.")
    home = locate(os.environ)
    chosen = kind or kind_of(home, name)
    folder = home.bottles if chosen == "bottle" else home.agents
    os.makedirs(folder, 0o700, exist_ok=True)
    path = os.path.join(folder, f"{name}.md")
    before = start_text(path, name, chosen)
    fd, draft = tempfile.mkstemp(dir=folder, prefix=f".{name}-", suffix=".md")
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(before)
        rounds(draft, name, chosen)
        os.replace(draft, path)
    finally:
        if os.path.exists(draft):
            os.unlink(draft)
    click.echo(f"{path} is saved.", err=True)


def kind_of(home: Home, name: str) -> str:
    """agent where only an agent of this name exists, else bottle."""
    agent = os.path.exists(os.path.join(home.agents, f"{name}.md"))
    bottle = any(os.path.exists(os.path.join(folder, f"{name}.md")) for folder in (home.bottles, SHIPPED))
    if agent and bottle:
        raise UsageFault(
            "manifest.two-kinds", f"{name} is both an agent and a bottle.", "Add --kind agent or --kind bottle."
        )
    return "agent" if agent else "bottle"


def start_text(path: str, name: str, kind: str) -> bytes:
    """What the editor shows first: the file, the shipped one, or a template."""
    shipped = os.path.join(SHIPPED, f"{name}.md") if kind == "bottle" else ""
    return read_home(path) or (read_home(shipped) if shipped else None) or TEMPLATES[kind].encode()


def rounds(draft: str, name: str, kind: str) -> None:
    """Edits until the file is in order; raises ManifestFault when the person gives up, and nothing was changed."""
    while True:
        edit(draft)
        try:
            raw = read_home(draft) or b""
            check_bottle(raw, name, f"{name}.md") if kind == "bottle" else check_agent(raw, name, f"{name}.md")
        except ManifestFault as fault:
            if not sys.stdin.isatty():
                raise
            for problem in fault.problems:
                click.echo(str(problem), err=True)
            if not click.confirm("Edit again? (no throws the changes away)", default=True):
                raise OperatorFault("edit.abandoned", "Nothing was saved.") from None
        else:
            return


def edit(draft: str) -> None:
    """Runs the person's editor on the draft."""
    words = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    try:
        status = subprocess.run([*words, draft], check=False).returncode
    except OSError as error:
        raise HostFault(
            "edit.no-editor", f"The editor {words[0]} cannot run: {error.strerror}.", "Set EDITOR."
        ) from None
    if status != 0:
        raise UsageFault("edit.abandoned", f"The editor ended with status {status}; nothing was changed.")
