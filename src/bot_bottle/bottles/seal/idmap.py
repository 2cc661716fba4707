"""As root the agent is another host user: an idmapped mount shows it a tree as its own, and what it writes as the
owner's outside. Where the filesystem cannot do that, only a tree that we made may be given away; nothing else.
"""

import os

from bot_bottle.base.errors import HostFault
from bot_bottle.bottles.seal import kernel
from bot_bottle.bottles.seal.ids import Ids, user_namespace
from bot_bottle.bottles.seal.spec import Bind

Tree = int


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


def clone(bind: Bind, ids: Ids, tables: Tables) -> Tree:
    """A detached mount of the bind's source, mapped if it asks for it. Runs before the helper loses root's powers."""
    tree = kernel.clone_tree(bind.source)
    if bind.mapped:
        try:
            kernel.map_owner(tree, tables.for_owner(os.stat(bind.source)))
        except OSError as error:
            without_map(bind, ids, error)
    return tree


def without_map(bind: Bind, ids: Ids, error: OSError) -> None:
    """No idmapped mounts on this filesystem: read-only trees stay as they are, our own are given to the agent."""
    if bind.ours and bind.writable:
        give_away(bind.source, ids)
    elif bind.writable:
        raise HostFault(
            "host.no-idmap",
            f"The filesystem of {bind.source} has no idmapped mounts ({error.strerror}), which root needs here.",
            "Use `workspace: {mode: copy}`, or start bot-bottle as the owner of the directory.",
        )


def ownership_table(owner: os.stat_result, ids: Ids) -> int:
    """A user namespace that only says: this owner is the agent. Its descriptor."""
    return user_namespace(f"{owner.st_uid} {ids.uid} 1", f"{owner.st_gid} {ids.gid} 1")


def give_away(path: str, ids: Ids) -> None:
    """Changes the owner of a tree of ours. No bottle runs on it; symbolic links are not followed (D22)."""
    os.chown(path, ids.uid, ids.gid, follow_symlinks=False)
    if not os.path.isdir(path):
        return
    for _, directories, files, at in os.fwalk(path, follow_symlinks=False):
        for name in (*directories, *files):
            os.chown(name, ids.uid, ids.gid, dir_fd=at, follow_symlinks=False)
