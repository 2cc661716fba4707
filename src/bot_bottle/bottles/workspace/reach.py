"""The one module that opens what lies in trees which a bottle wrote (D22), or in a source that it may not redirect.

Every open is openat2 with RESOLVE_BENEATH | NO_SYMLINKS | NO_MAGICLINKS and O_NONBLOCK, and must give a regular
file; every walk is bounded by entries, depth and time. A link is never followed, a FIFO never waited for.
Where the kernel lacks openat2 (before 5.6, or an old container filter) each component is opened with O_NOFOLLOW.
"""

import ctypes
import errno
import functools
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from bot_bottle.base.errors import AgentFault

OPENAT2 = 437
NO_MAGICLINKS, NO_SYMLINKS, BENEATH = 0x02, 0x04, 0x08
RESOLVE = BENEATH | NO_SYMLINKS | NO_MAGICLINKS
DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "link",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
    stat.S_IFCHR: "device",
    stat.S_IFBLK: "device",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of a tree is looked at before it is refused: entries, levels, seconds."""

    entries: int = 500_000
    depth: int = 200
    seconds: float = 120


DEFAULT = Limits()


class Entry(NamedTuple):
    """path: relative to the root, no leading slash. kind: file | dir | link | fifo | socket | device."""

    path: str
    kind: str
    stat: os.stat_result


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def kind_of(mode: int) -> str:
    """The kind of a file by its st_mode."""
    return _KINDS.get(stat.S_IFMT(mode), "device")


def check_relative(path: str) -> str:
    """The path, if it can only name something below a root. Raises AgentFault."""
    parts = path.split("/")
    if not path or "\0" in path or any(part in ("", ".", "..") for part in parts):
        raise AgentFault("workspace.path", "A path in the bottle's tree is not below its root.")
    return path


def open_beneath(root: int, path: str, flags: int, mode: int = 0) -> int:
    """A descriptor of `path` below the directory `root`, no component a link. Raises OSError (ELOOP for a link)."""
    check_relative(path)
    flags |= os.O_CLOEXEC | os.O_NOFOLLOW | (0 if flags & os.O_PATH else os.O_NONBLOCK)
    if not _has_openat2():
        return _open_by_component(root, path, flags, mode)
    how = _How(flags, mode, RESOLVE)
    code = errno.EAGAIN
    for _ in range(16):  # EAGAIN: a rename elsewhere raced with the kernel's check of "beneath"
        fd = _libc().syscall(OPENAT2, root, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        if code not in (errno.EAGAIN, errno.EINTR):
            break
    raise OSError(code, os.strerror(code), path)


@functools.cache
def _has_openat2() -> bool:
    how = _How(os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, 0, RESOLVE)
    fd = _libc().syscall(OPENAT2, -100, b".", ctypes.byref(how), ctypes.sizeof(how))
    if fd >= 0:
        os.close(fd)
    return fd >= 0 or ctypes.get_errno() not in (errno.ENOSYS, errno.EPERM)


def _open_by_component(root: int, path: str, flags: int, mode: int) -> int:
    *parents, name = path.split("/")
    at = root
    try:
        for part in parents:
            deeper = os.open(part, DIRECTORY, dir_fd=at)
            if at != root:
                os.close(at)
            at = deeper
        return os.open(name, flags, mode, dir_fd=at)
    finally:
        if at != root:
            os.close(at)


class Tree:
    """A directory held by descriptor: whatever happens to its path, this is the tree that was opened."""

    def __init__(self, path: str, ours: bool = False) -> None:
        """ours: the tree is of our making, so that a directory of mode 000 in it may be opened up."""
        self.path = path
        self.ours = ours
        self.fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> "Tree":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def stat(self, path: str) -> os.stat_result | None:
        """lstat below the root; None where nothing is, or where a component is a link."""
        try:
            fd = open_beneath(self.fd, path, os.O_PATH)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EXDEV):
                return None
            raise
        try:
            return os.fstat(fd)
        finally:
            os.close(fd)

    def open_file(self, path: str) -> int:
        """A readable descriptor of a regular file. Raises AgentFault for anything else, OSError."""
        fd = open_beneath(self.fd, path, os.O_RDONLY)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise AgentFault("workspace.not-a-file", "A path in the tree is no regular file where one was expected.")
        return fd

    def read(self, path: str, limit: int) -> bytes:
        """The bytes of a regular file. Raises AgentFault above `limit` bytes, OSError."""
        fd = self.open_file(path)
        with os.fdopen(fd, "rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise AgentFault("workspace.file-size", f"A file in the tree is larger than {limit} bytes.")
        return data

    def link(self, path: str) -> bytes:
        """The target of a symbolic link, as bytes, without following it."""
        fd = open_beneath(self.fd, path, os.O_PATH)
        try:
            return os.fsencode(os.readlink("", dir_fd=fd))
        finally:
            os.close(fd)

    def directory(self, path: str) -> int:
        """A descriptor of the directory `path` ("" is the root). Raises OSError where a component is a link."""
        return open_beneath(self.fd, path, os.O_RDONLY | os.O_DIRECTORY) if path else os.dup(self.fd)

    def walk(
        self,
        limits: Limits = DEFAULT,
        enter: Callable[[Entry], bool] | None = None,
        closed: list[str] | None = None,
    ) -> Iterator[Entry]:
        """Every entry below the root, parents first. enter: whether a directory is descended into.

        closed: takes the directories that may not be read; without it they raise PermissionError.
        """
        yield from _walk(os.dup(self.fd), "", _Walk(limits, enter, closed, self.ours), 0)


class _Walk:
    """The settings of one walk, and what it has spent."""

    def __init__(
        self, limits: Limits, enter: Callable[[Entry], bool] | None, closed: list[str] | None, ours: bool
    ) -> None:
        self.limits = limits
        self.enter = enter
        self.closed = closed
        self.ours = ours
        self.entries = 0
        self.until = time.monotonic() + limits.seconds

    def spend(self, depth: int) -> None:
        self.entries += 1
        if self.entries > self.limits.entries:
            raise AgentFault("workspace.entries", f"The tree has more than {self.limits.entries} entries.")
        if depth > self.limits.depth:
            raise AgentFault("workspace.depth", f"The tree is deeper than {self.limits.depth} levels.")
        if not self.entries & 0x3FF and time.monotonic() > self.until:
            raise AgentFault("workspace.time", f"The tree took longer than {self.limits.seconds:.0f} s to read.")

    def open(self, parent: int, name: str, entry: Entry) -> int:
        """-1 for a directory that may not be read."""
        try:
            return open_directory(parent, name, entry.stat, self.ours)
        except PermissionError:
            if self.closed is None:
                raise
            self.closed.append(entry.path)
            return -1


def _walk(fd: int, prefix: str, walk: _Walk, depth: int) -> Iterator[Entry]:
    """Owns and closes `fd`. One descriptor per level is open, so the depth limit bounds them too."""
    try:
        for name in sorted(os.listdir(fd)):
            walk.spend(depth)
            try:
                found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            except FileNotFoundError:
                continue
            entry = Entry(prefix + name, kind_of(found.st_mode), found)
            yield entry
            if entry.kind == "dir" and (walk.enter is None or walk.enter(entry)):
                inner = walk.open(fd, name, entry)
                if inner >= 0:
                    yield from _walk(inner, f"{entry.path}/", walk, depth + 1)
    finally:
        os.close(fd)


def open_directory(parent: int, name: str, found: os.stat_result, ours: bool) -> int:
    """Opens a directory entry; in a tree of ours one that its owner made unreadable is made readable first."""
    try:
        return os.open(name, DIRECTORY, dir_fd=parent)
    except PermissionError:
        if not ours or found.st_uid != os.geteuid():
            raise
        permit(parent, name, 0o700)
        return os.open(name, DIRECTORY, dir_fd=parent)


def permit(parent: int, name: str, bits: int) -> None:
    """Adds mode bits to an entry of `parent` that is no link, through a pinned descriptor."""
    fd = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        mode = os.fstat(fd).st_mode
        if not stat.S_ISLNK(mode):
            os.chmod(f"/proc/self/fd/{fd}", stat.S_IMODE(mode) | bits)
    finally:
        os.close(fd)
