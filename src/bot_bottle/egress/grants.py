"""The grants that hold now, and not a moment longer (D25): a short yes never opens what lives for hours.

An end is wall time. A clock that is set back does not prolong it: each grant also ends after the seconds that it had
left when it came. While the loop is frozen nothing moves; what ended meanwhile is gone before anything moves again.
"""

import time
from collections.abc import Callable, Set

from bot_bottle.egress.loop import Loop, Timer
from bot_bottle.policy.grants import Grant

Changed = Callable[[Set[str]], None]


class LiveGrants:
    """live: what to decide by. changed(ids that are gone): called after every change of `live`; a grant for once that
    is gone was used, which ends nothing that it opened."""

    def __init__(self, loop: Loop, grants: tuple[Grant, ...], changed: Changed) -> None:
        self._loop = loop
        self._changed = changed
        self._given: tuple[Grant, ...] = ()
        self._ends: dict[str, float] = {}
        self._timer: Timer | None = None
        self.live: dict[str, Grant] = {}
        self._take(grants)

    def replace(self, grants: tuple[Grant, ...]) -> None:
        """These and no others."""
        before = self.live
        self._take(grants)
        if self.live != before:
            self._changed({ident for ident, grant in before.items() if ident not in self.live and not grant.once})

    def clear(self) -> Set[str]:
        """Drops all without a word; their ids."""
        gone = self.live.keys()
        self._take(())
        return gone

    def expire(self) -> None:
        """Drops what has ended."""
        if self.live:
            self.replace(self._given)

    def _take(self, grants: tuple[Grant, ...]) -> None:
        mono, wall = time.monotonic(), time.time_ns()
        ends = {grant.id: mono + (grant.expires - wall) / 1e9 for grant in grants}
        self._given = grants
        self._ends = {ident: min(end, self._ends.get(ident, end)) for ident, end in ends.items()}
        self.live = {grant.id: grant for grant in grants if self._ends[grant.id] > mono}
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.live:
            first = min(self._ends[ident] for ident in self.live)
            self._timer = self._loop.later(max(0.0, first - self._loop.now), self.expire)
