"""Options that several verbs share, and how their values are read."""

import os
from collections.abc import Callable
from typing import Any, Literal

import click

from bot_bottle.base.errors import UsageFault


def names(kind: str) -> Callable[[click.Context, click.Parameter, str], list[Any]]:
    """Shell completion by `cli.completion.complete_KIND`, imported when a shell asks."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[Any]:
        from bot_bottle.cli import completion

        return getattr(completion, f"complete_{kind}")(context, parameter, incomplete)

    return complete


BOTTLES = click.option(
    "--bottle",
    "-b",
    multiple=True,
    metavar="NAME",
    shell_complete=names("bottle"),
    help="Bottle file; several are overlaid.",
)
OF_LABEL = click.argument("label", shell_complete=names("label"))
LABEL = click.option("--label", default="", metavar="LABEL", help="Name of this bottle while it runs.")
WORKSPACE = click.option("--workspace", "-w", default="", metavar="DIR", help="Default: the current directory.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="One JSON document.")

AtEnd = Literal["ask", "apply", "keep", "discard"]


def at_end(keep: bool, apply: bool, discard: bool, otherwise: AtEnd) -> AtEnd:
    """The one choice that was made. Raises UsageFault for two."""
    chosen: list[AtEnd] = [name for name, said in (("keep", keep), ("apply", apply), ("discard", discard)) if said]  # pyright: ignore[reportAssignmentType]
    if len(chosen) > 1:
        raise UsageFault("usage.choices", f"--{chosen[0]} and --{chosen[1]} exclude each other.", "Give one of them.")
    return chosen[0] if chosen else otherwise


def place(workspace: str) -> str:
    """The workspace as an absolute path."""
    try:
        path = os.path.abspath(workspace or os.getcwd())
    except FileNotFoundError:
        raise UsageFault("workspace.missing", "The current directory is gone.", "Change to another.") from None
    if not os.path.isdir(path):
        raise UsageFault("workspace.missing", f"There is no directory {path}.", "Check --workspace.")
    return path


def seconds(text: str | None) -> float:
    """A duration option; 0 where it was not given."""
    from bot_bottle.base.sizes import duration

    if text is None:
        return 0
    try:
        return duration(text)
    except ValueError as error:
        raise UsageFault("usage.duration", f"{text!r} is no duration: {error}.") from None
