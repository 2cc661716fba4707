"""How long a yes lasts, and which clock says so (D25: a short grant must not open a flow that lives for hours).

Times are wall clock ns, durations seconds. Every scope has a default and a most; nothing lasts for ever but what
`always` writes into a file, where it can be read and taken out again.
"""

from bot_bottle.supervise.model import Ask, AskState, Scope

SECOND = 1_000_000_000
HOUR = 3600
DAY = 24 * HOUR
RETRY = 600
"""Seconds in which a late yes to a held request permits one more like it."""
LATEST = DAY
"""Seconds after its deadline in which an ask can still be answered."""

DEFAULTS = {Scope.ONCE: HOUR, Scope.RUN: 7 * DAY, Scope.BOTTLE: 8 * HOUR, Scope.PROJECT: 7 * DAY, Scope.ALWAYS: 0}
"""For ONCE: how long the flow that it opens may live. For RUN: until the run ends, whose end comes first."""
MOST = {Scope.ONCE: 8 * HOUR, Scope.RUN: 7 * DAY, Scope.BOTTLE: 30 * DAY, Scope.PROJECT: 90 * DAY, Scope.ALWAYS: 0}

LATE = (AskState.EXPIRED, AskState.ENDED, AskState.WITHDRAWN)
"""Nobody waits any more, but a person can still say what they think of it: the missed ones."""
LEFT = (AskState.ENDED, AskState.WITHDRAWN)
"""Of these the ones where not the clock ended it, but what was in the bottle or the bottle itself."""


class Steady:
    """Wall time that is never slower than the monotonic clock: setting the clock back prolongs no grant and no
    deadline, setting it forward can only end them early. wall, monotonic: ns, at the start of this process."""

    __slots__ = ("_monotonic", "_wall")

    def __init__(self, wall: int, monotonic: int) -> None:
        self._wall = wall
        self._monotonic = monotonic

    def now(self, wall: int, monotonic: int) -> int:
        """The later of both clocks; never less than before, however often the wall clock jumps."""
        later = max(wall, self._wall + monotonic - self._monotonic)
        self._wall, self._monotonic = later, max(monotonic, self._monotonic)
        return later


def lifetime(scope: Scope, seconds: int) -> int:
    """Seconds that a yes of this scope lasts; 0 asks for the default. Raises ValueError, one sentence."""
    if seconds < 0:
        raise ValueError("a time is not negative")
    if seconds > MOST[scope]:
        most = f"{MOST[scope] // DAY} d" if MOST[scope] >= DAY else f"{MOST[scope] // HOUR} h"
        raise ValueError(f"a yes for {scope.value} lasts at most {most}")
    return seconds or DEFAULTS[scope]


def overdue(ask: Ask, now: int) -> bool:
    """Whether silence has become a no. An ask from the future was asked by another clock: it is overdue too."""
    return now >= ask.deadline or now < ask.asked - LATEST * SECOND


def too_late(ask: Ask, now: int) -> bool:
    """Whether even the missed ask can no longer be answered with a yes."""
    return now >= ask.deadline + LATEST * SECOND
