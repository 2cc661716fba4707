"""What happens to the changes of a bottle once it is dead: looked at in a sealed bottle, then asked, applied, kept or
thrown away (D05, D13, D22). The tree that an agent wrote is reached by bottles/workspace only.
"""

import os
import shutil
from collections.abc import Callable

from bot_bottle.base.errors import BottleError
from bot_bottle.base.home import Home
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.plan import Plan
from bot_bottle.bottles.seal.offline import run_sealed
from bot_bottle.bottles.workspace.changes import collect
from bot_bottle.bottles.workspace.choice import Concluded, conclude
from bot_bottle.bottles.workspace.prepare import Prepared

Look = Callable[[Outcome], None]


class Finish:
    """The at_end of a run. wish: ask | apply | keep | discard. confirm: a yes/no question, for `ask`.

    say: one line for the person. look: sees the outcome while the bottle's files are still there.
    """

    def __init__(
        self,
        home: Home,
        wish: str,
        confirm: Callable[[str], bool],
        say: Callable[[str], None] = lambda _line: None,
        look: Look | None = None,
    ) -> None:
        self._home = home
        self._wish = wish
        self._confirm = confirm
        self._say = say
        self._look = look

    def __call__(self, prepared: Prepared, plan: Plan, outcome: Outcome) -> None:
        """Fills `changes`, `done`, `patch`, `branch` and `kept` of the outcome. What fails keeps the state."""
        if self._look:
            self._look(outcome)
        if plan.workspace.mode == "none":
            return
        said: list[str] = []

        def say(line: str) -> None:
            said.append(line)
            self._say(line)

        try:
            changes = collect(prepared, run_sealed)
            concluded = conclude(prepared, changes, self._wish, self._confirm, say)
        except BottleError as error:
            concluded = Concluded("waiting", notes=(f"The changes could not be looked at: {error}",))
        for note in concluded.notes:
            say(note)
        self._fill(outcome, concluded, tuple(said))

    def _fill(self, outcome: Outcome, concluded: Concluded, said: tuple[str, ...]) -> None:
        outcome.changes = said
        outcome.done = concluded.done
        outcome.branch = concluded.branch
        outcome.kept = concluded.done == "waiting"
        if concluded.patch and os.path.exists(concluded.patch):
            outcome.patch = concluded.patch if outcome.kept else self._copy(concluded.patch, outcome.run)

    def _copy(self, patch: str, run: str) -> str:
        """The patch outlives the state directory: it is named in the result."""
        place = f"{self._home.root}/patches"
        os.makedirs(place, 0o700, exist_ok=True)
        shutil.copyfile(patch, f"{place}/{run}.patch")
        return f"{place}/{run}.patch"
