"""The clock as a port: pure rooms take it as a value or a Protocol, wiring passes the real one."""

from typing import Protocol


class Clock(Protocol):
    """Wall time for people and monotonic time for durations, both in nanoseconds."""

    def wall(self) -> int: ...

    def monotonic(self) -> int: ...


class FixedClock:
    """A clock that a test moves by hand."""

    def __init__(self, wall: int = 1_700_000_000_000_000_000, monotonic: int = 0) -> None:
        self._wall = wall
        self._monotonic = monotonic

    def wall(self) -> int:
        return self._wall

    def monotonic(self) -> int:
        return self._monotonic

    def advance(self, nanoseconds: int) -> None:
        self._wall += nanoseconds
        self._monotonic += nanoseconds
