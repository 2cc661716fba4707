"""How a workspace reaches its git directory, and whether that is really its own (D05, B64, B65).

A `.git` file may name any directory, and a repository may borrow objects from any other: a link counts only when the
other end points back, as `git worktree add` and `git submodule` write it. Reads a few small files, runs nothing.
"""

import os
import stat

import msgspec

from bot_bottle.base.errors import AgentFault, HostFault
from bot_bottle.bottles.workspace import hostgit
from bot_bottle.bottles.workspace.reach import Limits, Tree

_SMALL = 4096


class GitFacts(msgspec.Struct, frozen=True):
    """kind: "" (no repository) | directory | worktree | submodule | refused.

    git_dir: absolute path of the workspace's own git directory; common: a worktree's common git directory, else "".
    size: bytes in both. findings: sentences for the plan.
    """

    kind: str = ""
    git_dir: str = ""
    common: str = ""
    size: int = 0
    findings: tuple[str, ...] = ()


def find(source: str) -> GitFacts:
    """Facts about `source/.git`. A link that does not point back is refused: the bottle then gets no repository."""
    path = os.path.join(source, ".git")
    try:
        found = os.lstat(path)
    except OSError:
        return GitFacts()
    if stat.S_ISLNK(found.st_mode):
        return GitFacts("refused", findings=(".git is a symbolic link: the repository stays outside",))
    if stat.S_ISDIR(found.st_mode):
        return _directory(path)
    return _linked(source, path)


def _directory(path: str) -> GitFacts:
    if os.path.lexists(os.path.join(path, "commondir")):
        return GitFacts("refused", findings=(".git/commondir names another repository: it stays outside",))
    return GitFacts("directory", path, size=_size(path), findings=_borrowed(path))


def _linked(source: str, path: str) -> GitFacts:
    target = _read(path).removeprefix("gitdir:").strip()
    git_dir = os.path.realpath(os.path.join(source, target)) if target else ""
    refused = GitFacts("refused", findings=(".git names a git directory that does not point back: it stays outside",))
    if not git_dir or not os.path.isdir(git_dir):
        return refused
    if os.path.realpath(_read(os.path.join(git_dir, "gitdir"))) == os.path.realpath(path):
        common = os.path.realpath(os.path.join(git_dir, _read(os.path.join(git_dir, "commondir")) or "."))
        if os.path.dirname(git_dir) != os.path.join(common, "worktrees"):
            return refused
        return GitFacts("worktree", git_dir, common, _size(common), _borrowed(common))
    if _points_back(git_dir, source):
        return GitFacts("submodule", git_dir, size=_size(git_dir), findings=_borrowed(git_dir))
    return refused


def _points_back(git_dir: str, source: str) -> bool:
    """Whether a submodule's ``core.worktree`` is this workspace; a plain reading of the one line that git writes."""
    for line in _read(os.path.join(git_dir, "config"), 64_000).splitlines():
        key, _, value = line.strip().partition("=")
        if key.strip().lower() == "worktree":
            return os.path.realpath(os.path.join(git_dir, value.strip().strip('"'))) == source
    return False


def _borrowed(common: str) -> tuple[str, ...]:
    if _read(os.path.join(common, "objects", "info", "alternates")):
        return (
            "the repository borrows objects from another one (alternates), which stays outside: "
            "`git repack -a -d` and remove objects/info/alternates to take the history along",
        )
    return ()


def _size(path: str) -> int:
    try:
        with Tree(path) as tree:
            return sum(entry.stat.st_size for entry in tree.walk(Limits(entries=300_000)) if entry.kind == "file")
    except (OSError, AgentFault):
        return 0


def _read(path: str, limit: int = _SMALL) -> str:
    """First bytes of a small regular file, stripped; "" where there is none."""
    try:
        with Tree(os.path.dirname(path)) as tree:
            return tree.read(os.path.basename(path), limit).decode("utf-8", "surrogateescape").strip()
    except (OSError, AgentFault):
        return ""


def head(git: GitFacts) -> str:
    """The commit that HEAD names, "" where there is none. Asked before the bottle exists."""
    if git.kind in ("", "refused"):
        return ""
    try:
        return hostgit.run(["rev-parse", "--verify", "-q", "HEAD^{commit}"], git.git_dir).decode().strip()
    except HostFault:
        return ""
