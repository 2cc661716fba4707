"""What `binding` protected in a bound workspace: remembered at the start, compared at the end, cleaned away (D04)."""

import contextlib
import hashlib
import os
import stat

import msgspec

from bot_bottle.base.errors import AgentFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.workspace.reach import Tree

CREATED = "created"
ROOT = "root.json"
COMMONDIR = b".\n"


class Guard(msgspec.Struct, frozen=True):
    """One protected absolute path at the start. ino: of the entry; digest: sha256 of a file, "" of a directory,
    ``absent`` where nothing was."""

    path: str
    ino: int
    digest: str


def digest(path: str) -> str:
    """sha256 of a file; of a directory that is read-only as a whole nothing is needed but its inode."""
    if os.path.isdir(path):
        return ""
    with Tree(os.path.dirname(path)) as tree:
        return hashlib.sha256(tree.read(os.path.basename(path), 64_000_000)).hexdigest()


def check(guards: tuple[Guard, ...]) -> list[str]:
    """Sentences about every protected path that is not what it was. Empty: a host tool may touch the tree."""
    broken: list[str] = []
    for one in guards:
        try:
            found = os.lstat(one.path)
            same = found.st_ino == one.ino and (one.digest == "absent" or digest(one.path) == one.digest)
            if one.digest == "absent":
                same = same and (found.st_size == 0 or (os.path.isdir(one.path) and not os.listdir(one.path)))
        except (OSError, AgentFault):
            same = False
        if not same:
            broken.append(f"{visible(one.path)} is not what it was at the start")
    return broken


def _is_own_commondir(path: str) -> bool:
    return digest(path) == hashlib.sha256(COMMONDIR).hexdigest()


def create(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(fd, "wb") as file:
        file.write(data)


class Root(msgspec.Struct, frozen=True):
    """The directory of a bound workspace at the start: it is no entry of itself, so no mark speaks of it."""

    path: bytes
    ino: int
    mode: int
    group: int


def remember_root(state: str, path: str) -> None:
    found = os.stat(path)
    with open(os.path.join(state, ROOT), "wb") as file:
        file.write(
            msgspec.json.encode(Root(os.fsencode(path), found.st_ino, stat.S_IMODE(found.st_mode), found.st_gid))
        )


def restore_root(state: str) -> list[str]:
    """Gives the workspace's own directory its mode and group back, if it is still that one. What was changed.

    Once: what the person changes afterwards stays."""
    try:
        with open(os.path.join(state, ROOT), "rb") as file:
            was = msgspec.json.decode(file.read(), type=Root)
        os.unlink(file.name)
        top = os.open(was.path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except (OSError, msgspec.MsgspecError):
        return []
    where = visible(os.fsdecode(was.path))
    try:
        now = os.fstat(top)
        mode = stat.S_IMODE(now.st_mode)
        if now.st_ino != was.ino or (mode, now.st_gid) == (was.mode, was.group):
            return []
        here = f"/proc/self/fd/{top}"  # a mode that keeps us from opening it is one of those to set back
        if now.st_gid != was.group:
            os.chown(here, -1, was.group)
        os.chmod(here, was.mode)
    except OSError as error:
        return [f"the mode or group of {where} was changed and stays so: {error.strerror}"]
    finally:
        os.close(top)
    return [f"the mode or group of {where} was changed (mode {mode:o}) and set back to {was.mode:o}"]


def uncover(state: str) -> None:
    """Removes the empty mount points that `guard` made in the source, if they are still empty; the directory of the
    workspace gets its mode back. Safe to repeat."""
    restore_root(state)
    try:
        with open(os.path.join(state, CREATED), "rb") as file:
            created = [os.fsdecode(name) for name in file.read().split(b"\0") if name]
    except FileNotFoundError:
        return
    for path in reversed(created):
        with contextlib.suppress(OSError, AgentFault):
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode):
                os.rmdir(path)
            elif found.st_size == 0 or (path.endswith("/commondir") and _is_own_commondir(path)):
                os.unlink(path)
