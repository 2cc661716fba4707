"""Finds skills by name and digests them; those of a repository are regular files of that repository only (D21)."""

import hashlib
import os
import stat
from collections.abc import Iterator

from bot_bottle.base.errors import ManifestFault, Problem
from bot_bottle.bottles.manifest_files import open_beneath
from bot_bottle.bottles.plan import Skill

MAX_FILES = 512
MAX_BYTES = 8 * 1024 * 1024
MAX_DEPTH = 16


def home_skill(name: str, places: tuple[str, ...], asked_by: str) -> Skill:
    """A skill of the person: the first of `places` that has it. Raises ManifestFault."""
    for place in places:
        path = os.path.join(place, name)
        if os.path.isdir(path):
            real = os.path.realpath(path)
            return Skill(name, real, "", skill_digest(real, (), asked_by))
    what = f"there is no skill {name!r} in {' or '.join(places)}"
    raise ManifestFault([Problem("manifest.unknown-skill", what, asked_by)])


def repository_skill(name: str, root: str, asked_by: str) -> Skill:
    """A skill that lies in the repository as regular files; a link anywhere is refused. Raises ManifestFault."""
    for parts in ((".bot-bottle", "skills", name), (".claude", "skills", name)):
        fd = open_beneath(root, parts, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        if fd is not None:
            os.close(fd)
            return Skill(name, os.path.join(root, *parts), "", skill_digest(root, parts, asked_by))
    what = f"there is no skill {name!r} in .bot-bottle/skills or .claude/skills of this repository"
    raise ManifestFault([Problem("manifest.unknown-skill", what, asked_by)])


def skill_digest(root: str, parts: tuple[str, ...], asked_by: str) -> str:
    """sha256 over every file: path, executable bit, sha256 of its bytes; sorted by path. Raises ManifestFault."""
    fd = open_beneath(root, parts, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) if parts else _open_directory(root)
    if fd is None:
        raise ManifestFault([Problem("manifest.unknown-skill", f"{os.path.join(root, *parts)} is gone", asked_by)])
    total = hashlib.sha256()
    left = [MAX_FILES, MAX_BYTES]
    try:
        for path, executable, content in sorted(_files(fd, "", left, asked_by)):
            total.update(f"{path}\0{executable:d}\0{content}\n".encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)
    return total.hexdigest()


def _open_directory(path: str) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def _files(fd: int, prefix: str, left: list[int], asked_by: str) -> Iterator[tuple[str, bool, str]]:
    if prefix.count("/") > MAX_DEPTH:
        raise _refused(asked_by, prefix, "is nested too deep")
    for name in os.listdir(fd):
        path = prefix + name
        found = os.stat(name, dir_fd=fd, follow_symlinks=False)
        left[0] -= 1
        if left[0] < 0:
            raise _refused(asked_by, prefix or name, f"holds more than {MAX_FILES} files")
        if stat.S_ISDIR(found.st_mode):
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd)
            try:
                yield from _files(inner, path + "/", left, asked_by)
            finally:
                os.close(inner)
        elif stat.S_ISREG(found.st_mode):
            yield path, bool(found.st_mode & 0o100), _content(fd, name, path, left, asked_by)
        else:
            raise _refused(asked_by, path, "is a link or a special file")


def _content(fd: int, name: str, path: str, left: list[int], asked_by: str) -> str:
    inner = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
    with open(inner, "rb") as file:
        raw = file.read(left[1] + 1)
    left[1] -= len(raw)
    if left[1] < 0:
        raise _refused(asked_by, path, f"makes the skill larger than {MAX_BYTES // 1024 // 1024} MB")
    return hashlib.sha256(raw).hexdigest()


def _refused(asked_by: str, path: str, reason: str) -> ManifestFault:
    return ManifestFault([Problem("manifest.bad-skill", f"skill file {path} {reason}", asked_by)])
