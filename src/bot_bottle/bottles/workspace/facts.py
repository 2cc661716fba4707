"""A read-only look at the source before a plan is made: what it is, what to hide, what stands in the way (D07).

`inspect_source` touches nothing. `SourceFacts.workspace` gives the `plan.Workspace` for a wanted mode.
"""

import contextlib
import os
import re

import msgspec

from bot_bottle.base.errors import AgentFault, OperatorFault
from bot_bottle.base.sizes import human
from bot_bottle.base.text import visible
from bot_bottle.bottles.plan import Mount, Workspace
from bot_bottle.bottles.seal import idmap
from bot_bottle.bottles.workspace import gitlink, names
from bot_bottle.bottles.workspace.reach import DEFAULT, Entry, Limits, Tree

COPY_BYTES, COPY_FILES = 2_000_000_000, 200_000
_SCAN_FILE, _SCAN_TOTAL = 256_000, 24_000_000
# Each begins with the literal that stands before it, which is looked for first: a hundred times faster.
_SHAPES = tuple(
    (literal, re.compile(re.escape(literal) + rest), name)
    for literal, rest, name in (
        (b"AKIA", rb"[0-9A-Z]{16}", "an AWS access key"),
        (b"ghp_", rb"[A-Za-z0-9]{36}", "a GitHub token"),
        (b"gho_", rb"[A-Za-z0-9]{36}", "a GitHub token"),
        (b"ghs_", rb"[A-Za-z0-9]{36}", "a GitHub token"),
        (b"ghu_", rb"[A-Za-z0-9]{36}", "a GitHub token"),
        (b"github_pat_", rb"[A-Za-z0-9_]{60}", "a GitHub token"),
        (b"glpat-", rb"[A-Za-z0-9_-]{20}", "a GitLab token"),
        (b"sk-ant-", rb"[a-z]+[0-9]{2}-[A-Za-z0-9_-]{40}", "an Anthropic key"),
        (b"sk-", rb"(?:proj-)?[A-Za-z0-9_-]{40}", "an OpenAI key"),
        (b"xox", rb"[abprs]-[A-Za-z0-9-]{20}", "a Slack token"),
        (b"npm_", rb"[A-Za-z0-9]{36}", "an npm token"),
        (b"AIza", rb"[0-9A-Za-z_-]{35}", "a Google API key"),
        (b"-----BEGIN ", rb"[A-Z ]{0,30}PRIVATE KEY-----\r?\n", "a private key"),
        (b"://", rb"[^/\s:@'\"]{1,64}:[^/\s@'\"$<{]{6,256}@", "a URL with a password"),
    )
)


class SourceFacts(msgspec.Struct, frozen=True):
    """path: real absolute path. files, size: of what would be copied. oversize: a limit of the walk was reached.

    git: how the repository is reached, see gitlink.GitFacts. masked: relative paths that look like credentials.
    findings: sentences for the plan. linked: files with more than one link. special: sockets, FIFOs, devices.
    """

    path: str
    files: int
    size: int
    oversize: bool
    git: gitlink.GitFacts
    masked: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()
    special: tuple[str, ...] = ()

    def mode(self, wanted: str = "copy") -> str:
        """copy | overlay | bind | none: a copy that is too large becomes an overlay, where that can be written."""
        too_much = self.oversize or self.size > COPY_BYTES or self.files > COPY_FILES
        return "overlay" if wanted == "copy" and too_much and idmap.has_power() else wanted

    def workspace(self, wanted: str = "copy") -> Workspace:
        """The part of the plan. Raises OperatorFault where `bind` cannot be made safe (D14)."""
        mode = self.mode(wanted)
        if mode == "bind" and self.linked:
            raise OperatorFault(
                "workspace.linked",
                f"{visible(self.linked[0])} and {len(self.linked) - 1} more files have several hard links, "
                "so a bottle could write outside the workspace.",
                "Use `workspace: {mode: copy}`, or break the links.",
            )
        notes = list(self.findings)
        if mode == "bind":
            notes.append(
                "the agent writes into the directory itself; protected names are read-only or covered meanwhile"
            )
        if mode == "overlay":
            notes.append(
                f"{self.files} files, {human(self.size)}: an overlay instead of a copy; "
                "directories of the source cannot be renamed in it, and the source must not change meanwhile"
            )
        return Workspace(self.path, mode, self.masked, self.keep, self.git.common, tuple(notes))


def inspect_source(
    path: str,
    keep: tuple[str, ...],
    home: str,
    runtime_dir: str,
    limits: Limits = DEFAULT,
) -> SourceFacts:
    """Looks at a workspace. home: the bot-bottle home. Raises OperatorFault where it must not be one (D07)."""
    source = check_place(path, home, runtime_dir)
    look = _Look(keep)
    with Tree(source) as tree:
        git = gitlink.find(source)
        oversize = False
        try:
            for entry in tree.walk(limits, enter=_not_git, closed=look.closed):
                look.at(tree, entry)
        except AgentFault:
            oversize = True
    findings = [*look.findings, *git.findings]
    findings += [f"{visible(path)} may not be read and is left out" for path in look.closed]
    return SourceFacts(
        source, look.files, look.size + git.size, oversize, git, tuple(look.masked), keep, tuple(findings),
        tuple(look.linked), tuple(look.special),
    )  # fmt: skip


def _not_git(entry: Entry) -> bool:
    return entry.path.rsplit("/", 1)[-1] != ".git"


def check_place(path: str, home: str, runtime_dir: str) -> str:
    """The real path of a directory that may be a workspace. Raises OperatorFault."""
    real = os.path.realpath(path)
    if not os.path.isdir(real):
        raise OperatorFault("workspace.missing", f"{path} is no directory.", "Start in the directory of the project.")
    person = os.path.realpath(os.path.expanduser("~"))
    for forbidden, what in (
        ("/", "the root directory"), (person, "your home directory"), (home, "the bot-bottle home"),
        (runtime_dir, "the runtime directory"),
    ):  # fmt: skip
        if forbidden and _contains(real, os.path.realpath(forbidden)):
            raise OperatorFault(
                "workspace.forbidden", f"The workspace {path} is or contains {what}.", "Start in a project directory."
            )
    for inside in (home, runtime_dir):
        if inside and _contains(os.path.realpath(inside), real):
            raise OperatorFault(
                "workspace.forbidden", f"The workspace {path} lies in {inside}.", "Start in a project directory."
            )
    return real


def _contains(outer: str, inner: str) -> bool:
    return outer == inner or inner.startswith(outer.rstrip("/") + "/")


class _Look:
    """What one walk over the source collects."""

    def __init__(self, keep: tuple[str, ...]) -> None:
        self.keep = keep
        self.files = self.size = self.scanned = 0
        self.masked: list[str] = []
        self.linked: list[str] = []
        self.special: list[str] = []
        self.findings: list[str] = []
        self.closed: list[str] = []

    def at(self, tree: Tree, entry: Entry) -> None:
        if entry.kind in ("fifo", "socket", "device"):
            self.special.append(entry.path)
            return
        self.files += 1
        if entry.kind == "dir":
            return
        if is_hidden(tree, entry.path, entry.stat.st_size, self.keep):
            self.masked.append(entry.path)
            return
        if entry.kind == "file":
            self.size += entry.stat.st_size
            if entry.stat.st_nlink > 1:
                self.linked.append(entry.path)
            self._scan(tree, entry)

    def _scan(self, tree: Tree, entry: Entry) -> None:
        if entry.stat.st_size > _SCAN_FILE or self.scanned > _SCAN_TOTAL or len(self.findings) >= 20:
            return
        self.scanned += entry.stat.st_size
        try:
            data = tree.read(entry.path, _SCAN_FILE)
        except (OSError, AgentFault):
            return
        for literal, shape, name in _SHAPES:
            if literal in data and shape.search(data):
                self.findings.append(f"{visible(entry.path)} holds what looks like {name}")
                return


def is_hidden(tree: Tree, path: str, size: int, keep: tuple[str, ...]) -> bool:
    """Whether a file or link is masked: its name says credential, nothing keeps it, it is no CA file."""
    return names.looks_secret(path) and not names.is_kept(path, keep) and not _public(tree, path, size)


def _public(tree: Tree, path: str, size: int) -> bool:
    if not names.may_be_public(path) or size > 4_000_000:
        return False
    try:
        return names.is_public(path, tree.read(path, 4_000_000))
    except (OSError, AgentFault):
        return False


def hidden_in(mount: Mount) -> tuple[str, ...]:
    """Paths inside that a mounted directory of the person hides: sockets, FIFOs and devices, which answer as the
    person even where the mount is read-only (D14, B54); names that say credential, in its upper levels."""
    if not os.path.isdir(mount.source):
        return ()
    prefix = os.path.basename(mount.source)
    found: list[str] = []
    with Tree(mount.source) as tree, contextlib.suppress(AgentFault, OSError):
        for entry in tree.walk(Limits(entries=100_000, seconds=5), closed=[]):
            secret = entry.kind == "file" and entry.path.count("/") < 3
            secret = secret and names.looks_secret(f"{prefix}/{entry.path}")
            special = entry.kind in ("socket", "fifo", "device")
            if special or (secret and not _public(tree, entry.path, entry.stat.st_size)):
                found.append(os.path.join(mount.target, entry.path))
    return tuple(found)


def check_steady(mounts: tuple[Mount, ...], workspace: str) -> None:
    """Raises OperatorFault for a mount whose source an earlier bottle could have replaced by a link (B65): no link
    lies on its way below a bound workspace or below a writable mount."""
    writable = [workspace, *(mount.source for mount in mounts if mount.mode == "rw")]
    for mount in mounts:
        for top in writable:
            if not top or not mount.source.startswith(top.rstrip("/") + "/"):
                continue
            if os.path.realpath(mount.source) != os.path.join(
                os.path.realpath(top), mount.source[len(top) :].lstrip("/")
            ):
                raise OperatorFault(
                    "workspace.mount-link",
                    f"The mount {visible(mount.source)} goes through a symbolic link that a bottle could have made.",
                    "Mount the real directory, or one outside the workspace and of writable mounts.",
                )
