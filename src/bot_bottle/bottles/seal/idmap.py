"""As root the agent is another host user: an idmapped mount shows it a tree as its own, and what it writes as the
owner's outside. Where the filesystem cannot do that, only a tree that we made may be given away; nothing else.
"""

import errno
import os
import stat

from bot_bottle.base.errors import HostFault
from bot_bottle.bottles.seal import kernel
from bot_bottle.bottles.seal.ids import Ids, user_namespace
from bot_bottle.bottles.seal.spec import Bind

Tree = int
CAP_SYS_ADMIN = 21


def has_power(status: str = "/proc/self/status") -> bool:
    """Whether root may map owners here; a container's root mostly may not. True for a user, who need not."""
    if os.geteuid() != 0:
        return True
    with open(status) as file:
        held = next((line.split()[1] for line in file if line.startswith("CapEff:")), "0")
    return bool(int(held, 16) >> CAP_SYS_ADMIN & 1)


class Tables:
    """One user namespace per owner, shared by all mounts of one bottle."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._made: dict[tuple[int, int], int] = {}

    def for_owner(self, owner: os.stat_result) -> int:
        key = (owner.st_uid, owner.st_gid)
        if key not in self._made:
            self._made[key] = ownership_table(owner, self._ids)
        return self._made[key]


def clone(bind: Bind, ids: Ids, tables: Tables) -> Tree | None:
    """A detached mount of the bind's source, mapped if it asks for it. Runs before the helper loses root's powers.

    None where root has no power over mounts (a container's root without CAP_SYS_ADMIN): then it is bound by its path.
    """
    try:
        tree = kernel.clone_tree(bind.source)
    except OSError as error:
        if error.errno != errno.EPERM:
            raise
        without_map(bind, ids, "root has no CAP_SYS_ADMIN here")
        return None
    if bind.mapped:
        try:
            kernel.map_owner(tree, tables.for_owner(os.stat(bind.source)))
        except OSError as error:
            without_map(bind, ids, f"its filesystem has no idmapped mounts ({error.strerror})")
    return tree


def without_map(bind: Bind, ids: Ids, why: str) -> None:
    """No idmapped mount: our own trees are given to the agent, others can be shown only if anybody may read them."""
    if not bind.mapped:
        return
    if bind.ours:
        give_away(bind.source, ids)
    elif bind.writable:
        raise HostFault(
            "host.no-idmap",
            f"The agent cannot write in {bind.source}: it is not bot-bottle's own, and {why}.",
            "Use `workspace: {mode: copy}` and read-only mounts, or start bot-bottle as the owner of the directory.",
        )
    elif not readable_by_all(os.stat(bind.source)):
        raise HostFault(
            "host.no-idmap",
            f"The agent cannot read {bind.source}: its mode lets only the owner in, and {why}.",
            "Let others read it, or start bot-bottle as its owner.",
        )


def readable_by_all(found: os.stat_result) -> bool:
    wanted = 0o005 if stat.S_ISDIR(found.st_mode) else 0o004
    return found.st_mode & wanted == wanted


def ownership_table(owner: os.stat_result, ids: Ids) -> int:
    """A user namespace that only says: this owner is the agent. Its descriptor."""
    return user_namespace(f"{owner.st_uid} {ids.uid} 1", f"{owner.st_gid} {ids.gid} 1")


def give_away(path: str, ids: Ids) -> None:
    """Changes the owner of a tree of ours. No bottle runs on it; symbolic links are not followed (D22)."""
    give(path, ids)
    if not os.path.isdir(path):
        return
    for _, directories, files, at in os.fwalk(path, follow_symlinks=False):
        for name in (*directories, *files):
            give(name, ids, at)


def give(name: str, ids: Ids, at: int | None = None) -> None:
    """What is the agent's already keeps its ctime, by which later changes are told."""
    found = os.stat(name, dir_fd=at, follow_symlinks=False)
    if (found.st_uid, found.st_gid) != (ids.uid, ids.gid):
        os.chown(name, ids.uid, ids.gid, dir_fd=at, follow_symlinks=False)
