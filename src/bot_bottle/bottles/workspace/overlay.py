"""The copy-on-write workspace for trees that are too large to copy: what is laid into its upper layer beforehand.

The lower layer is the source itself, so its git directory is neutralised by what lies above it: a regenerated config,
scrubbed reflogs, and masks over hooks, attributes, alternates and credentials (D05, D07, B64).
"""

import os

from bot_bottle.bottles.plan import Workspace
from bot_bottle.bottles.workspace import gitconfig, gitcopy
from bot_bottle.bottles.workspace.gitlink import GitFacts
from bot_bottle.bottles.workspace.reach import Entry, Limits, Tree

DANGEROUS = (
    "hooks", "info/attributes", "objects/info/alternates", "objects/info/http-alternates", "config.worktree",
    "commondir", "FETCH_HEAD", "worktrees", "fsmonitor--daemon", "fsmonitor--daemon.ipc",
)  # fmt: skip
_LIMITS = Limits(entries=3_000_000, seconds=600)


def populate(workspace: Workspace, git: GitFacts, upper: str) -> tuple[str, ...]:
    """Fills the empty `upper`; the absolute paths inside that the backend has to mask."""
    masks = [path for path in (os.path.join(workspace.source, p) for p in workspace.masked) if os.path.lexists(path)]
    if git.kind == "refused":
        masks.append(os.path.join(workspace.source, ".git"))
    if git.kind in ("worktree", "submodule"):
        gitcopy.copy_git(git, os.path.join(upper, ".git"))
    for relative in git_dirs(workspace.source):
        if relative == ".git" and git.kind == "refused":
            continue
        for one in [
            relative,
            *(f"{relative}/{m}" for m in gitcopy.find_modules(os.path.join(workspace.source, relative))),
        ]:
            masks += _neutralise(workspace.source, one, upper)
    return tuple(masks)


def git_dirs(source: str) -> list[str]:
    """Relative paths of all directories called .git."""
    found: list[str] = []

    def enter(entry: Entry) -> bool:
        if entry.path.rsplit("/", 1)[-1] != ".git":
            return True
        found.append(entry.path)
        return False

    with Tree(source) as tree:
        for _ in tree.walk(_LIMITS, enter, closed=[]):
            pass
    return found


def _neutralise(source: str, relative: str, upper: str) -> list[str]:
    make_parents(source, relative + "/config", upper)
    place = os.path.join(upper, relative)
    with Tree(os.path.join(source, relative)) as tree:
        gitcopy.write_config(tree, os.path.join(place, "config"))
        _scrub_logs(tree, os.path.join(source, relative), place)
        return [os.path.join(source, relative, name) for name in DANGEROUS if tree.stat(name) is not None]


def _scrub_logs(tree: Tree, source: str, place: str) -> None:
    for entry in tree.walk(_LIMITS, enter=lambda e: e.path.split("/", 1)[0] == "logs"):
        if entry.kind != "file" or not entry.path.startswith("logs/") or entry.stat.st_size > 16_000_000:
            continue
        data = tree.read(entry.path, 16_000_000)
        clean = gitconfig.without_users(data)
        if clean != data:
            make_parents(source, entry.path, place)
            with open(os.path.join(place, entry.path), "wb") as file:
                file.write(clean)


def make_parents(source: str, path: str, upper: str) -> None:
    """The directories above `path` in the upper layer, with the modes that they have in the source."""
    at = ""
    for part in path.split("/")[:-1]:
        at = os.path.join(at, part)
        target = os.path.join(upper, at)
        if not os.path.isdir(target):
            os.mkdir(target)
            os.chmod(target, os.stat(os.path.join(source, at)).st_mode & 0o777 | 0o700)
