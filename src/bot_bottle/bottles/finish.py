"""What happens to the changes of a bottle once it is dead: looked at in a sealed bottle, then asked, applied, kept or
thrown away (D05, D13, D22). The tree that an agent wrote is reached by bottles/workspace only.
"""

from collections.abc import Callable

from bot_bottle.base.errors import BottleError
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.plan import Plan
from bot_bottle.bottles.seal.offline import run_sealed
from bot_bottle.bottles.workspace.changes import Changes, collect
from bot_bottle.bottles.workspace.prepare import Prepared

MOST_LINES = 40


class Finish:
    """The at_end of a run. wish: ask | apply | keep | discard. confirm: a yes/no question, for `ask`."""

    def __init__(self, wish: str, confirm: Callable[[str], bool]) -> None:
        self._wish = wish
        self._confirm = confirm

    def __call__(self, prepared: Prepared, plan: Plan, outcome: Outcome) -> None:
        """Fills `changes`, `patch`, `branch` and `kept` of the outcome. A fault keeps the state for another try."""
        if plan.workspace.mode == "none":
            return
        try:
            changes = collect(prepared, run_sealed)
        except BottleError as error:
            outcome.kept = True
            outcome.reason = outcome.reason or f"The changes could not be looked at: {error}"
            return
        outcome.changes = diffstat(changes)
        if changes.is_empty() or self._wish == "discard":
            return
        outcome.kept = True
        outcome.patch = changes.patch


def diffstat(changes: Changes) -> tuple[str, ...]:
    """One line per file, the sum last; paths are the agent's, so they are made safe to show."""
    from bot_bottle.base.text import visible

    lines = [f"{one.status} {visible(one.path, 200)} +{one.added} -{one.removed}" for one in changes.changes]
    if not lines:
        return ()
    files, added, removed = changes.counts()
    more = [f"and {len(lines) - MOST_LINES} more files"] if len(lines) > MOST_LINES else []
    return (*lines[:MOST_LINES], *more, f"{files} files, {added} lines added, {removed} removed")
