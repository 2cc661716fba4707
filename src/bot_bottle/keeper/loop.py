"""The event loop of keeper and launcher: one thread, poll(2), callbacks. No byte of an upstream passes here.

poll and not epoll: standard input may be a regular file, which epoll refuses, and epoll watches are counted per
user, where a hostile bottle could use them up (D16).
"""

import select
import time
from collections.abc import Callable

Callback = Callable[[], None]


class Loop:
    """Readers, writers and timers; `run` until a condition holds."""

    def __init__(self) -> None:
        self._readers: dict[int, Callback] = {}
        self._writers: dict[int, Callback] = {}
        self._timers: dict[int, tuple[float, Callback]] = {}
        self._next = 0

    def read(self, fd: int, callback: Callback) -> None:
        """Calls back whenever `fd` is readable or at its end."""
        self._readers[fd] = callback

    def write(self, fd: int, callback: Callback) -> None:
        """Calls back whenever `fd` takes bytes."""
        self._writers[fd] = callback

    def quiet(self, fd: int) -> None:
        """No more read callbacks for `fd`."""
        self._readers.pop(fd, None)

    def unwrite(self, fd: int) -> None:
        self._writers.pop(fd, None)

    def forget(self, fd: int) -> None:
        self.quiet(fd)
        self.unwrite(fd)

    def later(self, seconds: float, callback: Callback) -> int:
        """Calls back once; the number cancels it."""
        self._next += 1
        self._timers[self._next] = (time.monotonic() + seconds, callback)
        return self._next

    def cancel(self, timer: int) -> None:
        self._timers.pop(timer, None)

    def run(self, done: Callable[[], bool], seconds: float | None = None) -> bool:
        """Serves until `done`; False where `seconds` passed before that."""
        end = None if seconds is None else time.monotonic() + seconds
        while not done():
            if end is not None and time.monotonic() >= end:
                return False
            self._turn(end)
        return True

    def _turn(self, end: float | None) -> None:
        poll = select.poll()
        for fd in self._readers.keys() | self._writers.keys():
            wanted = (select.POLLIN if fd in self._readers else 0) | (select.POLLOUT if fd in self._writers else 0)
            poll.register(fd, wanted)
        for fd, what in poll.poll(self._patience(end)):
            self._serve(fd, what)
        now = time.monotonic()
        for number, (when, callback) in list(self._timers.items()):
            if when <= now and self._timers.pop(number, None):
                callback()

    def _serve(self, fd: int, what: int) -> None:
        if what & select.POLLNVAL:
            self.forget(fd)
            return
        if what & (select.POLLIN | select.POLLHUP | select.POLLERR) and fd in self._readers:
            self._readers[fd]()
        if what & (select.POLLOUT | select.POLLERR | select.POLLHUP) and fd in self._writers:
            self._writers[fd]()

    def _patience(self, end: float | None) -> int | None:
        times = [when for when, _ in self._timers.values()] + ([end] if end is not None else [])
        return max(0, int((min(times) - time.monotonic()) * 1000) + 1) if times else None
