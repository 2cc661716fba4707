"""A bound, writable workspace and what guards it (D04, D14, B66).

Every directory from the root of the workspace to a protected path is itself a mount point, so that it cannot be
renamed away; protected files are read-only, absent protected names are covered, credentials, sockets, FIFOs and
devices are masked. `guards.check` compares at the end, before any tool of the host touches the tree.
"""

import os
from dataclasses import dataclass, field

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.plan import Mount, Workspace
from bot_bottle.bottles.workspace import gitcopy, trusted
from bot_bottle.bottles.workspace.gitlink import GitFacts
from bot_bottle.bottles.workspace.guards import COMMONDIR, CREATED, Guard, create, digest
from bot_bottle.bottles.workspace.reach import Entry, Limits, Tree

_LIMITS = Limits(entries=1_000_000, seconds=300)
_IN_GIT = (
    "hooks", "config", "config.worktree", "commondir", "info/attributes", "objects/info/alternates",
)  # fmt: skip
_IN_WORKTREE = ("commondir", "gitdir", "config.worktree")
_DIRECTORIES = {"hooks", "info"}


@dataclass(slots=True)
class Guarded:
    """For the Layout: masks, files over files, mounts parents first; guards: what `check` compares."""

    masks: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict[str, str])
    mounts: tuple[Mount, ...] = ()
    guards: tuple[Guard, ...] = ()


def guard(workspace: Workspace, git: GitFacts, state: str) -> Guarded:
    """Makes the lists, and the empty mount points in the source. Raises OperatorFault for hard links (D14)."""
    work = _Guarding(workspace, git, state)
    with Tree(workspace.source) as tree:
        for entry in tree.walk(_LIMITS, work.enter, closed=[]):
            work.look(entry)
        work.root_names(tree)
    for git_dir in work.git_dirs:
        work.protect_git(git_dir)
    work.hide_covered(git)
    if git.kind == "refused":
        work.mask(os.path.join(workspace.source, ".git"))
    return work.result()


class _Guarding:
    def __init__(self, workspace: Workspace, git: GitFacts, state: str) -> None:
        self.root = workspace.source
        self.state = state
        hidden = (os.path.join(self.root, path) for path in workspace.masked)
        self.masks = {path for path in hidden if os.path.lexists(path)}
        self.files: dict[str, str] = {}
        self.mounts: dict[str, Mount] = {}
        self.guards: dict[str, Guard] = {}
        self.git_dirs: list[str] = []
        if git.kind in ("worktree", "submodule"):
            self._outer_git(git)

    def _outer_git(self, git: GitFacts) -> None:
        """A git directory outside the workspace comes in at its own path, guarded like an inner one."""
        outer = git.common or git.git_dir
        self.mounts[outer] = Mount(outer, outer, "rw", "the repository of this workspace")
        self.git_dirs.append(outer)
        link = os.path.join(self.root, ".git")
        self.mounts[link] = Mount(link, link, "ro", "protected: names the git directory")
        self._remember(link)

    def enter(self, entry: Entry) -> bool:
        name = entry.path.rsplit("/", 1)[-1]
        if os.path.join(self.root, entry.path) in self.masks:
            return False
        return name != ".git" and not trusted.why_trusted(entry.path, bind_only=True)

    def look(self, entry: Entry) -> None:
        path = os.path.join(self.root, entry.path)
        if path in self.masks:
            return
        if entry.kind in ("fifo", "socket", "device"):
            self.mask(path)
        elif entry.kind == "file" and entry.stat.st_nlink > 1:
            raise OperatorFault(
                "workspace.linked",
                f"{visible(entry.path)} has several hard links, so a bottle could write outside the workspace.",
                "Use `workspace: {mode: copy}`, or break the links.",
            )
        elif entry.kind == "dir" and entry.path.rsplit("/", 1)[-1] == ".git":
            self.git_dirs.append(path)
        elif trusted.why_trusted(entry.path, bind_only=True):
            self.protect(path, entry.kind)

    def mask(self, path: str) -> None:
        self.masks.add(path)

    def protect(self, path: str, kind: str) -> None:
        """An existing path becomes read-only, its parents mount points. A link has no mount of its own: covered."""
        if kind == "link":
            raise OperatorFault(
                "workspace.protected-link",
                f"{visible(path)} is a symbolic link at a protected place.",
                "Use `workspace: {mode: copy}`.",
            )
        self.pin_parents(path)
        self.mounts[path] = Mount(path, path, "ro", "protected: a host tool trusts it")
        self._remember(path)

    def root_names(self, tree: Tree) -> None:
        """Protected names that do not exist at the root (B66): an empty, read-only thing stands there."""
        for name, directory in trusted.guarded_names().items():
            head = name.split("/", 1)[0]
            if head == ".git" or self._covered(name):
                continue
            if tree.stat(head) is None:
                self.cover(os.path.join(self.root, head), directory or head != name)
            elif tree.stat(name) is None:
                self.cover(os.path.join(self.root, name), directory)

    def _covered(self, relative: str) -> bool:
        """Whether the path, or a directory above it, is guarded or masked already, or is no place for a mount."""
        at = os.path.join(self.root, relative)
        while at != self.root:
            if at in self.masks or (at in self.mounts and self.mounts[at].mode == "ro"):
                return True
            at = os.path.dirname(at)
        return False

    def cover(self, path: str, directory: bool) -> None:
        """Makes an empty mount point and masks it."""
        self.pin_parents(path)
        self._note_created(path)
        if directory:
            os.mkdir(path, 0o755)
        else:
            create(path, b"")
        self.guards[path] = Guard(path, os.lstat(path).st_ino, "absent")
        self.masks.add(path)

    def _note_created(self, path: str) -> None:
        """Written before it is made: a crash leaves nothing behind that `uncover` does not know."""
        with open(os.path.join(self.state, CREATED), "ab") as file:
            file.write(os.fsencode(path) + b"\0")

    def _cover_commondir(self, path: str) -> None:
        """git on the host fails over an empty `commondir`, and takes "." for the directory itself."""
        place = os.path.join(self.state, "commondir")
        if not os.path.exists(place):
            create(place, COMMONDIR)
        self._note_created(path)
        create(path, COMMONDIR)
        self.files[path] = place
        self._remember(path)

    def protect_git(self, git_dir: str) -> None:
        """A git directory, those of its submodules, and what its linked worktrees are told about it."""
        _refuse_links(git_dir)
        self.pin_parents(os.path.join(git_dir, "config"))
        self._remember(git_dir)
        for one in [git_dir, *(os.path.join(git_dir, m) for m in gitcopy.find_modules(git_dir))]:
            for name in _IN_GIT:
                self._protect_in_git(one, name)
        worktrees = os.path.join(git_dir, "worktrees")
        for name in sorted(os.listdir(worktrees)) if os.path.isdir(worktrees) else ():
            for file in _IN_WORKTREE:
                self._protect_in_git(os.path.join(worktrees, name), file)

    def _protect_in_git(self, git_dir: str, name: str) -> None:
        path = os.path.join(git_dir, name)
        if not os.path.isdir(os.path.dirname(path)):
            path = os.path.dirname(path)
        if path in self.guards:
            return
        if name == "commondir" and not os.path.lexists(path):
            self._cover_commondir(path)
        elif not os.path.lexists(path):
            self.cover(path, os.path.basename(path) in _DIRECTORIES)
        elif name == "config":
            self._config(git_dir, path)
        else:
            self.protect(path, "dir" if os.path.isdir(path) else "file")

    def _config(self, git_dir: str, path: str) -> None:
        """Credentials in the configuration stay outside: a regenerated one lies over it (D07)."""
        self.pin_parents(path)
        place = os.path.join(self.state, f"gitconfig-{len(self.files)}")
        with Tree(git_dir) as tree:
            gitcopy.write_config(tree, place)
        self.files[path] = place
        self._remember(path)

    def hide_covered(self, git: GitFacts) -> None:
        """git inside ignores the empty places, or `git add -A` would commit them; the file of the source stays."""
        exclude = os.path.join(git.common or git.git_dir, "info", "exclude")
        if git.kind in ("", "refused") or not os.path.isfile(exclude) or os.path.islink(exclude):
            return
        covered = [os.path.relpath(p, self.root) for p, g in self.guards.items() if g.digest == "absent"]
        with Tree(os.path.dirname(exclude)) as tree:
            rules = tree.read("exclude", 1_000_000).rstrip(b"\n")
        lines = [rules, *(os.fsencode(f"/{path}") for path in covered if not path.startswith((".git/", "../")))]
        place = os.path.join(self.state, "gitexclude")
        if os.path.lexists(place):
            os.unlink(place)
        create(place, b"\n".join(lines) + b"\n")
        self.files[exclude] = place

    def pin_parents(self, path: str) -> None:
        at = os.path.dirname(path)
        outer = [m for m in self.mounts if path.startswith(m + "/")]
        while at != self.root and len(at) > 1 and not any(at == m for m in outer):
            if at.startswith(self.root + "/") or any(at.startswith(m + "/") for m in outer):
                self.mounts.setdefault(at, Mount(at, at, "rw", "pinned: lies above a protected path"))
                if at not in self.guards:
                    self._remember(at)
            at = os.path.dirname(at)

    def _remember(self, path: str) -> None:
        self.guards[path] = Guard(path, os.lstat(path).st_ino, digest(path))

    def result(self) -> Guarded:
        mounts = sorted(self.mounts.values(), key=lambda m: m.target.count("/"))
        return Guarded(tuple(sorted(self.masks)), self.files, tuple(mounts), tuple(self.guards.values()))


def _refuse_links(git_dir: str) -> None:
    """A link in a git directory leads writes elsewhere (B65), and so does a second name of a file: `git clone` on
    one disk gives objects two (D14)."""
    with Tree(git_dir) as tree:
        for entry in tree.walk(_LIMITS):
            linked = entry.kind == "file" and entry.stat.st_nlink > 1
            if entry.kind == "link" or linked:
                what = "shares files with another one by hard links" if linked else "holds a symbolic link"
                raise OperatorFault(
                    "workspace.linked",
                    f"The repository in {visible(git_dir)} {what}, so a bottle could write outside of it.",
                    "Use `workspace: {mode: copy}`"
                    + (", or give it files of its own: git repack -a -d." if linked else "."),
                )
