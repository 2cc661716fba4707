"""The asks of one bottle that wait now: by number of their request, each with the timer of its deadline.

A deadline is wall time that is never slower than the monotonic clock: a clock that is set back prolongs none, one
that is set forward can only end them early (D25).
"""

import time
from collections.abc import Callable

from bot_bottle.keeper.loop import Loop
from bot_bottle.supervise.expiry import SECOND, Steady, overdue
from bot_bottle.supervise.model import Ask


class Rate:
    """So many a second, with a burst: a gateway that was taken over fills neither store nor log (D18, B74)."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._left = burst
        self._at = time.monotonic()

    def take(self) -> bool:
        """Whether one more is let by."""
        now = time.monotonic()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Waiting:
    """expire(ask): called once for each ask that nobody answered in time."""

    def __init__(self, loop: Loop, expire: Callable[[Ask], None]) -> None:
        self._loop = loop
        self._expire = expire
        self._asks: dict[int, Ask] = {}
        self._timers: dict[int, int] = {}
        self._steady = Steady(time.time_ns(), time.monotonic_ns())

    def now(self) -> int:
        """Wall ns that never goes back."""
        return self._steady.now(time.time_ns(), time.monotonic_ns())

    def __len__(self) -> int:
        return len(self._asks)

    def all(self) -> list[Ask]:
        """In the order in which they were asked."""
        return list(self._asks.values())

    def of(self, number: int) -> Ask | None:
        return self._asks.get(number)

    def by_id(self, ask: str) -> Ask | None:
        return next((one for one in self._asks.values() if one.id == ask), None)

    def put(self, ask: Ask) -> None:
        """It waits from now on, or has another version."""
        self._asks[ask.number] = ask
        if ask.number not in self._timers:
            left = max(0.0, (ask.deadline - self.now()) / SECOND)
            self._timers[ask.number] = self._loop.later(left, lambda: self._due(ask.number))

    def take(self, number: int) -> Ask | None:
        """It waits no more."""
        timer = self._timers.pop(number, None)
        if timer is not None:
            self._loop.cancel(timer)
        return self._asks.pop(number, None)

    def sweep(self) -> None:
        """Ends what is overdue: a clock may have jumped."""
        now = self.now()
        for ask in self.all():
            if overdue(ask, now):
                self._expire(ask)

    def _due(self, number: int) -> None:
        self._timers.pop(number, None)
        ask = self._asks.get(number)
        if ask is None:
            return
        if overdue(ask, self.now()):
            self._expire(ask)
        else:
            self.put(ask)
