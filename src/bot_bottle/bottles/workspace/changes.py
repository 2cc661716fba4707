"""What a bottle changed, as data (D05): objects that were checked in a repository of ours, a list and a patch.

`collect` runs after the bottle is dead. Only paths whose marks differ are looked at; if there are none, no second
bottle is needed. Everything lies in the state directory, under ``changes/``.
"""

import hashlib
import json
import os
from typing import Any

import msgspec

from bot_bottle.base.errors import AgentFault, HostFault, OperatorFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.workspace import bare, guards, listing, sealedgit
from bot_bottle.bottles.workspace.listing import Candidates
from bot_bottle.bottles.workspace.prepare import Prepared, mark_source
from bot_bottle.bottles.workspace.rawdiff import NONE, RawChange
from bot_bottle.bottles.workspace.reach import Tree
from bot_bottle.bottles.workspace.removal import remove
from bot_bottle.bottles.workspace.sealedgit import RunSealed
from bot_bottle.bottles.workspace.snapshot import Mark, Snapshot
from bot_bottle.bottles.workspace.treenames import refused_name

PATCH_BYTES = 256_000_000


class Change(msgspec.Struct, frozen=True):
    """status: A | M | D | T (another type). Modes as in git trees, "000000" where a side is absent; old, new: blobs.

    size: of the new content. added, removed: lines, -1 for binary. known: False where the source changed under a
    large tree, so that its content at the start is lost. target: of a new symbolic link.
    """

    path: str
    status: str
    old_mode: str = "000000"
    new_mode: str = "000000"
    old: str = NONE
    new: str = NONE
    size: int = 0
    added: int = 0
    removed: int = 0
    known: bool = True
    target: str = ""


class Changes(msgspec.Struct, frozen=True):
    """All of one run. mode: copy | overlay | bind | none. digest: of the source at the start.

    base, result: trees in `repository`, "" when nothing changed or for bind. patch: path of the patch file or "".
    ignored: files that the rules of .gitignore leave out. left_out: path -> why it is not taken. violations: what
    a bound workspace's guards found.
    """

    mode: str
    digest: str
    changes: tuple[Change, ...] = ()
    repository: str = ""
    base: str = ""
    result: str = ""
    patch: str = ""
    ignored: int = 0
    left_out: dict[str, str] = {}
    violations: tuple[str, ...] = ()

    def counts(self) -> tuple[int, int, int]:
        """Files, lines added, lines removed."""
        lines = [c for c in self.changes if c.added >= 0]
        return len(self.changes), sum(c.added for c in lines), sum(c.removed for c in lines)

    def is_empty(self) -> bool:
        return not self.changes and not self.left_out and not self.violations


def collect(prepared: Prepared, run_sealed: RunSealed) -> Changes:
    """Takes the changes out of the bottle's tree. The bottle must be dead. Raises BottleError."""
    try:
        return _collect(prepared, run_sealed)
    except OSError as error:
        raise HostFault(
            "workspace.io", f"The changes could not be read: {error.strerror or error}.", "The bottle's tree is kept."
        ) from None


def _collect(prepared: Prepared, run_sealed: RunSealed) -> Changes:
    if prepared.mode == "none":
        return _save(prepared, Changes("none", ""))
    if prepared.mode == "bind":
        return _save(prepared, _of_bind(prepared))
    found = listing.candidates(prepared)
    if not found.paths():
        return _save(prepared, Changes(prepared.mode, prepared.digest, left_out=found.left_out))
    at = sealedgit.desk(prepared)
    try:
        ignored = sealedgit.drop_ignored(prepared, found, at, run_sealed)
        taken = _take(prepared, found, at, run_sealed) if found.paths() else Changes(prepared.mode, prepared.digest)
    finally:
        remove(at)
    return _save(prepared, msgspec.structs.replace(taken, ignored=ignored, left_out=found.left_out))


def load(prepared: Prepared) -> Changes:
    """What `collect` stored. Raises OperatorFault."""
    try:
        with open(prepared.path("changes/changes.json"), encoding="ascii") as file:
            return msgspec.convert(json.load(file), Changes)
    except (OSError, ValueError):
        raise OperatorFault(
            "workspace.no-changes", "The changes of this bottle were not taken yet.", "Stop the bottle first."
        ) from None


def _save(prepared: Prepared, changes: Changes) -> Changes:
    os.makedirs(prepared.path("changes"), 0o700, exist_ok=True)
    data: Any = msgspec.to_builtins(changes)
    with open(prepared.path("changes/changes.json"), "w", encoding="ascii") as file:
        json.dump(data, file)
    return changes


def _take(prepared: Prepared, found: Candidates, at: str, run_sealed: RunSealed) -> Changes:
    base, result = sealedgit.build(prepared, found, at, run_sealed)
    repository = prepared.path("changes/repo.git")
    if os.path.lexists(repository):
        remove(repository)
    bare.make_bare(repository)
    _import(repository, os.path.join(at, "out"), (base, result))
    raw = bare.raw_changes(repository, base, result)
    _check_base(raw, os.path.join(at, "in", "base"))
    changes = tuple(_describe(repository, base, result, raw, found))
    patch = prepared.path("changes/changes.patch")
    bare.write_patch(repository, base, result, patch, sum(change.size for change in changes) < PATCH_BYTES)
    return Changes(prepared.mode, prepared.digest, changes, repository, base, result, patch)


def _import(repository: str, out: str, trees: tuple[str, str]) -> None:
    with Tree(out) as tree:
        pack = tree.open_file("pack")
    try:
        bare.take_pack(repository, pack, trees)
    finally:
        os.close(pack)


def _check_base(raw: list[RawChange], base: str) -> None:
    """The start is ours to know: a forged one would make "unchanged since" a lie and overwrite a person's work."""
    for change in raw:
        if change.old_mode == "000000":
            continue
        path = os.path.join(base, os.fsdecode(change.path))
        if blob_of(path) != change.old:
            raise AgentFault("workspace.forged-base", "The second bottle misreported the tree at the start.")


def blob_of(path: str) -> str:
    """git's name for the content of a file or link of ours."""
    data = os.fsencode(os.readlink(path)) if os.path.islink(path) else None
    if data is not None:
        return blob_name(data)
    with open(path, "rb") as file:
        return blob_name_of_fd(file.fileno())


def blob_name(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def blob_name_of_fd(fd: int) -> str:
    """The same for an open regular file, in constant memory."""
    state = hashlib.sha1(b"blob %d\0" % os.fstat(fd).st_size, usedforsecurity=False)
    at = 0
    while data := os.pread(fd, 1 << 20, at):
        state.update(data)
        at += len(data)
    return state.hexdigest()


def _describe(repository: str, base: str, result: str, raw: list[RawChange], found: Candidates) -> list[Change]:
    counts = bare.line_counts(repository, base, result)
    known = bare.sizes(repository, [c.new for c in raw if c.new != NONE])
    out: list[Change] = []
    for c in raw:
        path = os.fsdecode(c.path)
        if refused_name(path):  # git checked it, too
            raise AgentFault("workspace.name", "The second bottle named a path that never leaves a bottle.")
        added, removed = counts.get(c.path, (0, 0))
        status = "M" if path in found.lost and c.status == "A" else c.status
        target = bare.blob(repository, c.new, 4096).decode("utf-8", "replace") if c.new_mode == "120000" else ""
        out.append(
            Change(path, status, c.old_mode, c.new_mode, c.old, c.new, known.get(c.new, 0), added, removed,
                   path not in found.lost, target)
        )  # fmt: skip
    lost = found.lost - {change.path for change in out}
    return out + [Change(path, "D", known=False) for path in sorted(lost) if path not in found.now]


def _of_bind(prepared: Prepared) -> Changes:
    """A bound workspace has no second side: paths by their marks, and whether the guards held (D04)."""
    violations = (*guards.restore_root(prepared.state), *guards.check(prepared.guards))
    guards.uncover(prepared.state)
    start = Snapshot.load(prepared.path("source.marks"))
    now = mark_source(prepared.source, prepared.masked)
    violations += tuple(f"{visible(path)} is a git directory that was not there" for path in _new_git(start, now))
    changes: list[Change] = []
    for path in start.changed(now):
        was, is_now = start.marks.get(path), now.marks.get(path)
        status = "A" if was is None else "D" if is_now is None else "M"
        changes.append(
            Change(path, status, _mode(was), _mode(is_now), size=is_now.size if is_now else 0, known=False)
        )
    return Changes("bind", prepared.digest, tuple(changes), violations=violations)


def _new_git(start: Snapshot, now: Snapshot) -> list[str]:
    """Git directories that the bottle made: marks do not look into them, and git on the host runs what they name."""
    return [p for p in sorted(now.marks.keys() - start.marks.keys()) if p.rsplit("/", 1)[-1].lower() == ".git"]


def _mode(mark: Mark | None) -> str:
    """The mode that git would give it."""
    if mark is None or mark.kind not in ("file", "link"):
        return "000000"
    return "120000" if mark.kind == "link" else "100755" if mark.mode & 0o100 else "100644"
