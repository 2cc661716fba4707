"""What a run needs besides its plan: streams, backend, what happens at its end, who is told what."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot_bottle.bottles.crew import Crew
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.plan import Plan
from bot_bottle.bottles.ports import Backend
from bot_bottle.bottles.streams import Streams
from bot_bottle.bottles.workspace.prepare import Prepared

if TYPE_CHECKING:
    from bot_bottle.bottles.run import Run

Step = Callable[[str, "Run"], None]
AtEnd = Callable[[Prepared, Plan, Outcome], None]


@dataclass(slots=True)
class Wishes:
    """What a run needs besides its plan. run: the run id. at_end: what happens to the changes (step 11).

    environ: this host's variables, of which our processes get a listed few. crew: keeper and gateway, where they
    were started ahead of the plan. terminal: see Crew. say: one line for the person while it runs.
    work: whether the changes matter, should we be killed. base: where the person named no label, what it begins with.
    """

    run: str
    streams: Streams
    backend: Backend
    at_end: AtEnd
    environ: Mapping[str, str]
    crew: Crew | None = None
    terminal: int = -1
    say: Callable[[str], None] = lambda _line: None
    detached: bool = False
    work: bool = False
    base: str = ""
    step: Step = lambda _name, _run: None
    ready: Callable[["Run"], None] = lambda _run: None
