"""The fresh bare repository into which the host takes a bottle's changes: made by hand, no hook in it (D05)."""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot_bottle.base.errors import AgentFault
from bot_bottle.bottles.workspace import hostgit
from bot_bottle.bottles.workspace.rawdiff import RawChange, RawDiffError, parse_raw

CONFIG = """[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
	protectHFS = true
	protectNTFS = true
"""
_OBJECT = re.compile(r"[0-9a-f]{40}\Z")
DIFF = ("--no-ext-diff", "--no-textconv", "--no-renames", "--no-color")


def make_bare(path: str, exclude: bytes = b"", attributes: bytes = b"") -> None:
    """An empty bare repository at a path that must not exist."""
    for part in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        os.makedirs(os.path.join(path, part), 0o700)
    for name, data in {
        "HEAD": b"ref: refs/heads/none\n",
        "config": CONFIG.encode(),
        "info/exclude": exclude,
        "info/attributes": attributes,
    }.items():
        with open(os.path.join(path, name), "wb") as file:
            file.write(data)


def is_object(text: str) -> bool:
    return _OBJECT.match(text) is not None


def take_pack(repository: str, pack: int, trees: tuple[str, ...]) -> None:
    """Imports a pack from a descriptor and checks all of it; only its objects exist here. Raises AgentFault."""
    hostgit.feed(["index-pack", "--strict", "--stdin"], repository, pack, "the pack of the changes")
    hostgit.feed(
        ["fsck", "--full", "--strict", "--no-dangling", "--no-reflogs", "--end-of-options", *trees],
        repository, None, "the objects of the changes",
    )  # fmt: skip


def raw_changes(repository: str, base: str, result: str) -> list[RawChange]:
    """The difference of two trees that were checked. Raises AgentFault."""
    data = hostgit.run(
        ["diff-tree", "-r", "-z", "--raw", "--no-abbrev", *DIFF, "--end-of-options", base, result], repository
    )
    try:
        return parse_raw(data)
    except RawDiffError as error:
        raise AgentFault("workspace.raw-diff", f"The difference of the trees cannot be read: {error}.") from None


def line_counts(repository: str, base: str, result: str) -> dict[bytes, tuple[int, int]]:
    """path -> lines added and removed; (-1, -1) for a binary file."""
    data = hostgit.run(["diff-tree", "-r", "-z", "--numstat", *DIFF, "--end-of-options", base, result], repository)
    counts: dict[bytes, tuple[int, int]] = {}
    for item in data.split(b"\0"):
        parts = item.split(b"\t", 2)
        if len(parts) == 3:
            counts[parts[2]] = (-1, -1) if parts[0] == b"-" else (int(parts[0]), int(parts[1]))
    return counts


def sizes(repository: str, objects: list[str]) -> dict[str, int]:
    """Object -> its size in bytes; what is missing is missing."""
    wanted = "".join(f"{name}\n" for name in objects).encode()
    found: dict[str, int] = {}
    for line in hostgit.run(["cat-file", "--batch-check"], repository, stdin=wanted).splitlines():
        parts = line.split()
        if len(parts) == 3 and parts[1] == b"blob":
            found[parts[0].decode()] = int(parts[2])
    return found


def write_patch(repository: str, base: str, result: str, path: str, binary: bool = True) -> None:
    """The whole difference as a patch that `git apply` takes; binary: with the content of binary files."""
    content = ("--binary",) if binary else ()
    with open(path, "wb") as file:
        hostgit.run_to(
            ["diff-tree", "-r", "-p", *content, "--full-index", *DIFF, "--end-of-options", base, result],
            repository, file.fileno(),
        )  # fmt: skip


def blob(repository: str, name: str, limit: int) -> bytes:
    """The bytes of one blob. Raises AgentFault above `limit`."""
    if sizes(repository, [name]).get(name, limit + 1) > limit:
        raise AgentFault("workspace.blob-size", f"A file of the changes is larger than {limit} bytes.")
    return hostgit.run(["cat-file", "blob", name], repository)


@dataclass(frozen=True, slots=True)
class Slice:
    """Bytes that lie in a file of ours."""

    path: str
    offset: int
    size: int

    def read(self) -> bytes:
        return b"".join(self.chunks())

    def chunks(self) -> Iterator[bytes]:
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            left = self.size
            while left and (data := file.read(min(left, 1 << 20))):
                left -= len(data)
                yield data


def lay_blobs(repository: str, names: Iterable[str], path: str) -> dict[str, Slice]:
    """Writes blobs one after the other into the new file `path`, by one git process; where each of them lies."""
    wanted = "".join(f"{name}\n" for name in sorted(set(names))).encode()
    with open(path, "xb") as file:
        hostgit.run_to(["cat-file", "--batch"], repository, file.fileno(), wanted)
    found: dict[str, Slice] = {}
    with open(path, "rb") as file:
        while head := file.readline(200):
            name, kind, size = [*head.decode().split(), "", ""][:3]
            if kind != "blob":
                raise AgentFault("workspace.no-blob", "An object of the changes is missing.")
            found[name] = Slice(path, file.tell(), int(size))
            file.seek(int(size) + 1, os.SEEK_CUR)
    return found
