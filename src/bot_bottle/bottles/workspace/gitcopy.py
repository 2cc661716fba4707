"""A repository's git directory for the bottle, neutralised: D05, D07, F19-F22, B64.

Only the names below are taken; hooks, config.worktree, commondir, info/attributes, alternates and whatever else a git
directory may hold stay outside. `config` is made again from an allowlist, URLs in reflogs lose their user part.
"""

import fnmatch
import os

from bot_bottle.base.errors import AgentFault, HostFault
from bot_bottle.bottles.workspace import gitconfig, hostgit
from bot_bottle.bottles.workspace.copying import copy_tree
from bot_bottle.bottles.workspace.gitlink import GitFacts
from bot_bottle.bottles.workspace.reach import Entry, Limits, Tree

_FILES = (
    "HEAD", "packed-refs", "shallow", "description", "index", "sharedindex.*", "ORIG_HEAD", "MERGE_HEAD", "MERGE_MSG",
    "MERGE_MODE", "AUTO_MERGE", "SQUASH_MSG", "CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "BISECT_*",
    "info/exclude", "info/sparse-checkout",
)  # fmt: skip
_TREES = ("objects", "refs", "reftable", "rebase-merge", "rebase-apply", "sequencer", "lfs/objects")
_OWN_OF_WORKTREE = (
    "HEAD",
    "index",
    "sharedindex.*",
    "ORIG_HEAD",
    "MERGE_*",
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
)
_NEVER = ("objects/info/alternates", "objects/info/http-alternates", "objects/info/commit-graphs.lock")
CONFIG_LIMIT = 1_000_000
LIMITS = Limits(entries=1_000_000, depth=60)


def copy_git(facts: GitFacts, target: str) -> None:
    """Makes `target` a git directory of its own for the workspace; a worktree's common directory is folded in."""
    if facts.kind in ("", "refused"):
        return
    copy_git_dir(facts.common or facts.git_dir, target)
    if facts.kind == "worktree":
        _own_files(facts.git_dir, target)
    if facts.kind == "submodule":
        _rewrite(target, drop_worktree=True)


def copy_git_dir(source: str, target: str) -> None:
    """One git directory and those of its submodules, neutralised. Raises HostFault, AgentFault at a limit."""
    os.makedirs(os.path.join(target, "hooks"), 0o700)
    with Tree(source) as tree:
        copy_tree(tree, target, LIMITS, skip=lambda entry: not _taken(entry))
        for path in ("objects", "refs", "info"):
            os.makedirs(os.path.join(target, path), 0o700, exist_ok=True)
        _logs(tree, target)
        write_config(tree, os.path.join(target, "config"))
    _modules(source, target)


def _taken(entry: Entry) -> bool:
    if entry.kind not in ("dir", "file") or entry.path in _NEVER or entry.path.endswith(".lock"):
        return False
    if any(entry.path == top or entry.path.startswith(top + "/") for top in _TREES):
        return True
    if entry.kind == "dir":
        return entry.path in ("info", "lfs")
    return any(fnmatch.fnmatchcase(entry.path, name) and entry.path.count("/") == name.count("/") for name in _FILES)


def _logs(tree: Tree, target: str) -> None:
    """Reflogs: text of git's own that may hold the URL, token included, that something was fetched from (D07)."""
    for entry in tree.walk(LIMITS, enter=lambda e: e.path.split("/", 1)[0] == "logs"):
        if entry.path.split("/", 1)[0] != "logs" or entry.kind not in ("dir", "file"):
            continue
        place = os.path.join(target, entry.path)
        if entry.kind == "dir":
            os.makedirs(place, 0o700, exist_ok=True)
        elif entry.stat.st_size < 16_000_000:
            _write(place, gitconfig.without_users(tree.read(entry.path, 16_000_000)))


def read_config(tree: Tree) -> list[gitconfig.Pair]:
    """The allowed settings of a git directory's `config`; sparse checkout also from `config.worktree`."""
    pairs: list[gitconfig.Pair] = []
    for name in ("config", "config.worktree"):
        try:
            data = tree.read(name, CONFIG_LIMIT)
            listed = hostgit.run(["config", "--file", "-", "--no-includes", "--list", "-z"], stdin=data)
        except (OSError, AgentFault, HostFault):
            continue
        found = gitconfig.allowed(gitconfig.parse_list(listed))
        pairs += [p for p in found if name == "config" or p[0].lower().startswith("core.sparsecheckout")]
    return pairs


def write_config(tree: Tree, path: str) -> None:
    """Copies keep size and mtime but not inode and ctime: git is told to look at the former only, or it reads all."""
    pairs = read_config(tree)
    pairs += [("core.checkstat", "minimal"), ("core.trustctime", "false")]
    _write(path, gitconfig.render(pairs))


def _own_files(git_dir: str, target: str) -> None:
    """HEAD, index and the like of a worktree take the place of the main worktree's."""
    with Tree(git_dir) as tree:
        names = [n for n in os.listdir(tree.fd) if any(fnmatch.fnmatchcase(n, p) for p in _OWN_OF_WORKTREE)]
        for name in os.listdir(target):
            if name not in ("HEAD",) and any(fnmatch.fnmatchcase(name, p) for p in _OWN_OF_WORKTREE):
                os.unlink(os.path.join(target, name))
        for name in names:
            _write(os.path.join(target, name), tree.read(name, 256_000_000))
    _rewrite(target, drop_worktree=True)


def _rewrite(target: str, drop_worktree: bool) -> None:
    with Tree(target) as tree:
        pairs = [
            p for p in read_config(tree) if not (drop_worktree and p[0].lower() in ("core.worktree", "core.bare"))
        ]
    pairs += [("core.bare", "false"), ("core.checkstat", "minimal"), ("core.trustctime", "false")]
    _write(os.path.join(target, "config"), gitconfig.render(pairs))


def _modules(source: str, target: str) -> None:
    """Submodules keep their git directories under ``modules/``; each is neutralised like the repository's own."""
    for relative in find_modules(source):
        place = os.path.join(target, relative)
        os.makedirs(os.path.dirname(place), 0o700, exist_ok=True)
        copy_git_dir(os.path.join(source, relative), place)


def find_modules(source: str) -> list[str]:
    """Relative paths of the git directories directly under ``modules/`` (names may hold slashes)."""
    found: list[str] = []

    def enter(entry: Entry) -> bool:
        if entry.path.split("/", 1)[0] != "modules" or any(entry.path.startswith(f + "/") for f in found):
            return False
        if entry.path != "modules" and os.path.isfile(os.path.join(source, entry.path, "HEAD")):
            found.append(entry.path)
            return False
        return True

    with Tree(source) as tree:
        for _ in tree.walk(Limits(entries=100_000, depth=20), enter):
            pass
    return found


def _write(path: str, data: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
