"""What a tree was like at the start: a mark per entry that only the kernel writes, so that "unchanged" is certain.

A mark holds inode and ctime; a program can set mtime back, but not ctime, so an equal mark means equal bytes.
"""

import hashlib
import os
from collections.abc import Callable, Iterator

import msgspec

from bot_bottle.bottles.workspace.reach import Entry, Limits, Tree


class Mark(msgspec.Struct, frozen=True, array_like=True):
    """kind as in reach.Entry; mode: permission bits; the rest as lstat gives it. 0 in times: unknown."""

    kind: str
    mode: int
    size: int
    ino: int
    mtime: int
    ctime: int

    @staticmethod
    def of(entry: Entry) -> "Mark":
        s = entry.stat
        return Mark(entry.kind, s.st_mode & 0o7777, s.st_size, s.st_ino, s.st_mtime_ns, s.st_ctime_ns)


class Snapshot:
    """Relative path -> Mark. Names are file system strings (surrogates for bytes that are no UTF-8)."""

    def __init__(self, marks: dict[str, Mark]) -> None:
        self.marks = marks

    @staticmethod
    def take(root: str, limits: Limits, enter: Callable[[Entry], bool] | None = None) -> "Snapshot":
        """Walks the tree, without what may not be read. Raises AgentFault at a limit, OSError."""
        with Tree(root) as tree:
            return Snapshot({entry.path: Mark.of(entry) for entry in tree.walk(limits, enter, closed=[])})

    def without(self, paths: frozenset[str]) -> "Snapshot":
        """The same without these entries."""
        return Snapshot({path: mark for path, mark in self.marks.items() if path not in paths})

    def with_times_of(self, later: "Snapshot") -> "Snapshot":
        """The same with the ctimes of `later` for all that is otherwise as it was."""
        marks: dict[str, Mark] = {}
        for path, mark in self.marks.items():
            now = later.marks.get(path, mark)
            renewed = msgspec.structs.replace(mark, ctime=now.ctime)
            marks[path] = renewed if renewed == now else mark
        return Snapshot(marks)

    @staticmethod
    def load(path: str) -> "Snapshot":
        with open(path, "rb") as file:
            pairs = msgspec.msgpack.decode(file.read(), type=list[tuple[bytes, Mark]])
        return Snapshot({os.fsdecode(name): mark for name, mark in pairs})

    def save(self, path: str) -> None:
        pairs = [(os.fsencode(name), mark) for name, mark in self.marks.items()]
        with open(path, "wb") as file:
            file.write(msgspec.msgpack.encode(pairs))

    def digest(self) -> str:
        """sha256 over path, kind, mode, size and mtime in path order: the name of the tree at the start."""
        state = hashlib.sha256()
        for name in sorted(self.marks):
            m = self.marks[name]
            state.update(b"%s\0%s %o %d %d\n" % (os.fsencode(name), m.kind.encode(), m.mode, m.size, m.mtime))
        return state.hexdigest()

    def changed(self, later: "Snapshot") -> Iterator[str]:
        """Paths of files and links that `later` has in another state, or no longer, in path order."""
        for name in sorted(self.marks.keys() | later.marks.keys()):
            was, now = self.marks.get(name), later.marks.get(name)
            if _directory_only(was, now) or was == now:
                continue
            yield name


def _directory_only(was: Mark | None, now: Mark | None) -> bool:
    return all(mark is None or mark.kind == "dir" for mark in (was, now))
