"""Discard: removes what a bottle left, and the empty mount points of a bound workspace (D22)."""

import contextlib
import os

from bot_bottle.bottles.workspace import guards
from bot_bottle.bottles.workspace.prepare import RECORD
from bot_bottle.bottles.workspace.removal import remove

PARTS = ("tree", "base", "cow", "changes", "desk", "skills")
FILES = (
    "start.marks",
    "source.marks",
    "start.index",
    "start.exclude",
    "created",
    "root.json",
    "commondir",
    "gitexclude",
)


def discard(state: str) -> None:
    """Removes the workspace's part of a state directory; also after a crash, and again. Raises HostFault.

    The record goes first: a tree that is half removed must never pass for work in which files were deleted.
    """
    guards.uncover(state)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(os.path.join(state, RECORD))
    for name in PARTS:
        path = os.path.join(state, name)
        if os.path.lexists(path):
            remove(path)
    for name in (*FILES, *(n for n in os.listdir(state) if n.startswith("gitconfig-"))):
        path = os.path.join(state, name)
        if os.path.lexists(path):
            os.unlink(path)
