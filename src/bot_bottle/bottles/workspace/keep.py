"""Keep: a branch in the person's repository, made from objects that were checked; no file is touched (D05, F19-F25).

Blobs travel as a pack through `unpack-objects --strict`; trees and commits are made here, from the commit that HEAD
named when the bottle started. No tree or commit that an agent made enters the repository, no checkout happens.
"""

import os
import re
import tempfile

import msgspec

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.workspace import bare, hostgit
from bot_bottle.bottles.workspace.apply import gate
from bot_bottle.bottles.workspace.changes import Change, Changes
from bot_bottle.bottles.workspace.prepare import Prepared
from bot_bottle.bottles.workspace.rawdiff import NONE

_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*\Z")
_POINTER = b"version https://git-lfs"


class Kept(msgspec.Struct, frozen=True):
    """branch: its short name. commit: its head. skipped: path -> why it is not in it."""

    branch: str
    commit: str
    skipped: dict[str, str] = {}


def check_branch(name: str) -> str:
    """The name, if it can be nothing but a branch (F25). Raises OperatorFault."""
    bad = not _BRANCH.match(name) or len(name) > 200 or ".." in name
    if bad or any(part.endswith((".lock", ".")) for part in name.split("/")):
        raise OperatorFault(
            "workspace.branch", f"{visible(name, 80)!r} is no name for a branch.", "Use letters, digits, . _ - and /."
        )
    return name


def keep(
    prepared: Prepared,
    changes: Changes,
    branch: str = "",
    message: str = "",
    accept: frozenset[str] = frozenset(),
    skip: bool = False,
) -> Kept:
    """Makes the branch; the state stays. branch: "" for ``bot-bottle/<label>``. Raises OperatorFault, HostFault."""
    if changes.mode not in ("copy", "overlay") or prepared.git.kind in ("", "refused"):
        raise OperatorFault(
            "workspace.no-repository",
            "There is no repository to keep a branch in.",
            "Use `bot-bottle changes apply`.",
        )
    chosen = gate(changes, accept, skip, os.path.basename(prepared.state))
    if not chosen:
        raise OperatorFault("workspace.nothing-to-keep", "There are no changes to keep.", "")
    repository = _Repository(prepared)
    name = check_branch(branch) if branch else repository.free_branch(os.path.basename(prepared.state))
    repository.take_blobs(changes.repository, chosen)
    commit, skipped = repository.commit(chosen, message or f"Work of the bottle {os.path.basename(prepared.state)}")
    repository.make_branch(name, commit)
    return Kept(name, commit, skipped)


class _Repository:
    """The person's own repository; every git in it runs without hooks, filters and configuration of the person."""

    def __init__(self, prepared: Prepared) -> None:
        self.git_dir = prepared.git.common or prepared.git.git_dir
        self.state = prepared.state
        self.head = prepared.head
        self.user = prepared.git_user
        if self.run(["rev-parse", "--show-object-format"]).strip() != b"sha1":
            raise OperatorFault(
                "workspace.object-format", "Repositories with SHA-256 names cannot take a branch yet."
            )

    def run(self, arguments: list[str], stdin: bytes = b"", env: dict[str, str] | None = None) -> bytes:
        return hostgit.run(arguments, self.git_dir, stdin=stdin, env=env)

    def exists(self, branch: str) -> bool:
        listed = self.run(["for-each-ref", "--count=1", "--format=%(refname)", "--", f"refs/heads/{branch}"])
        return bool(listed.strip())

    def free_branch(self, label: str) -> str:
        base = f"bot-bottle/{label}" if _BRANCH.match(label) else "bot-bottle/work"
        names = [base, *(f"{base}-{n}" for n in range(2, 1000))]
        return check_branch(next(name for name in names if not self.exists(name)))

    def take_blobs(self, source: str, changes: tuple[Change, ...]) -> None:
        wanted = sorted({name for c in changes for name in (c.old, c.new) if name != NONE})
        with tempfile.TemporaryFile(dir=self.state) as pack:
            listed = "".join(f"{name}\n" for name in wanted).encode()
            pack.write(hostgit.run(["pack-objects", "--stdout", "-q"], source, stdin=listed))
            pack.seek(0)
            hostgit.feed(["unpack-objects", "-q", "--strict"], self.git_dir, pack.fileno(), "the kept objects")

    def commit(self, changes: tuple[Change, ...], message: str) -> tuple[str, dict[str, str]]:
        """One commit with the agent's work on one with what lay uncommitted in the same files at the start."""
        with tempfile.TemporaryDirectory(dir=self.state) as scratch:
            env = {"GIT_INDEX_FILE": os.path.join(scratch, "index")}
            if self.head:
                self.run(["read-tree", "--end-of-options", self.head], env=env)
            skipped = self._unfit(changes)
            fit = [c for c in changes if c.path not in skipped]
            parent = self.head
            before = self._stage([(c.old_mode, c.old, c.path) for c in fit if c.known], env)
            if self.head and before != self._tree_of(self.head):
                parent = self._commit_tree(
                    before, self.head, "Uncommitted work at the start of the bottle", agent=False
                )
            after = self._stage([(c.new_mode, c.new, c.path) for c in fit], env)
            return self._commit_tree(after, parent, message, agent=True), skipped

    def _stage(self, entries: list[tuple[str, str, str]], env: dict[str, str]) -> str:
        order = sorted(entries, key=lambda e: e[0] != "000000")  # removals first: a file may become a directory
        lines = b"".join(
            f"{mode if mode != '000000' else '0'} {name}\t".encode() + os.fsencode(path) + b"\0"
            for mode, name, path in order
        )
        self.run(["update-index", "-z", "--index-info"], lines, env)
        return self.run(["write-tree"], env=env).decode().strip()

    def _unfit(self, changes: tuple[Change, ...]) -> dict[str, str]:
        """What a tree made of raw content would break: LFS files and files of a submodule."""
        if not self.head:
            return {}
        out: dict[str, str] = {}
        for record in self.run(["ls-tree", "-r", "-z", "--end-of-options", self.head]).split(b"\0"):
            head, _, path = record.partition(b"\t")
            if head.startswith(b"160000"):
                inside = os.fsdecode(path) + "/"
                out |= {c.path: "it lies in a submodule" for c in changes if c.path.startswith(inside)}
        names = {c.path for c in changes if c.old_mode != "000000"}
        for path, blob, size in self._blobs(names):
            if size < 1024 and bare.blob(self.git_dir, blob, 1024).startswith(_POINTER):
                out[path] = "git-lfs stores it elsewhere"
        return out

    def _blobs(self, names: set[str]) -> list[tuple[str, str, int]]:
        found: list[tuple[str, str, int]] = []
        for record in self.run(["ls-tree", "-r", "-l", "-z", "--end-of-options", self.head]).split(b"\0"):
            head, _, path = record.partition(b"\t")
            parts = head.split()
            if len(parts) == 4 and parts[1] == b"blob" and os.fsdecode(path) in names:
                found.append((os.fsdecode(path), parts[2].decode(), int(parts[3])))
        return found

    def _tree_of(self, commit: str) -> str:
        return (
            self.run(["rev-parse", "--verify", "-q", "--end-of-options", f"{commit}^{{tree}}"]).decode().split()[-1]
        )

    def _commit_tree(self, tree: str, parent: str, message: str, agent: bool) -> str:
        env: dict[str, str] = {}
        if agent and all(self.user):
            env = {"GIT_AUTHOR_NAME": self.user[0], "GIT_AUTHOR_EMAIL": self.user[1]}
        arguments = ["commit-tree", *(["-p", parent] if parent else []), "-F", "-", tree]
        return self.run(arguments, message.encode("utf-8", "replace") + b"\n", env).decode().strip()

    def make_branch(self, name: str, commit: str) -> None:
        if self.exists(name):
            raise OperatorFault(
                "workspace.branch-exists", f"There is a branch {name} already.", "Choose another: --branch."
            )
        self.run(["update-ref", "--no-deref", f"refs/heads/{name}", commit, NONE])
