"""Three-way, per file: the tree at the start, the person's tree now, the bottle's result (issue part 5).

The source unchanged since the start -> the result; changed in the same way -> nothing to do; changed differently ->
`git merge-file` on three temporary files; everything else is a conflict, and a conflict stops the whole.
"""

import os
import stat
import tempfile
from dataclasses import dataclass, field

from bot_bottle.base.errors import AgentFault, HostFault
from bot_bottle.bottles.workspace import bare, hostgit
from bot_bottle.bottles.workspace.changes import Change, blob_name, blob_name_of_fd
from bot_bottle.bottles.workspace.rawdiff import NONE
from bot_bottle.bottles.workspace.reach import Tree
from bot_bottle.bottles.workspace.writing import Write

MERGE_BYTES = 10_000_000


@dataclass(slots=True)
class Decided:
    """writes: to carry out. merged: paths with both sides' lines. same: as wanted already. conflicts: path -> why."""

    writes: list[Write] = field(default_factory=list[Write])
    merged: list[str] = field(default_factory=list[str])
    same: list[str] = field(default_factory=list[str])
    conflicts: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(frozen=True, slots=True)
class _Now:
    """The person's side: git mode and blob name, zeros where nothing is."""

    mode: str
    blob: str
    seen: os.stat_result | None


@dataclass(frozen=True, slots=True)
class _Desk:
    """The person's tree, the checked blobs, a directory of ours for merging."""

    tree: Tree
    blobs: dict[str, bare.Slice]
    scratch: str


def decide(tree: Tree, changes: tuple[Change, ...], repository: str, scratch: str) -> Decided:
    """What applying means, without writing into `tree`. scratch: a directory of ours for content."""
    out = Decided()
    names = (
        name for c in changes for name in (c.old, c.new) if name != NONE and "160000" not in (c.old_mode, c.new_mode)
    )
    desk = _Desk(tree, bare.lay_blobs(repository, names, os.path.join(scratch, "blobs")), scratch)
    for change in sorted(changes, key=lambda c: c.new_mode != "000000"):  # what is removed makes room first
        try:
            _decide_one(desk, change, out)
        except (OSError, AgentFault) as error:
            out.conflicts[change.path] = f"it cannot be read: {error}"
    return out


def _decide_one(desk: _Desk, change: Change, out: Decided) -> None:
    now = _look(desk.tree, change.path, {write.path for write in out.writes if write.content is None})
    if isinstance(now, str):
        out.conflicts[change.path] = now
    elif (now.mode, now.blob) == (change.new_mode, change.new):
        out.same.append(change.path)
    elif change.known and (now.mode, now.blob) == (change.old_mode, change.old):
        out.writes.append(_write(change, desk, now.seen))
    elif not change.known:
        out.conflicts[change.path] = "it changed in the source, which served as the start of a large tree"
    else:
        _merge(desk, change, now, out)


def _look(tree: Tree, path: str, removed: set[str]) -> _Now | str:
    if _blocked(tree, path, removed):
        return "a file or link stands where its directory would be"
    found = tree.stat(path)
    if found is None:
        return _Now("000000", NONE, None)
    if stat.S_ISLNK(found.st_mode):
        return _Now("120000", blob_name(tree.link(path)), found)
    if stat.S_ISDIR(found.st_mode):
        return _Now("000000", NONE, None) if _emptied(tree, path, removed) else "a directory stands there"
    if not stat.S_ISREG(found.st_mode):
        return "something that is no file stands there"
    fd = tree.open_file(path)
    try:
        return _Now("100755" if found.st_mode & 0o100 else "100644", blob_name_of_fd(fd), found)
    finally:
        os.close(fd)


def _blocked(tree: Tree, path: str, removed: set[str]) -> bool:
    """Whether a parent of the path exists, is no directory (a link counts as none) and will not be removed."""
    parts = path.split("/")
    for count in range(1, len(parts)):
        at = "/".join(parts[:count])
        found = tree.stat(at)
        if found is None or at in removed:
            return False
        if not stat.S_ISDIR(found.st_mode):
            return True
    return False


def _emptied(tree: Tree, path: str, removed: set[str]) -> bool:
    """Whether nothing but directories is left below the directory once `removed` are gone."""
    fd = tree.directory(path)
    with Tree(f"/proc/self/fd/{fd}") as below:
        os.close(fd)
        return all(entry.kind == "dir" or f"{path}/{entry.path}" in removed for entry in below.walk())


def _write(change: Change, desk: _Desk, seen: os.stat_result | None) -> Write:
    if change.new_mode == "000000":
        return Write(change.path, None, seen=seen)
    if change.new_mode not in ("100644", "100755", "120000"):
        raise AgentFault("workspace.submodule", "It is a commit of another repository.")
    content = desk.blobs[change.new]
    if change.new_mode == "120000":
        return Write(change.path, content.read(), link=True, seen=seen)
    return Write(change.path, content, change.new_mode == "100755", seen=seen)


def _merge(desk: _Desk, change: Change, now: _Now, out: Decided) -> None:
    regular = ("100644", "100755")
    if not all(mode in regular for mode in (change.old_mode, change.new_mode, now.mode)):
        out.conflicts[change.path] = _describe(change, now)
        return
    if now.seen is None or max(now.seen.st_size, change.size, desk.blobs[change.old].size) > MERGE_BYTES:
        out.conflicts[change.path] = "both sides changed it, and it is too large to merge"
        return
    ours = desk.tree.read(change.path, MERGE_BYTES)
    merged = merge_file(ours, desk.blobs[change.old].read(), desk.blobs[change.new].read(), desk.scratch)
    if merged is None:
        out.conflicts[change.path] = "both sides changed the same lines"
        return
    executable = (now.mode if now.mode != change.old_mode else change.new_mode) == "100755"
    out.merged.append(change.path)
    out.writes.append(Write(change.path, merged, executable, seen=now.seen))


def _describe(change: Change, now: _Now) -> str:
    if now.seen is None:
        return "it was removed in the source and changed in the bottle"
    if change.new_mode == "000000":
        return "it was changed in the source and removed in the bottle"
    if change.old_mode == "000000":
        return "both sides added it, with different content"
    return "both sides changed it, and one of them is a link"


def merge_file(ours: bytes, base: bytes, theirs: bytes, scratch: str) -> bytes | None:
    """The merge of three texts, or None where lines conflict or a side is binary. Equal sides need no git."""
    if ours in (base, theirs):
        return theirs
    if theirs == base:
        return ours
    with tempfile.TemporaryDirectory(dir=scratch) as directory:
        names = [os.path.join(directory, name) for name in ("ours", "base", "theirs")]
        for name, data in zip(names, (ours, base, theirs), strict=True):
            with open(name, "wb") as file:
                file.write(data)
        try:
            return hostgit.run(["merge-file", "-p", "-q", "--", *names])
        except HostFault:
            return None
