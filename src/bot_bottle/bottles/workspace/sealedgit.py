"""What git does inside the second sealed bottle, which has no gateway (D05): ignore rules, then trees and a pack.

It sees the candidates and nothing else: their bytes at the start as /in/base, the bottle's tree at /result read-only,
an empty repository of ours in /out. No git directory of the agent is in it, and what it says is checked by the host.
"""

import os
from typing import Protocol

from bot_bottle.base.errors import AgentFault, HostFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.plan import Mount
from bot_bottle.bottles.workspace import bare, hostgit
from bot_bottle.bottles.workspace.copying import Copied, copy_file
from bot_bottle.bottles.workspace.listing import Candidates
from bot_bottle.bottles.workspace.prepare import Prepared, is_git_dir
from bot_bottle.bottles.workspace.reach import Tree
from bot_bottle.bottles.workspace.removal import remove
from bot_bottle.bottles.workspace.snapshot import Mark, Snapshot

# No attribute of the tree may change a byte: no filter, no line ends, no encoding (F21).
ATTRIBUTES = b"* -text -filter -ident -crlf -eol -working-tree-encoding !diff !merge\n"
SCRIPT = """set -eu
tree() {
  cd "$1"
  GIT_WORK_TREE=$1 GIT_INDEX_FILE=/out/$2.index git update-index --add -z --stdin < /in/$2.list
  GIT_INDEX_FILE=/out/$2.index git write-tree
}
base=$(tree /in/base base)
result=$(tree /result result)
printf '%s\\n%s\\n' "$base" "$result" | git pack-objects --revs --stdout -q > /out/pack
printf '%s %s\\n' "$base" "$result"
"""
TIMEOUT = 600.0


class Finished(Protocol):
    """What a sealed run gives back; seal.offline.Finished is one."""

    @property
    def status(self) -> int: ...
    @property
    def stdout(self) -> bytes: ...
    @property
    def stderr(self) -> bytes: ...


class RunSealed(Protocol):
    """seal.offline.run_sealed, or a double of it."""

    def __call__(
        self,
        argv: tuple[str, ...],
        mounts: tuple[Mount, ...] = (),
        stdin: bytes = b"",
        timeout: float = 60.0,
        *,
        env: dict[str, str] | None = None,
        cwd: str = "/",
    ) -> Finished: ...


def desk(prepared: Prepared) -> str:
    """A fresh directory next to the state for what goes into and comes out of the sealed run."""
    path = prepared.path("desk")
    if os.path.lexists(path):
        remove(path)
    for part in ("", "in", "in/base", "in/ignore", "out"):
        os.mkdir(os.path.join(path, part), 0o755)
    return path


def drop_ignored(prepared: Prepared, found: Candidates, at: str, run_sealed: RunSealed) -> int:
    """Removes the paths that the rules of .gitignore leave out and git did not track; how many."""
    if prepared.git.kind in ("", "refused"):
        return 0
    tracked = _tracked(prepared, at)
    asked = [path for path in found.paths() if path not in tracked]
    if not asked:
        return 0
    _lay_ignore_files(prepared, found, os.path.join(at, "in", "ignore"))
    bare.make_bare(os.path.join(at, "in", "repo.git"), exclude=_exclude(prepared))
    environment = _environment()
    del environment["GIT_LITERAL_PATHSPECS"]  # this command refuses it; "./" keeps a name from being magic
    done = run_sealed(
        (_git_inside(), "check-ignore", "--no-index", "-z", "--stdin"),
        (Mount(os.path.join(at, "in"), "/in", ours=True),),
        b"".join(b"./" + os.fsencode(path) + b"\0" for path in asked),
        TIMEOUT,
        env=environment | {"GIT_DIR": "/in/repo.git", "GIT_WORK_TREE": "/in/ignore"},
        cwd="/in/ignore",
    )
    if done.status not in (0, 1):
        raise _failed("the ignore rules", done)
    ignored = {os.fsdecode(name).removeprefix("./") for name in done.stdout.split(b"\0")} & set(asked)
    for path in ignored:
        found.drop(path)
    return len(ignored)


def build(prepared: Prepared, found: Candidates, at: str, run_sealed: RunSealed) -> tuple[str, str]:
    """Tree names of start and result; the pack with their objects lies in ``out/pack`` of the desk."""
    _lay_base(prepared, found, os.path.join(at, "in", "base"))
    _write_list(os.path.join(at, "in", "base.list"), sorted(found.was))
    _write_list(os.path.join(at, "in", "result.list"), sorted(found.now))
    bare.make_bare(os.path.join(at, "out", "repo.git"), attributes=ATTRIBUTES)
    done = run_sealed(
        ("/bin/sh", "-c", SCRIPT),
        (
            Mount(os.path.join(at, "in"), "/in", ours=True),
            Mount(found.root, "/result", ours=True),
            Mount(os.path.join(at, "out"), "/out", "rw", ours=True),
        ),
        b"",
        TIMEOUT,
        env=_environment() | {"GIT_DIR": "/out/repo.git"},
        cwd="/in",
    )
    words = done.stdout.decode("ascii", "replace").split()
    if done.status or len(words) != 2 or not all(bare.is_object(word) for word in words):
        raise _failed("the changes", done)
    return words[0], words[1]


def _git_inside() -> str:
    """A bottle sees the host's /usr: git must lie in it. Raises HostFault."""
    found = hostgit.program()
    if not found.startswith("/usr/"):
        raise HostFault("host.git-place", f"git is {found}, which a bottle cannot see.", "Install git below /usr.")
    return found


def _environment() -> dict[str, str]:
    return hostgit.environment() | {"HOME": "/nonexistent", "PATH": "/usr/bin:/bin"}


def _failed(what: str, done: Finished) -> AgentFault:
    lines = done.stderr.decode("utf-8", "replace").strip().splitlines()[:1]
    said = visible(lines[0], 200) if lines else f"status {done.status}"
    return AgentFault("workspace.sealed-git", f"git could not read {what}: {said}.", "The bottle's tree is kept.")


def _write_list(path: str, names: list[str]) -> None:
    with open(path, "wb") as file:
        file.write(b"".join(os.fsencode(name) + b"\0" for name in names))


def _tracked(prepared: Prepared, at: str) -> frozenset[str]:
    """What the index named at the start. One that cannot be read tracks everything: nothing known is dropped."""
    index = prepared.path("start.index")
    if not os.path.exists(index):
        return frozenset()
    scratch = os.path.join(at, "index.git")
    bare.make_bare(scratch)
    try:
        listed = hostgit.run(["ls-files", "-z", "--cached"], scratch, env={"GIT_INDEX_FILE": index})
    except HostFault:
        return frozenset(Snapshot.load(prepared.path("source.marks")).marks)
    return frozenset(os.fsdecode(name) for name in listed.split(b"\0") if name)


def _exclude(prepared: Prepared) -> bytes:
    try:
        with open(prepared.path("start.exclude"), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def _lay_ignore_files(prepared: Prepared, found: Candidates, target: str) -> None:
    """Only the .gitignore files, those of the start with those of the bottle over them."""
    with Tree(prepared.base) as base:
        for path in Snapshot.load(prepared.path("source.marks")).marks:
            if path.rsplit("/", 1)[-1] == ".gitignore":
                _lay(base, path, target)
    with Tree(found.root, ours=True) as tree:
        for entry in tree.walk(enter=lambda e: not is_git_dir(e)) if prepared.mode == "overlay" else ():
            if entry.path.rsplit("/", 1)[-1] == ".gitignore" and entry.kind == "file":
                _lay(tree, entry.path, target)
        for path in found.paths():
            if path.rsplit("/", 1)[-1] == ".gitignore":
                _lay(tree, path, target)


def _lay(tree: Tree, path: str, target: str) -> None:
    place = os.path.join(target, path)
    if os.path.lexists(place):
        os.unlink(place)
    try:
        data = tree.read(path, 1_000_000)
        os.makedirs(os.path.dirname(place), 0o755, exist_ok=True)
    except (OSError, AgentFault):
        return
    with open(place, "wb") as file:
        file.write(data)


def _lay_base(prepared: Prepared, found: Candidates, target: str) -> None:
    """The candidates as they were at the start. Where the source is the base and changed meanwhile they are lost."""
    marks = Snapshot.load(prepared.path("source.marks")).marks if prepared.base_is_source else {}
    done = Copied()
    with Tree(prepared.base) as base:
        for path in sorted(found.was):
            place = os.path.join(target, path)
            os.makedirs(os.path.dirname(place), 0o755, exist_ok=True)
            if prepared.base_is_source and not _unchanged(base, path, marks.get(path)):
                found.was.pop(path)
                found.lost.add(path)
            elif found.was[path].kind == "link":
                os.symlink(base.link(path), os.fsencode(place))
            else:
                fd = base.open_file(path)
                try:
                    copy_file(fd, place, done)
                finally:
                    os.close(fd)
                os.chmod(place, (os.stat(place).st_mode & 0o777) | 0o400)


def _unchanged(tree: Tree, path: str, mark: Mark | None) -> bool:
    found = tree.stat(path)
    return bool(
        mark and found and (mark.ino, mark.ctime, mark.size) == (found.st_ino, found.st_ctime_ns, found.st_size)
    )
