"""Apply: the changes of a bottle into the person's tree, reviewed, three-way, all or nothing (D13)."""

import os
import tempfile

import msgspec

from bot_bottle.base.errors import OperatorFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.workspace import merge
from bot_bottle.bottles.workspace.changes import Change, Changes
from bot_bottle.bottles.workspace.prepare import Prepared
from bot_bottle.bottles.workspace.reach import Tree
from bot_bottle.bottles.workspace.review import Review, review
from bot_bottle.bottles.workspace.writing import write_all


class Applied(msgspec.Struct, frozen=True):
    """written: paths that are now as in the bottle. merged: of these, those that hold both sides' lines.

    same: were so already. skipped: need a look, left alone. conflicts: path -> why; then nothing was written.
    """

    written: tuple[str, ...] = ()
    merged: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    conflicts: dict[str, str] = {}


def apply(prepared: Prepared, changes: Changes, accept: frozenset[str] = frozenset(), skip: bool = False) -> Applied:
    """Writes the changes. accept: paths with a concern that a person has looked at ("*": all of them).

    skip: leaves the others with a concern alone; without it they stop everything. Raises OperatorFault, HostFault.
    """
    if changes.mode not in ("copy", "overlay"):
        raise OperatorFault(
            "workspace.nothing-to-apply", "This bottle worked in the workspace itself.", "Nothing to do."
        )
    chosen = gate(changes, accept, skip, os.path.basename(prepared.state))
    if not os.path.isdir(prepared.source):
        raise OperatorFault(
            "workspace.gone", f"{prepared.source} is no directory any more.", "Put it back, or keep the patch."
        )
    with tempfile.TemporaryDirectory(dir=prepared.state) as scratch, Tree(prepared.source) as tree:
        decided = merge.decide(tree, chosen, changes.repository, scratch)
        if not decided.conflicts:
            write_all(tree, decided.writes)
    skipped = tuple(c.path for c in changes.changes if c not in chosen)
    if decided.conflicts:
        return Applied(skipped=skipped, conflicts=decided.conflicts)
    written = tuple(write.path for write in decided.writes)
    return Applied(written, tuple(decided.merged), tuple(decided.same), skipped)


def gate(changes: Changes, accept: frozenset[str], skip: bool, label: str) -> tuple[Change, ...]:
    """The changes that may go on. Raises OperatorFault naming what nobody has looked at (D13)."""
    looked: Review = review(changes)
    stopped = looked.paths() - accept if "*" not in accept else frozenset[str]()
    if stopped and not skip:
        first = sorted(stopped)[:5]
        more = f" and {len(stopped) - 5} more" if len(stopped) > 5 else ""
        raise OperatorFault(
            "workspace.needs-a-look",
            f"Changes that need a look of their own: {', '.join(visible(p, 120) for p in first)}{more}.",
            f"bot-bottle changes show {label} says why; take them with --accept PATH or --accept-all, or --skip.",
        )
    return tuple(change for change in changes.changes if change.path not in stopped)
