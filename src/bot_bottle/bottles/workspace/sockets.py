"""Sockets of the host that appear in a bound workspace or a mount while a bottle runs (D14).

Whoever reaches one speaks to a process of the host as the person. What is there at the start is masked; no mount can
cover what does not exist yet, so this is watched: once a second, and the bottle is frozen. The kernel names every
bound socket of the host's own network namespace with the inode of its file, so a bottle's own sockets never count,
whoever owns them, and renaming the file hides nothing. A person's thaw accepts the socket.

Not seen: a socket of another network namespace (a container of the host); one bound by a relative name in a mount
that is read-only. A FIFO that appears later is a file like any other that the agent may write where it may write.
"""

import os
import socket
import stat
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bot_bottle.base.errors import AgentFault
from bot_bottle.bottles import sock_diag
from bot_bottle.bottles.plan import Mount, Plan
from bot_bottle.bottles.workspace.reach import Limits, Tree

_SHOW = 1 | 2  # name and file
_ASK = struct.Struct("=BBHIIIII")
_MESSAGE = 16  # struct unix_diag_msg
_LIMITS = Limits(entries=300_000, seconds=1)


@dataclass(frozen=True, slots=True)
class Bound:
    """One socket with a file: the low 32 bits of its inode, and the name it was bound by, perhaps relative."""

    inode: int
    name: str


def bound() -> Iterator[Bound]:
    """Every socket of our network namespace that has a file, by sock_diag(7). Raises OSError where there is none."""
    with sock_diag.open_link() as link:
        link.settimeout(1)
        about = _ASK.pack(socket.AF_UNIX, 0, 0, 0xFFFFFFFF, 0, _SHOW, 0xFFFFFFFF, 0xFFFFFFFF)
        sock_diag.ask(link, about)
        while True:
            for kind, body in sock_diag.messages(link.recv(1 << 18)):
                if kind == sock_diag.ERROR:
                    raise OSError("sock_diag")
                if kind == sock_diag.DONE:
                    return
                found = sock_diag.attributes(body[_MESSAGE:])
                if 1 in found:
                    name = found.get(0, b"").split(b"\0", 1)[0]
                    yield Bound(struct.unpack_from("=I", found[1])[0], os.fsdecode(name))


@dataclass(slots=True)
class Watch:
    """roots: directory of the host -> where the bottle sees it; writable: those in which it may rename.

    Made before the workspace is prepared: what exists then is masked by that; masks: paths inside that show nothing,
    set afterwards.
    """

    roots: Mapping[str, str]
    writable: frozenset[str] = frozenset()
    masks: frozenset[str] = frozenset()
    told: set[str] = field(default_factory=set[str])
    elsewhere: set[int] = field(default_factory=set[int])

    def __post_init__(self) -> None:
        self.elsewhere = {one.inode for one in self._bound() if not _file_of(one)}

    def appeared(self) -> str:
        """The path on the host of a socket that a bottle could reach now, each once; "" where there is none."""
        lost: set[int] = set()
        for one in self._bound():
            path = _file_of(one)
            if not path:
                lost.add(one.inode)
            elif self._is_new(path):
                return path
        return self._search(lost - self.elsewhere)

    def reason(self) -> str:
        """Why the bottle must not go on, or ""."""
        path = self.appeared()
        return f"a program of this machine opened the socket {path} where the bottle reaches it" if path else ""

    def _bound(self) -> list[Bound]:
        try:
            return list(bound())
        except OSError:
            return _named()

    def _is_new(self, path: str) -> bool:
        """Inside one of the roots, not masked there, not told before."""
        for root, inside in self.roots.items():
            if path.startswith(root + "/") and path not in self.told:
                if inside + path[len(root) :] in self.masks:
                    return False
                self.told.add(path)
                return True
        return False

    def _search(self, lost: set[int]) -> str:
        """Sockets whose name leads nowhere: bound by a relative name, or renamed since. Looked for once each."""
        if not lost:
            return ""
        self.elsewhere |= lost
        for root in self.writable:
            try:
                with Tree(root) as tree:
                    for entry in tree.walk(_LIMITS, closed=[]):
                        path = f"{root}/{entry.path}"
                        if entry.kind == "socket" and entry.stat.st_ino & 0xFFFFFFFF in lost and self._is_new(path):
                            return path
            except (OSError, AgentFault):
                continue
        return ""


def watch(plan: Plan) -> Watch | None:
    """For a bound workspace and mounted directories; None where a bottle sees no directory of the host."""
    shown = [Mount(plan.workspace.source, plan.workspace.source, "rw")] if plan.workspace.mode == "bind" else []
    shown += [mount for mount in plan.mounts if os.path.isdir(mount.source)]
    real = {os.path.realpath(mount.source): mount for mount in shown}
    if not real:
        return None
    return Watch(
        {source: mount.target for source, mount in real.items()},
        frozenset(source for source, mount in real.items() if mount.mode == "rw"),
    )


def _file_of(one: Bound) -> str:
    """The real path of a socket that is still where its name says, or ""."""
    if not one.name.startswith("/"):
        return ""
    path = os.path.join(os.path.realpath(os.path.dirname(one.name)), os.path.basename(one.name))
    try:
        found = os.lstat(path)
    except OSError:
        return ""
    same = not one.inode or found.st_ino & 0xFFFFFFFF == one.inode
    return path if stat.S_ISSOCK(found.st_mode) and same else ""


def _named(table: str = "/proc/net/unix") -> list[Bound]:
    """Where the kernel has no sock_diag: absolute names only, no inodes."""
    with open(table, encoding="utf-8", errors="surrogateescape") as file:
        named = [line.rstrip("\n").split(" ", 7)[-1] for line in file if line.count(" ") >= 7]
    return [Bound(0, name) for name in named if name.startswith("/")]
