"""Which paths of a bottle's tree may have changed: by marks alone, without reading a byte of content (D22).

A copy is compared with its marks at the start; an overlay's upper layer holds only what changed, deletions as
whiteouts (character device 0:0) and replaced directories with an opaque mark.
"""

import contextlib
import os
import stat
from dataclasses import dataclass, field

from bot_bottle.bottles.workspace import treenames
from bot_bottle.bottles.workspace.prepare import LIMITS, Prepared, is_git_dir
from bot_bottle.bottles.workspace.reach import Entry, Tree, permit
from bot_bottle.bottles.workspace.snapshot import Mark, Snapshot

FILE_BYTES, ALL_BYTES = 1_000_000_000, 4_000_000_000
_CONTENT = ("file", "link")


@dataclass(slots=True)
class Candidates:
    """root: host directory that holds the bottle's side. now: path -> mark of files and links there.

    was: path -> mark at the start; a path in only one of the two was added or deleted. left_out: path -> why.
    lost: paths whose content at the start is not known any more.
    """

    root: str
    was: dict[str, Mark] = field(default_factory=dict[str, Mark])
    now: dict[str, Mark] = field(default_factory=dict[str, Mark])
    left_out: dict[str, str] = field(default_factory=dict[str, str])
    lost: set[str] = field(default_factory=set[str])

    def paths(self) -> list[str]:
        return sorted(self.was.keys() | self.now.keys())

    def drop(self, path: str, why: str = "") -> None:
        self.was.pop(path, None)
        self.now.pop(path, None)
        if why:
            self.left_out[path] = why


def candidates(prepared: Prepared) -> Candidates:
    """All paths that may differ from the start. Raises AgentFault at a limit of the walk."""
    found = _of_overlay(prepared) if prepared.mode == "overlay" else _of_copy(prepared)
    for path in found.paths():
        why = treenames.refused_name(path)
        if why:
            found.drop(path, why)
    _bound_sizes(found)
    return found


def _of_copy(prepared: Prepared) -> Candidates:
    start = Snapshot.load(prepared.path("start.marks"))
    with Tree(prepared.workspace, ours=True) as tree:
        now = Snapshot({e.path: Mark.of(e) for e in tree.walk(LIMITS, enter=lambda e: not is_git_dir(e))})
        found = Candidates(prepared.workspace)
        for path in start.changed(now):
            _sort(found, path, start.marks.get(path), now.marks.get(path))
        _make_readable(tree, found)
    return found


def _sort(found: Candidates, path: str, was: Mark | None, now: Mark | None) -> None:
    if was and was.kind in _CONTENT:
        found.was[path] = was
    if now and now.kind in _CONTENT:
        found.now[path] = now
    elif now and now.kind != "dir":
        found.left_out[path] = f"a {now.kind}"


def _make_readable(tree: Tree, found: Candidates) -> None:
    """A file that its owner cannot read (mode 000) is made readable: the second bottle runs as that owner."""
    for path, mark in found.now.items():
        if mark.kind == "file" and not mark.mode & 0o400:
            parent, _, name = path.rpartition("/")
            fd = tree.directory(parent)
            try:
                permit(fd, name, 0o400)
            finally:
                os.close(fd)


def _bound_sizes(found: Candidates) -> None:
    """What is left out counts for nothing: a sparse file of a terabyte must not take the work with it."""
    total = 0
    for path in found.paths():
        now = found.now.get(path)
        if now and now.kind == "file":
            if now.size > FILE_BYTES:
                found.drop(path, "larger than a gigabyte")
            elif total + now.size > ALL_BYTES:
                found.drop(path, "all changes together are too large")
            else:
                total += now.size


def _of_overlay(prepared: Prepared) -> Candidates:
    source = Snapshot.load(prepared.path("source.marks")).marks
    found = Candidates(prepared.upper)
    with Tree(prepared.upper, ours=True) as tree:
        for entry in tree.walk(LIMITS, enter=lambda e: not is_git_dir(e)):
            if is_git_dir(entry):
                continue
            if entry.kind == "device" and _is_whiteout(entry):
                _delete(found, source, entry.path, and_below=True)
            elif entry.kind == "dir":
                if entry.path in source and (source[entry.path].kind != "dir" or _is_opaque(tree, entry.path)):
                    _delete(found, source, entry.path, and_below=True)
            else:
                _delete(found, source, entry.path, and_below=True)
                _sort(found, entry.path, None, Mark.of(entry))
        _make_readable(tree, found)
    return found


def _is_whiteout(entry: Entry) -> bool:
    return stat.S_ISCHR(entry.stat.st_mode) and entry.stat.st_rdev == 0


def _is_opaque(tree: Tree, path: str) -> bool:
    fd = tree.directory(path)
    try:
        for name in ("user.overlay.opaque", "trusted.overlay.opaque"):
            with contextlib.suppress(OSError):
                if os.getxattr(fd, name) == b"y":
                    return True
        return False
    finally:
        os.close(fd)


def _delete(found: Candidates, source: dict[str, Mark], path: str, and_below: bool) -> None:
    was = source.get(path)
    if was is None:
        return
    if was.kind in _CONTENT:
        found.was[path] = was
    elif and_below and was.kind == "dir":
        found.was |= {p: m for p, m in source.items() if p.startswith(path + "/") and m.kind in _CONTENT}
