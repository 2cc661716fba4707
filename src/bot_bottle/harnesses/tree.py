"""Digest of an installed tree, and taking write permission from it. Follows no link."""

import hashlib
import os
import stat
from collections.abc import Iterator

_READ_RUN, _READ = 0o755, 0o644


def entries(root: str) -> Iterator[tuple[str, os.stat_result]]:
    """(relative path, lstat) of everything below `root`, sorted."""
    pending = [""]
    while pending:
        at = pending.pop()
        with os.scandir(os.path.join(root, at)) as found:
            names = sorted(found, key=lambda entry: entry.name, reverse=True)
        for entry in names:
            path = os.path.join(at, entry.name)
            info = entry.stat(follow_symlinks=False)
            yield path, info
            if stat.S_ISDIR(info.st_mode):
                pending.append(path)


def digest(root: str, skip: str = "") -> str:
    """sha256 over kind, execute bit, path and content of all entries but the file named `skip` at the top."""
    lines: list[bytes] = []
    for path, info in entries(root):
        if path == skip:
            continue
        if stat.S_ISLNK(info.st_mode):
            kind, content = b"l", os.readlink(os.path.join(root, path)).encode("utf-8", "surrogateescape")
        elif stat.S_ISREG(info.st_mode):
            kind, content = (b"x" if info.st_mode & 0o100 else b"f"), _file(os.path.join(root, path))
        else:
            kind, content = b"d", b""
        lines.append(b"\0".join((kind, path.encode("utf-8", "surrogateescape"), content)))
    return hashlib.sha256(b"\n".join(sorted(lines))).hexdigest()


def close_to_writers(root: str) -> None:
    """Nobody but the owner writes; everybody reads; files that cannot run stay so."""
    os.chmod(root, _READ_RUN)
    for path, info in entries(root):
        if not stat.S_ISLNK(info.st_mode):
            runs = stat.S_ISDIR(info.st_mode) or info.st_mode & 0o100
            os.chmod(os.path.join(root, path), _READ_RUN if runs else _READ)


def _file(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest().encode()
