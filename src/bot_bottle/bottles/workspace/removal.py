"""Removes trees that a bottle wrote (D22): no link is followed, nothing outside is touched, at any depth.

Directories are opened by `reach` alone.
"""

import contextlib
import os
import secrets
import stat
from dataclasses import dataclass

from bot_bottle.base.errors import HostFault
from bot_bottle.bottles.workspace.reach import DIRECTORY, open_directory

_LEVELS = 100


def remove(path: str) -> None:
    """Removes a tree that a bottle wrote: no link is followed, any depth, mode 000 directories, overlay work.

    Raises HostFault naming the path when something belongs to a uid that we may not touch.
    """
    parent, name = os.path.split(os.path.abspath(path))
    holder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    rest = f".bot-bottle-remove-{secrets.token_hex(8)}"
    try:
        _remove_entry(holder, name, _Deep(holder, rest), 0)
        while left := _listed(holder, rest):
            _remove_entry(holder, f"{rest}/{left[0]}", _Deep(holder, rest), 0)
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(rest, dir_fd=holder)
    except PermissionError as error:
        raise HostFault(
            "workspace.remove",
            f"Could not remove {path}: {error.strerror}.",
            "Remove it as root; a bottle's uid owns it.",
        ) from None
    finally:
        os.close(holder)


@dataclass(slots=True)
class _Deep:
    """Where directories go that lie too deep for one descriptor per level: into `name` below `holder`."""

    holder: int
    name: str

    def take(self, parent: int, name: str) -> None:
        with contextlib.suppress(FileExistsError):
            os.mkdir(self.name, 0o700, dir_fd=self.holder)
        place = f"{self.name}/{secrets.token_hex(8)}"
        os.rename(name, place, src_dir_fd=parent, dst_dir_fd=self.holder)


def _listed(holder: int, name: str) -> list[str]:
    try:
        fd = os.open(name, DIRECTORY, dir_fd=holder)
    except FileNotFoundError:
        return []
    try:
        return os.listdir(fd)
    finally:
        os.close(fd)


def _remove_entry(parent: int, name: str, deep: _Deep, depth: int) -> None:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    fd = open_directory(parent, name, found, ours=True)
    try:
        if found.st_mode & 0o700 != 0o700:
            os.fchmod(fd, 0o700)
        if depth >= _LEVELS:
            deep.take(parent, name)
            return
        for child in os.listdir(fd):
            _remove_entry(fd, child, deep, depth + 1)
    finally:
        os.close(fd)
    os.rmdir(name, dir_fd=parent)
