"""What of a bottle's changes needs a look of its own before it reaches the host (D13): pure, over `Changes`.

Refused by default when nobody can look: files that a host tool executes or trusts, new executable bits, links that
leave the tree, submodules, very large files, files that were hidden from the bottle.
"""

import posixpath

import msgspec

from bot_bottle.base.sizes import human
from bot_bottle.bottles.workspace import names, trusted
from bot_bottle.bottles.workspace.changes import Change, Changes

LARGE = 20_000_000


class Concern(msgspec.Struct, frozen=True):
    """One reason to look. kind: trusted | executable | link | submodule | large | hidden | guard."""

    path: str
    kind: str
    why: str


class Review(msgspec.Struct, frozen=True):
    """concerns: in path order; a path may have several. plain: paths that need no look of their own."""

    concerns: tuple[Concern, ...]
    plain: tuple[str, ...]

    def paths(self) -> frozenset[str]:
        """Paths with a concern."""
        return frozenset(concern.path for concern in self.concerns)


def review(changes: Changes) -> Review:
    """Sorts all changes."""
    concerns = [concern for change in changes.changes for concern in concerns_of(change)]
    concerns += [Concern("", "guard", sentence) for sentence in changes.violations]
    looked = {concern.path for concern in concerns}
    return Review(tuple(concerns), tuple(c.path for c in changes.changes if c.path not in looked))


def concerns_of(change: Change) -> list[Concern]:
    """Every reason to look at one change. Removing a trusted file is one, too: it may be what protects."""
    found: list[tuple[str, str]] = []
    why = trusted.why_trusted(change.path)
    if why:
        found.append(("trusted", why))
    if change.new_mode == "100755" and change.old_mode != "100755":
        found.append(("executable", "it can be run as a program"))
    if change.new_mode == "120000" and leaves_tree(change.path, change.target):
        found.append(("link", "it points out of the workspace"))
    if "160000" in (change.old_mode, change.new_mode):
        found.append(("submodule", "it names a commit of another repository"))
    if change.size > LARGE:
        found.append(("large", f"it has {human(change.size)}"))
    if names.looks_secret(change.path):
        found.append(("hidden", "files of this name hold credentials and are hidden from a bottle"))
    return [Concern(change.path, kind, why) for kind, why in found]


def leaves_tree(path: str, target: str) -> bool:
    """Whether a link at `path` points out of the tree, or into a git directory; by text, the target may not exist."""
    if target.startswith("/") or "\0" in target or not target:
        return True
    landed = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    return landed == ".." or landed.startswith("../") or ".git" in landed.lower().split("/")
