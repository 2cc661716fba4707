"""Makes the workspace of one bottle ready in its state directory: a copy, an overlay or a guarded bind (design, 5).

The source is only read (but for the empty places that `bind` needs as mount points, see `binding`). Everything that
the end of the run must know is in `Prepared`, which is stored outside the workspace.
"""

import json
import os
from typing import Any

import msgspec

from bot_bottle.base.errors import HostFault, OperatorFault
from bot_bottle.bottles.plan import Mount, Plan, Workspace
from bot_bottle.bottles.ports import Layout
from bot_bottle.bottles.workspace import binding, facts, gitcopy, gitlink, hostgit, overlay
from bot_bottle.bottles.workspace.caches import prepare_caches
from bot_bottle.bottles.workspace.copying import Copied, copy_tree
from bot_bottle.bottles.workspace.guards import Guard, remember_root
from bot_bottle.bottles.workspace.reach import Entry, Limits, Tree
from bot_bottle.bottles.workspace.removal import remove
from bot_bottle.bottles.workspace.skills import copy_skills
from bot_bottle.bottles.workspace.snapshot import Snapshot

BASE_BYTES, BASE_FILES = 256_000_000, 20_000
LIMITS = Limits(entries=2_000_000, seconds=600)
RECORD = "workspace.json"


class Prepared(msgspec.Struct, frozen=True):
    """state: the directory that holds it all. source, mode: as in the plan. git: how the repository is reached.

    workspace | lower, upper, work: for the Layout. masks: absolute paths inside. files, mounts: laid over the
    workspace, skills and caches. env: what caches need. base: directory that holds the tree as it was at the start;
    the source itself where that is large. digest: of the source at the start. masked: relative paths never shown.
    left_out: path -> why. head: commit that HEAD named at the start, "" for none. git_user: of the agent.
    guards: what `bind` compares.
    """

    state: str
    source: str
    mode: str
    git: gitlink.GitFacts
    workspace: str = ""
    lower: str = ""
    upper: str = ""
    work: str = ""
    masks: tuple[str, ...] = ()
    files: dict[str, str] = {}
    mounts: tuple[Mount, ...] = ()
    env: dict[str, str] = {}
    base: str = ""
    digest: str = ""
    masked: tuple[str, ...] = ()
    left_out: dict[str, str] = {}
    head: str = ""
    git_user: tuple[str, str] = ("", "")
    guards: tuple[Guard, ...] = ()

    @property
    def base_is_source(self) -> bool:
        return self.base == self.source

    def layout(self, home: str, authority: str = "") -> Layout:
        """For the backend. home: the directory on disk that becomes HOME."""
        return Layout(
            self.state,
            home,
            self.workspace,
            self.lower,
            self.upper,
            self.work,
            authority,
            self.masks,
            dict(self.files),
        )

    def extend(self, plan: Plan) -> Plan:
        """The plan with skills, caches, their variables, and the mounts that guard a bound workspace."""
        return msgspec.structs.replace(plan, mounts=(*plan.mounts, *self.mounts), env={**self.env, **plan.env})

    def path(self, name: str) -> str:
        return os.path.join(self.state, name)


def prepare(plan: Plan, state_dir: str, caches_dir: str = "") -> Prepared:
    """Makes copy, overlay or bind for `plan.workspace` in `state_dir` (0700, ours, made if absent); skills, caches.

    caches_dir: of this bottle; "" for ``caches/<bottle>`` beside the directory of all states. The owner of all that
    is made is this process's; the backend shows it to the agent as its own. Raises HostFault, OperatorFault.
    """
    os.makedirs(state_dir, 0o700, exist_ok=True)
    facts.check_steady(plan.mounts, plan.workspace.source if plan.workspace.mode == "bind" else "")
    made = _workspace(plan, state_dir)
    place = caches_dir or os.path.join(os.path.dirname(os.path.dirname(state_dir)), "caches", plan.bottle)
    caches, variables = prepare_caches(place, plan.bottle, plan.caches, plan.home)
    mounts = (*made.mounts, *copy_skills(plan, state_dir), *caches)
    masks = tuple(path for mount in plan.mounts for path in facts.hidden_in(mount))
    return save(
        msgspec.structs.replace(
            made, mounts=mounts, masks=(*made.masks, *masks), env=variables, git_user=plan.git_user
        )
    )


def _workspace(plan: Plan, state_dir: str) -> Prepared:
    workspace = plan.workspace
    if workspace.mode == "none":
        return Prepared(state_dir, "", "none", gitlink.GitFacts())
    git = gitlink.find(workspace.source)
    if git.common != workspace.common_git:
        raise OperatorFault(
            "workspace.changed", "The repository of the workspace changed since the plan was made.", "Start again."
        )
    makers = {"copy": _copy, "overlay": _overlay, "bind": _bind}
    made = makers[workspace.mode](workspace, git, state_dir)
    _copy_start(git, state_dir)
    return msgspec.structs.replace(made, head=gitlink.head(git))


def load(state_dir: str) -> Prepared:
    """What `prepare` stored. Raises OperatorFault where there is nothing."""
    try:
        with open(os.path.join(state_dir, RECORD), encoding="ascii") as file:
            return msgspec.convert(json.load(file), Prepared)
    except (OSError, ValueError):
        raise OperatorFault(
            "workspace.no-state",
            "There is no workspace kept under this label.",
            "`bot-bottle list` shows the labels.",
        ) from None


def save(prepared: Prepared) -> Prepared:
    """Stores what `load` gives back; the same."""
    # json, not msgspec: file names that are no UTF-8 survive as escaped surrogates.
    data: Any = msgspec.to_builtins(prepared)
    with open(prepared.path(RECORD), "w", encoding="ascii") as file:
        json.dump(data, file)
    return prepared


def _copy(workspace: Workspace, git: gitlink.GitFacts, state: str) -> Prepared:
    tree, base = os.path.join(state, "tree"), os.path.join(state, "base")
    workspace = _remember_source(workspace, state)  # before the copy: what changes meanwhile counts as changed since
    _fresh(tree)
    try:
        done = _copy_workspace(workspace, git, tree)
        kept_base = _copy_base(tree, base, done)
    except BaseException:
        remove(tree)
        raise
    hide_from_git(workspace.masked, tree)
    _mark(tree).save(os.path.join(state, "start.marks"))
    return Prepared(
        state, workspace.source, "copy", git, workspace=tree, base=base if kept_base else workspace.source,
        digest=_digest(state), masked=workspace.masked, left_out=done.left_out,
    )  # fmt: skip


def _copy_workspace(workspace: Workspace, git: gitlink.GitFacts, tree: str) -> Copied:
    hidden = frozenset(workspace.masked)
    nested: list[str] = []

    def skip(entry: Entry) -> bool:
        if is_git_dir(entry):
            nested.append(entry.path)
            return True
        return entry.path == ".git" or entry.path in hidden

    with Tree(workspace.source) as source:
        done = copy_tree(source, tree, LIMITS, skip)
    gitcopy.copy_git(git, os.path.join(tree, ".git"))
    for path in sorted({p for p in nested if p != ".git"}):
        gitcopy.copy_git_dir(os.path.join(workspace.source, path), os.path.join(tree, path))
    return done


def is_git_dir(entry: Entry) -> bool:
    """A directory called .git, at any depth: never copied as it is."""
    return entry.kind == "dir" and entry.path.rsplit("/", 1)[-1] == ".git"


def _copy_base(tree: str, base: str, done: Copied) -> bool:
    """A second copy to compare with; for a large tree the source serves, as far as it has not changed by then."""
    if not done.reflinked and (done.size > BASE_BYTES or done.files > BASE_FILES):
        return False
    _fresh(base)
    with Tree(tree) as made:
        copy_tree(made, base, LIMITS, is_git_dir)
    return True


def mark_source(source: str, masked: tuple[str, ...]) -> Snapshot:
    """Marks of the person's tree, without what a bottle never sees of it."""
    hidden = frozenset(masked) | {".git"}
    return Snapshot.take(source, LIMITS, lambda entry: not is_git_dir(entry) and entry.path not in hidden).without(
        hidden
    )


def _mark(tree: str) -> Snapshot:
    return Snapshot.take(tree, LIMITS, lambda entry: not is_git_dir(entry))


def mark_again(prepared: Prepared) -> None:
    """Where the backend had to give the copy to the bottle's uid, every ctime changed: the marks learn the new ones.

    The bottle must still be waiting for its first word.
    """
    if prepared.mode != "copy" or os.stat(prepared.workspace).st_uid == os.geteuid():
        return
    at = prepared.path("start.marks")
    Snapshot.load(at).with_times_of(_mark(prepared.workspace)).save(at)


def _remember_source(workspace: Workspace, state: str) -> Workspace:
    """Marks of the source, and the plan's masks with those of files that came since the plan was made."""
    marks = mark_source(workspace.source, workspace.masked)
    with Tree(workspace.source) as tree:
        came = tuple(
            path for path, mark in marks.marks.items()
            if mark.kind in ("file", "link") and facts.is_hidden(tree, path, mark.size, workspace.keep)
        )  # fmt: skip
    marks.without(frozenset(came)).save(os.path.join(state, "source.marks"))
    return msgspec.structs.replace(workspace, masked=(*workspace.masked, *came))


def _digest(state: str) -> str:
    return Snapshot.load(os.path.join(state, "source.marks")).digest()


def hide_from_git(masked: tuple[str, ...], tree: str) -> None:
    """A tracked file that is masked would look deleted to git inside: its index entry is told not to look."""
    git_dir = os.path.join(tree, ".git")
    if not masked or not os.path.isfile(os.path.join(git_dir, "index")):
        return
    try:
        tracked = set(hostgit.run(["ls-files", "-z", "--cached"], git_dir).split(b"\0"))
        hidden = tuple(os.fsencode(path) for path in masked)
        below = tuple(path + b"/" for path in hidden)
        paths = b"".join(name + b"\0" for name in tracked if name in hidden or name.startswith(below))
        if paths:
            hostgit.run(["update-index", "--skip-worktree", "-z", "--stdin"], git_dir, stdin=paths)
    except HostFault:
        return  # only a nicety for the agent; the file itself is not there either way


def _overlay(workspace: Workspace, git: gitlink.GitFacts, state: str) -> Prepared:
    upper, work = os.path.join(state, "cow", "upper"), os.path.join(state, "cow", "work")
    _fresh(os.path.join(state, "cow"))
    os.mkdir(upper, 0o700)
    os.mkdir(work, 0o700)
    workspace = _remember_source(workspace, state)
    masks = overlay.populate(workspace, git, upper)
    _mark(upper).save(os.path.join(state, "start.marks"))
    return Prepared(
        state, workspace.source, "overlay", git, lower=workspace.source, upper=upper, work=work, masks=masks,
        base=workspace.source, digest=_digest(state), masked=workspace.masked,
    )  # fmt: skip


def _bind(workspace: Workspace, git: gitlink.GitFacts, state: str) -> Prepared:
    workspace = _remember_source(workspace, state)
    remember_root(state, workspace.source)
    guarded = binding.guard(workspace, git, state)
    return Prepared(
        state, workspace.source, "bind", git, workspace=workspace.source, masks=guarded.masks, files=guarded.files,
        mounts=guarded.mounts, base=workspace.source, digest=_digest(state), masked=workspace.masked,
        guards=guarded.guards,
    )  # fmt: skip


def _fresh(path: str) -> None:
    if os.path.lexists(path):
        remove(path)
    os.mkdir(path, 0o700)


def _copy_start(git: gitlink.GitFacts, state: str) -> None:
    """Keeps the index and the private ignore rules of the source as they are when the bottle starts."""
    if git.kind in ("", "refused"):
        return
    for source, name, target in (
        (git.git_dir, "index", "start.index"),
        (git.common or git.git_dir, "info/exclude", "start.exclude"),
    ):
        with Tree(source) as tree:
            if tree.stat(name) is not None:
                with open(os.path.join(state, target), "wb") as file:
                    file.write(tree.read(name, 512_000_000))
