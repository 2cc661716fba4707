"""A real copy of a tree: reflink where the filesystem has it, never a hard link (D14), no socket, FIFO or device.

Symbolic links stay what they are, set-id bits and extended attributes stay behind, holes stay holes.
"""

import errno
import fcntl
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from bot_bottle.base.errors import AgentFault, HostFault
from bot_bottle.bottles.workspace.reach import DEFAULT, Entry, Limits, Tree

FICLONE = 0x40049409
_NO_REFLINK = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM}
_CHUNK = 1 << 20


@dataclass(slots=True)
class Copied:
    """What a copy holds, and what was left out and why (relative path -> reason)."""

    files: int = 0
    size: int = 0
    reflinked: bool = False
    left_out: dict[str, str] = field(default_factory=dict[str, str])


def copy_tree(
    source: Tree,
    target: str,
    limits: Limits = DEFAULT,
    skip: Callable[[Entry], bool] | None = None,
) -> Copied:
    """Copies everything below `source` that `skip` does not name into the empty directory `target`, which is ours.

    Raises AgentFault at a limit, HostFault on a full disk.
    """
    done = Copied(reflinked=True)
    modes: list[tuple[str, int]] = []
    skipped = skip or _nothing

    def enter(entry: Entry) -> bool:
        return not skipped(entry)

    closed: list[str] = []
    try:
        for entry in source.walk(limits, enter, closed):
            if not skipped(entry):
                _copy_entry(source, entry, os.path.join(target, entry.path), done, modes)
        done.left_out |= dict.fromkeys(closed, "unreadable")
        for path, mode in reversed(modes):
            os.chmod(path, mode)
    except OSError as error:
        raise _disk(error, target) from None
    return done


def _nothing(_: Entry) -> bool:
    return False


def _copy_entry(source: Tree, entry: Entry, target: str, done: Copied, modes: list[tuple[str, int]]) -> None:
    if entry.kind == "dir":
        os.mkdir(target, 0o700)
        modes.append((target, (entry.stat.st_mode & 0o777) | 0o700))
    elif entry.kind == "link":
        _copy_link(source, entry, target, done)
    elif entry.kind == "file":
        _copy_regular(source, entry, target, done)
    else:
        done.left_out[entry.path] = entry.kind


def _copy_link(source: Tree, entry: Entry, target: str, done: Copied) -> None:
    try:
        aim = source.link(entry.path)
    except OSError:
        done.left_out[entry.path] = "changed meanwhile"
        return
    os.symlink(aim, os.fsencode(target))
    done.files += 1


def _copy_regular(source: Tree, entry: Entry, target: str, done: Copied) -> None:
    try:
        fd = source.open_file(entry.path)
    except (OSError, AgentFault) as error:
        done.left_out[entry.path] = "unreadable" if isinstance(error, PermissionError) else "changed meanwhile"
        return
    try:
        done.size += copy_file(fd, target, done)
        done.files += 1
    finally:
        os.close(fd)


def copy_file(fd: int, target: str, done: Copied) -> int:
    """Copies an open regular file to a new path with mode and mtime; its size. Raises OSError."""
    found = os.fstat(fd)
    out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        if not (done.reflinked and found.st_size and _reflink(fd, out, done)):
            _copy_bytes(fd, out, found)
        os.fchmod(out, found.st_mode & 0o777)
        os.utime(out, ns=(found.st_atime_ns, found.st_mtime_ns))
    finally:
        os.close(out)
    return found.st_size


def _reflink(fd: int, out: int, done: Copied) -> bool:
    try:
        fcntl.ioctl(out, FICLONE, fd)
    except OSError as error:
        if error.errno not in _NO_REFLINK:
            raise
        done.reflinked = False
        return False
    return True


def _copy_bytes(fd: int, out: int, found: os.stat_result) -> None:
    if found.st_blocks * 512 >= found.st_size:
        _copy_range(fd, out, 0, found.st_size)
        return
    at = 0
    while at < found.st_size:  # only the parts that hold data: the rest stays a hole
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        _copy_range(fd, out, start, at)
    os.ftruncate(out, found.st_size)


def _copy_range(fd: int, out: int, start: int, end: int) -> None:
    at = start
    while at < end:
        try:
            moved = os.copy_file_range(fd, out, min(end - at, 1 << 30), at, at)
        except OSError as error:
            if error.errno not in _NO_REFLINK:
                raise
            moved = _pump(fd, out, at, end)
        if not moved:
            return  # the file became shorter while it was read
        at += moved


def _pump(fd: int, out: int, at: int, end: int) -> int:
    data = os.pread(fd, min(_CHUNK, end - at), at)
    written = 0
    while written < len(data):
        written += os.pwrite(out, data[written:], at + written)
    return written


def _disk(error: OSError, target: str) -> HostFault:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return HostFault("workspace.disk-full", f"No space left for the copy in {target}.", "Free some space there.")
    return HostFault("workspace.copy", f"The copy in {target} failed: {error.strerror}.")
