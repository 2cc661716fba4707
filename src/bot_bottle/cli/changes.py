"""`bot-bottle changes show|apply|keep|discard LABEL`: what a bottle changed, after its end (D05, D13)."""

import os
from typing import Any

import click

from bot_bottle.base.errors import BusyFault, OperatorFault, UsageFault
from bot_bottle.base.home import locate
from bot_bottle.base.ids import is_label
from bot_bottle.cli.options import AS_JSON, OF_LABEL

ACCEPT = click.option(
    "--accept", multiple=True, metavar="PATH", help="Take this change that needs a look of its own."
)
ACCEPT_ALL = click.option("--accept-all", is_flag=True, help="Take all changes that need a look of their own.")
SKIP = click.option("--skip", is_flag=True, help="Leave those out and take the rest.")


@click.group(name="changes")
def command() -> None:
    """What a bottle changed in its workspace, after its end."""


@command.command()
@OF_LABEL
@AS_JSON
@click.option("--patch", is_flag=True, help="The whole patch.")
def show(label: str, as_json: bool, patch: bool) -> None:
    """Show the changes that wait under LABEL; what needs a look of its own stands apart."""
    from bot_bottle.bottles.workspace import choice

    _, changes = waiting(label)
    if as_json:
        said(document(label, changes))
    elif patch:
        show_patch(changes.patch)
    else:
        for line in choice.lines(changes):
            click.echo(line)


@command.command()
@OF_LABEL
@ACCEPT
@ACCEPT_ALL
@SKIP
@AS_JSON
def apply(label: str, accept: tuple[str, ...], accept_all: bool, skip: bool, as_json: bool) -> None:
    """Apply the changes of LABEL to the workspace: all or, on a conflict, nothing. Then the label is free."""
    from bot_bottle.base.text import many, visible
    from bot_bottle.bottles.workspace.apply import apply as apply_changes

    prepared, changes = waiting(label)
    applied = apply_changes(prepared, changes, accepted(accept, accept_all), skip)
    if as_json:
        said({"label": label, **plain(applied)})
    for path, why in applied.conflicts.items():
        click.echo(f"conflict: {visible(path, 200)}: {why}", err=True)
    if applied.conflicts:
        raise OperatorFault(
            "workspace.conflict",
            f"{many(len(applied.conflicts), 'file')} changed on both sides; nothing was written.",
            f"Merge a branch instead: bot-bottle changes keep {label}",
        )
    if not applied.skipped:
        forget(label)
    if not as_json:
        done = f"{many(len(applied.written), 'file')} written, {len(applied.merged)} of them merged"
        click.echo(f"{done}, {len(applied.same)} were so already, {len(applied.skipped)} left out.")
        if applied.skipped:
            click.echo(f"What was left out waits: bot-bottle apply {label} --accept PATH, or discard {label}.")


@command.command()
@OF_LABEL
@click.option("--branch", default="", metavar="NAME", help="Default: bot-bottle/LABEL.")
@click.option("--message", "-m", default="", metavar="TEXT", help="Of the commit.")
@ACCEPT
@ACCEPT_ALL
@SKIP
@AS_JSON
def keep(
    label: str, branch: str, message: str, accept: tuple[str, ...], accept_all: bool, skip: bool, as_json: bool
) -> None:
    """Make a branch with the changes of LABEL in the repository of the workspace; no file is touched."""
    from bot_bottle.base.text import visible
    from bot_bottle.bottles.workspace.keep import keep as keep_changes

    prepared, changes = waiting(label)
    kept = keep_changes(prepared, changes, branch, message, accepted(accept, accept_all), skip)
    if as_json:
        said({"label": label, **plain(kept)})
        return
    click.echo(f"{kept.branch} {kept.commit[:12]}")
    for path, why in kept.skipped.items():
        click.echo(f"not in it: {visible(path, 200)}: {why}", err=True)


@command.command()
@OF_LABEL
@AS_JSON
def discard(label: str, as_json: bool) -> None:
    """Throw away all that is kept under LABEL: its copy of the workspace, its changes, its HOME."""
    forget(label)
    if as_json:
        said({"label": label, "discarded": True})


def forget(label: str) -> None:
    """Removes the state of a label and frees it."""
    from bot_bottle.bottles import lease
    from bot_bottle.bottles.workspace.discard import discard as discard_changes
    from bot_bottle.bottles.workspace.removal import remove

    state = state_of(label)
    discard_changes(state)
    remove(state)
    lease.forget(locate(os.environ), label)


def state_of(label: str) -> str:
    """The state directory of a label that no bottle uses. Raises UsageFault, OperatorFault, BusyFault."""
    from bot_bottle.bottles import lease

    if not is_label(label):
        raise UsageFault("usage.label", f"{label!r} is no label.", "`bot-bottle list` shows the labels.")
    home = locate(os.environ)
    state = home.state(label)
    if not os.path.isdir(state):
        raise OperatorFault(
            "workspace.no-state", f"Nothing is kept under {label}.", "`bot-bottle list` shows the labels."
        )
    if lease.alive(home, label):
        raise BusyFault("label.busy", f"The bottle {label} still runs.", f"End it first: bot-bottle stop {label}")
    return state


def waiting(label: str) -> tuple[Any, Any]:
    """Prepared and Changes of a label."""
    from bot_bottle.bottles.workspace import changes, prepare

    prepared = prepare.load(state_of(label))
    try:
        return prepared, changes.load(prepared)
    except OperatorFault:  # its launcher was killed before it could look
        from bot_bottle.bottles.seal.offline import run_sealed

        return prepared, changes.collect(prepared, run_sealed)


def accepted(paths: tuple[str, ...], everything: bool) -> frozenset[str]:
    return frozenset({"*"}) if everything else frozenset(paths)


def document(label: str, changes: Any) -> dict[str, Any]:
    """The changes and what needs a look, for programs."""
    from bot_bottle.bottles.workspace.review import review

    looked = review(changes)
    files, added, removed = changes.counts()
    return {
        "label": label, "files": files, "added": added, "removed": removed, **plain(changes),
        "concerns": plain(looked)["concerns"],
    }  # fmt: skip


def plain(value: Any) -> dict[str, Any]:
    import msgspec

    return msgspec.to_builtins(value)


def said(value: dict[str, Any]) -> None:
    import json

    click.echo(json.dumps(value))


def show_patch(path: str) -> None:
    """The patch as it is into a pipe; on a terminal with what steers terminals made visible (D15)."""
    import sys

    from bot_bottle.base.text import visible

    if not path:
        return
    out = sys.stdout.buffer
    with open(path, "rb") as file:
        while data := file.readline(1 << 20):
            if sys.stdout.isatty():
                click.echo(visible(data.decode("utf-8", "replace").rstrip("\n").replace("\t", "    "), 4000))
            else:
                out.write(data)
