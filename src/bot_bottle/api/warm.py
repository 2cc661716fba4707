"""A keeper without a bottle that stays: answers for bottles that have ended, seals dead runs, lends secrets to sinks,
mints the dashboard's certificate. Where it dies, the next question starts another one.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

from bot_bottle.api.wiring import Host
from bot_bottle.base.errors import OurFault
from bot_bottle.bottles.crew import Crew
from bot_bottle.bottles.hatch import hatch

T = TypeVar("T")


class WarmKeeper:
    """For many threads: one question at a time."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._lock = threading.Lock()
        self._crew: Crew | None = None
        self._closed = False

    def ask(self, question: Callable[[Crew], T]) -> T:
        """What the keeper answers; asked again where it died meanwhile: each question is one that may come twice.
        Raises BottleError where it refuses."""
        with self._lock:
            try:
                return question(self._awake())
            except OurFault as fault:
                if fault.slug != "keeper.ended":
                    raise
            self._end()
            return question(self._awake())

    @property
    def pid(self) -> int:
        """Of the process, 0 while there is none."""
        return self._crew.keeper.pid if self._crew else 0

    def watch(self) -> None:
        """Starts another one where it has died; for a tick, so that the next question does not wait."""
        if self._lock.acquire(blocking=False):
            try:
                if self._crew is not None and self._crew.keeper.ended(0):
                    self._end()
                self._awake()
            finally:
                self._lock.release()

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._end()

    def _awake(self) -> Crew:
        if self._closed:
            raise OurFault("keeper.closed", "The keeper of serve has ended.", "Start bot-bottle serve again.")
        if self._crew is None:
            self._crew = Crew(hatch(self._host.environ, gateway=False), self._host.terminal)
        return self._crew

    def _end(self) -> None:
        if self._crew is not None:
            self._crew.close()
            self._crew = None
