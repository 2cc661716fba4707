"""The end of a run for the changes: asked, applied, kept or thrown away, and what is said about them (D13).

Headless nothing is asked: what needs a look of its own stops `apply` and `keep`, and the patch waits in the state.
"""

from collections.abc import Callable, Iterator

import msgspec

from bot_bottle.base.errors import BottleError
from bot_bottle.base.sizes import human
from bot_bottle.base.text import many, visible
from bot_bottle.bottles.workspace.apply import Applied, apply
from bot_bottle.bottles.workspace.changes import Changes
from bot_bottle.bottles.workspace.discard import discard
from bot_bottle.bottles.workspace.keep import keep
from bot_bottle.bottles.workspace.prepare import Prepared
from bot_bottle.bottles.workspace.review import Review, review

MOST_LINES = 40
ALL = frozenset({"*"})


class Concluded(msgspec.Struct, frozen=True):
    """done: nothing | applied | kept | discarded | waiting (the state is there, nothing was decided).

    branch, patch: where the work is now, "" for nowhere. notes: sentences for the person.
    """

    done: str
    branch: str = ""
    patch: str = ""
    applied: Applied | None = None
    notes: tuple[str, ...] = ()


def conclude(
    prepared: Prepared, changes: Changes, wish: str, confirm: Callable[[str], bool], say: Callable[[str], None]
) -> Concluded:
    """Carries out `wish`: ask | apply | keep | discard. confirm: a yes/no question; say: one line for the person.

    Never raises: what fails leaves the state for `bot-bottle changes`, and says why.
    """
    for line in lines(changes):
        say(line)
    if changes.mode == "bind":
        return Concluded("nothing", notes=changes.violations)
    if not changes.changes:
        discard(prepared.state)
        return Concluded("nothing")
    if wish == "discard":
        discard(prepared.state)
        return Concluded("discarded")
    if wish == "ask":
        return _ask(prepared, changes, confirm)
    return _apply(prepared, changes) if wish == "apply" else _keep(prepared, changes)


def _ask(prepared: Prepared, changes: Changes, confirm: Callable[[str], bool]) -> Concluded:
    looked = review(changes)
    if changes.changes and confirm("Apply these changes to the workspace?"):
        paths = looked.paths()
        accepted = bool(paths) and confirm(f"Also the {len(paths)} that need a look of their own?")
        return _apply(prepared, changes, ALL if accepted else frozenset(), skip=True)
    git = prepared.git.kind not in ("", "refused")
    if git and changes.changes and confirm("Keep them as a branch instead?"):
        return _keep(prepared, changes, ALL)
    if confirm("Throw them away?"):
        discard(prepared.state)
        return Concluded("discarded")
    return Concluded("waiting", patch=changes.patch)


def _apply(
    prepared: Prepared, changes: Changes, accept: frozenset[str] = frozenset(), skip: bool = False
) -> Concluded:
    try:
        applied = apply(prepared, changes, accept, skip)
    except (BottleError, OSError) as error:
        return Concluded("waiting", patch=changes.patch, notes=(str(error),))
    notes = tuple(f"{visible(path, 200)}: {why}" for path, why in applied.conflicts.items())
    if applied.conflicts:
        return Concluded("waiting", patch=changes.patch, applied=applied, notes=notes)
    if not applied.skipped:
        discard(prepared.state)
        return Concluded("applied", applied=applied)
    note = f"{len(applied.skipped)} changes were left out: they need a look of their own."
    return Concluded("applied", patch=changes.patch, applied=applied, notes=(note,))


def _keep(prepared: Prepared, changes: Changes, accept: frozenset[str] = frozenset()) -> Concluded:
    try:
        kept = keep(prepared, changes, accept=accept)
    except (BottleError, OSError) as error:
        return Concluded("waiting", patch=changes.patch, notes=(str(error),))
    notes = tuple(f"{visible(path, 200)} is not in the branch: {why}" for path, why in kept.skipped.items())
    return Concluded("kept", kept.branch, changes.patch, notes=notes)


def lines(changes: Changes) -> Iterator[str]:
    """Diffstat, what needs a look in a section of its own, what was left out. Names are the agent's: made safe."""
    looked = review(changes)
    for change in changes.changes[:MOST_LINES]:
        yield f"  {change.status} {visible(change.path, 200)}{_amount(change.added, change.removed, change.size)}"
    if len(changes.changes) > MOST_LINES:
        yield f"  and {len(changes.changes) - MOST_LINES} more files"
    files, added, removed = changes.counts()
    if files:
        yield f"{many(files, 'file')}, {many(added, 'line')} added, {removed} removed"
    yield from _looks(looked)
    for path, why in sorted(changes.left_out.items())[:10]:
        yield f"left out: {visible(path, 200)}: {why}"
    if len(changes.left_out) > 10:
        yield f"left out: {len(changes.left_out) - 10} more"
    if changes.ignored:
        yield f"ignored by .gitignore and not taken: {many(changes.ignored, 'file')}"


def _amount(added: int, removed: int, size: int) -> str:
    return f" binary, {human(size)}" if added < 0 else f" +{added} -{removed}"


def _looks(looked: Review) -> Iterator[str]:
    if looked.concerns:
        yield f"{len(looked.paths())} of them need a look of their own:"
    for concern in looked.concerns[:MOST_LINES]:
        yield f"  {visible(concern.path, 200) or 'the workspace'} ({concern.kind}): {concern.why}"
    if len(looked.concerns) > MOST_LINES:
        yield f"  and {len(looked.concerns) - MOST_LINES} more"
