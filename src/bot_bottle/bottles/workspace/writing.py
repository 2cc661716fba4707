"""Writes changes into the person's tree: all of them or none, never through a link (D13, D22, B65).

New content is laid beside its place first; only when everything lies there is it moved in, and what stood there is
kept until the end, so that a failure at any point puts the tree back.
"""

import contextlib
import errno
import os
import secrets
import stat
from dataclasses import dataclass

from bot_bottle.base.errors import HostFault, OperatorFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.workspace.bare import Slice
from bot_bottle.bottles.workspace.reach import Tree, open_beneath


@dataclass(frozen=True, slots=True)
class Write:
    """What shall be at `path`: content None removes. link: content is the target of a symbolic link.

    seen: lstat when it was decided, None for absent.
    """

    path: str
    content: bytes | Slice | None
    executable: bool = False
    link: bool = False
    seen: os.stat_result | None = None


@dataclass(slots=True)
class _Step:
    write: Write
    parent: int
    name: str
    fresh: str = ""
    saved: str = ""
    saved_in: int = -1
    moved: bool = False


@dataclass(frozen=True, slots=True)
class _Directory:
    """A directory that was made (mode None) or removed because it was empty (its mode)."""

    path: str
    mode: int | None = None


def write_all(tree: Tree, writes: list[Write]) -> None:
    """Carries out all writes. Raises OperatorFault when the tree changed since `seen`, HostFault; then nothing is."""
    made: list[_Directory] = []
    steps: list[_Step] = []
    order = sorted(writes, key=lambda w: (w.content is not None, w.path))  # removals make room for directories
    try:
        for write in (w for w in order if w.content is None):
            _remove(tree, write, steps)
        for write in (w for w in order if w.content is None):
            _prune(tree, write.path, made)
        for write in (w for w in order if w.content is not None):
            _lay(tree, write, steps, made)
        for step in steps:
            _move_in(tree, step)
    except BaseException as error:
        _undo(tree, steps, made)
        if isinstance(error, OSError):
            raise HostFault(
                "workspace.write", f"Writing the changes failed: {error.strerror}; nothing is changed."
            ) from None
        raise
    _finish(tree, steps)


def _remove(tree: Tree, write: Write, steps: list[_Step]) -> None:
    """A removal is a rename aside; the file is unlinked when all else is done."""
    parent, name = _parent(tree, write.path)
    step = _Step(write, parent, name)
    steps.append(step)
    _check_seen(step)
    _save(tree, step)


def _lay(tree: Tree, write: Write, steps: list[_Step], made: list[_Directory]) -> None:
    _make_parents(tree, write.path, made)
    parent, name = _parent(tree, write.path)
    step = _Step(write, parent, name)
    steps.append(step)
    _check_seen(step)
    step.fresh = f".bot-bottle-{secrets.token_hex(8)}"
    if write.link and isinstance(write.content, bytes):
        os.symlink(write.content, os.fsencode(step.fresh), dir_fd=parent)
        return
    mode = _mode(write)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(step.fresh, flags, 0o600, dir_fd=parent)
    with os.fdopen(fd, "wb") as file:
        if isinstance(write.content, bytes):
            file.write(write.content)
        elif write.content:
            file.writelines(write.content.chunks())
        file.flush()
        os.fchmod(fd, mode)
        _own_like(fd, os.fstat(parent))


def _mode(write: Write) -> int:
    """The permissions that the file has; for a new one what the person's umask gives; only x follows the change."""
    if write.seen and stat.S_ISREG(write.seen.st_mode):
        mode = stat.S_IMODE(write.seen.st_mode) & 0o777
    else:
        mode = 0o666 & ~_umask()
    return mode | ((mode & 0o444) >> 2) if write.executable else mode & ~0o111


def _umask() -> int:
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o022


def _own_like(fd: int, parent: os.stat_result) -> None:
    """Root works for whoever owns the directory: the file becomes theirs."""
    if os.geteuid() == 0 and (parent.st_uid, parent.st_gid) != (0, 0):
        os.fchown(fd, parent.st_uid, parent.st_gid)


def _parent(tree: Tree, path: str) -> tuple[int, str]:
    directory, _, name = path.rpartition("/")
    try:
        return tree.directory(directory), name
    except OSError as error:
        raise OperatorFault(
            "workspace.link-in-source",
            f"{visible(directory)} cannot be entered without following a link: {error.strerror}.",
        ) from None


def _make_parents(tree: Tree, path: str, made: list[_Directory]) -> None:
    parts = path.split("/")[:-1]
    for count in range(1, len(parts) + 1):
        at = "/".join(parts[:count])
        if tree.stat(at) is None:
            parent, name = _parent(tree, at)
            try:
                os.mkdir(name, 0o777, dir_fd=parent)
                made.append(_Directory(at))
                fd = open_beneath(parent, name, os.O_RDONLY | os.O_DIRECTORY)
                try:
                    _own_like(fd, os.fstat(parent))
                finally:
                    os.close(fd)
            finally:
                os.close(parent)


def _check_seen(step: _Step) -> None:
    try:
        now = os.stat(step.name, dir_fd=step.parent, follow_symlinks=False)
    except FileNotFoundError:
        now = None
    seen = step.write.seen
    same = now is None and seen is None
    if now and seen:
        same = (now.st_ino, now.st_ctime_ns, now.st_size) == (seen.st_ino, seen.st_ctime_ns, seen.st_size)
    if not same:
        raise OperatorFault(
            "workspace.moving",
            f"{visible(step.write.path)} changed while the changes were being applied.",
            "Try again.",
        )


def _save(tree: Tree, step: _Step) -> None:
    """Moves what stands there to the root of the tree, so that its directory can go; across a mount, aside."""
    if step.write.seen is None:
        return
    saved = f".bot-bottle-{secrets.token_hex(8)}"
    for place in (tree.fd, step.parent):
        try:
            os.rename(step.name, saved, src_dir_fd=step.parent, dst_dir_fd=place)
        except OSError as error:
            if error.errno != errno.EXDEV or place == step.parent:
                raise
        else:
            step.saved, step.saved_in = saved, place
            return


def _move_in(tree: Tree, step: _Step) -> None:
    if not step.fresh:
        return
    _save(tree, step)
    os.rename(step.fresh, step.name, src_dir_fd=step.parent, dst_dir_fd=step.parent)
    step.fresh, step.moved = "", True


def _undo(tree: Tree, steps: list[_Step], made: list[_Directory]) -> None:
    """Puts everything back, as far as that is possible; each piece on its own."""
    for step in steps:
        with contextlib.suppress(OSError):
            if step.moved:
                os.unlink(step.name, dir_fd=step.parent)
            elif step.fresh:
                os.unlink(step.fresh, dir_fd=step.parent)
    for directory in reversed(made):
        with contextlib.suppress(OSError, OperatorFault):
            _put_back(tree, directory)
    for step in steps:
        with contextlib.suppress(OSError, OperatorFault):
            if step.saved:
                parent, name = _parent(tree, step.write.path)  # its directory may be a new one
                os.rename(step.saved, name, src_dir_fd=step.saved_in, dst_dir_fd=parent)
                os.close(parent)
        os.close(step.parent)


def _put_back(tree: Tree, directory: _Directory) -> None:
    parent, name = _parent(tree, directory.path)
    try:
        if directory.mode is None:
            os.rmdir(name, dir_fd=parent)
        else:
            os.mkdir(name, directory.mode, dir_fd=parent)
    finally:
        os.close(parent)


def _finish(tree: Tree, steps: list[_Step]) -> None:
    for step in steps:
        if step.saved:
            os.unlink(step.saved, dir_fd=step.saved_in)
    for step in steps:
        os.close(step.parent)
        if step.write.content is None:
            _prune(tree, step.write.path, [])


def _prune(tree: Tree, path: str, made: list[_Directory]) -> None:
    """Directories that a removal left empty go, too: git knows none."""
    at = path.rpartition("/")[0]
    while at:
        found = tree.stat(at)
        try:
            parent, name = _parent(tree, at)
        except OperatorFault:
            return
        try:
            os.rmdir(name, dir_fd=parent)
            made.append(_Directory(at, stat.S_IMODE(found.st_mode) if found else 0o755))
        except OSError:
            return
        finally:
            os.close(parent)
        at = at.rpartition("/")[0]
