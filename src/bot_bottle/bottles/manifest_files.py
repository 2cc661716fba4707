"""Opens manifest files: regular, small, and - inside a repository - without following any link (D21)."""

import os
import stat

from bot_bottle.base.errors import ManifestFault, OperatorFault, Problem
from bot_bottle.policy.frontmatter import MAX_BYTES

_FLAGS = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY


def read_home(path: str, limit: int = MAX_BYTES) -> bytes | None:
    """A file of the person, links followed; None where there is none. Raises OperatorFault where others may write."""
    try:
        fd = os.open(path, _FLAGS)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(path, error.strerror or "") from None
    raw, mode, owner = _drain(fd, path, limit)
    if mode & stat.S_IWOTH or owner not in (0, os.geteuid()):
        raise OperatorFault(
            "manifest.unsafe-file",
            f"{path} can be written by other users.",
            f"Run: chmod go-w {path}; and check that you own it.",
        )
    return raw


def read_beneath(root: str, parts: tuple[str, ...], limit: int = MAX_BYTES) -> bytes | None:
    """A regular file below `root`, no component of which is a link; None where there is none."""
    fd = open_beneath(root, parts, _FLAGS)
    return None if fd is None else _drain(fd, os.path.join(root, *parts), limit)[0]


def open_beneath(root: str, parts: tuple[str, ...], flags: int) -> int | None:
    """Opens root/parts step by step without following links below root. Raises ManifestFault for a link."""
    fd = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for position, part in enumerate(parts):
            last = position == len(parts) - 1
            step = flags if last else os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
            try:
                inner = os.open(part, step | os.O_NOFOLLOW, dir_fd=fd)
            except FileNotFoundError:
                return None
            except OSError as error:
                where = os.path.join(root, *parts[: position + 1])
                raise _unreadable(where, f"it is a link or no directory ({error.strerror})") from None
            os.close(fd)
            fd = inner
        result, fd = fd, -1
        return result
    finally:
        if fd >= 0:
            os.close(fd)


def _drain(fd: int, path: str, limit: int) -> tuple[bytes, int, int]:
    """(content, mode, owner) of an open regular file; closes it."""
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise _unreadable(path, "it is not a regular file")
        with open(fd, "rb", closefd=False) as file:
            return file.read(limit + 1), found.st_mode, found.st_uid
    finally:
        os.close(fd)


def _unreadable(path: str, reason: str) -> ManifestFault:
    return ManifestFault([Problem("manifest.unreadable", f"cannot be read: {reason}", path)])
