"""The gateway's own event loop: level-triggered epoll, one registration per descriptor, timers, one wake-up eventfd.

Freezing lives here, in one place, so that no leg can forget it (D25): a frozen loop watches nothing but control
channels, runs no timer and no deferred call, so that no byte moves until it thaws. `at_turn_end` is what makes one
log write per turn possible: every intent of a turn waits for it (facts/proxy.md 9).
"""

import heapq
import os
import select
import time
from collections import deque
from collections.abc import Callable

IN = select.EPOLLIN
OUT = select.EPOLLOUT
BROKEN = select.EPOLLHUP | select.EPOLLERR

Handler = Callable[[int], None]
Call = Callable[[], None]


class Timer:
    """A call that waits; `cancel` makes it a no-op."""

    __slots__ = ("call", "when")

    def __init__(self, when: float, call: Call | None) -> None:
        self.when = when
        self.call = call

    def __lt__(self, other: "Timer") -> bool:
        return self.when < other.when

    def cancel(self) -> None:
        self.call = None


class Loop:
    """`now` is the monotonic second of this turn; `wall` the clock's nanoseconds at its start."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.frozen = False
        self.at_turn_end: Call = _nothing
        self._epoll = select.epoll()
        self._handlers: dict[int, Handler] = {}
        self._masks: dict[int, int] = {}
        self._control: set[int] = set()
        self._timers: list[Timer] = []
        self._posted: deque[Call] = deque()
        self._late: list[Call] = []
        self._running = True
        self._frozen_at = 0.0
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.watch(self._wake, IN, self._drain, control=True)

    def watch(self, fd: int, mask: int, handler: Handler, control: bool = False) -> None:
        """Calls handler(events) while `mask` holds; replaces an older handler of the descriptor.

        A control descriptor stays watched when the loop is frozen.
        """
        if fd in self._handlers:
            self._handlers[fd] = handler
            if self._masks[fd] != mask:
                self.change(fd, mask)
            return
        self._handlers[fd] = handler
        self._masks[fd] = mask
        if control:
            self._control.add(fd)
        if control or not self.frozen:
            self._epoll.register(fd, mask)

    def change(self, fd: int, mask: int) -> None:
        """Other events, same handler."""
        self._masks[fd] = mask
        if not self.frozen or fd in self._control:
            self._epoll.modify(fd, mask)

    def resume(self, fd: int) -> None:
        """Reads again from a descriptor that rested, if it is still watched."""
        if fd in self._handlers:
            self.change(fd, IN)

    def forget(self, fd: int) -> None:
        """Before the descriptor is closed."""
        if self._handlers.pop(fd, None) is None:
            return
        del self._masks[fd]
        if not self.frozen or fd in self._control:
            self._epoll.unregister(fd)
        self._control.discard(fd)

    def dropped(self, fd: int) -> None:
        """The descriptor, which has no duplicate, is closed right now: the kernel then forgets it by itself."""
        if self._handlers.pop(fd, None) is not None:
            del self._masks[fd]

    def later(self, seconds: float, call: Call) -> Timer:
        """Runs call once, `seconds` from the start of this turn."""
        timer = Timer(self.now + seconds, call)
        heapq.heappush(self._timers, timer)
        return timer

    def post(self, call: Call) -> None:
        """Runs call on the loop's thread; the one method that other threads may use."""
        self._posted.append(call)
        os.eventfd_write(self._wake, 1)

    def soon(self, call: Call) -> None:
        """Runs call now; where the loop is frozen, before anything else moves again."""
        if self.frozen:
            self._late.append(call)
        else:
            call()

    def catch_up(self) -> None:
        """After a thaw: runs what came meanwhile."""
        late, self._late = self._late, []
        for call in late:
            call()

    def freeze(self) -> None:
        """From now on nothing but control channels is served."""
        if self.frozen:
            return
        for fd in self._masks:
            if fd not in self._control:
                self._epoll.unregister(fd)
        self.frozen = True
        self._frozen_at = time.monotonic()

    def thaw(self) -> float:
        """Goes on; the seconds that were lost, so that nobody times out for having been frozen."""
        if not self.frozen:
            return 0.0
        self.frozen = False
        for fd, mask in self._masks.items():
            if fd not in self._control:
                self._epoll.register(fd, mask)
        self.now = time.monotonic()
        lost = self.now - self._frozen_at
        for timer in self._timers:
            timer.when += lost
        if self._posted:
            os.eventfd_write(self._wake, 1)
        return lost

    def stop(self) -> None:
        self._running = False

    def run(self) -> None:
        """Until `stop`. An exception of a handler ends it: the gateway fails closed."""
        poll, handlers, clock = self._epoll.poll, self._handlers, time.monotonic
        while self._running:
            events = poll(self._wait())
            self.now = clock()
            for fd, mask in events:
                handler = handlers.get(fd)
                if handler is not None and (not self.frozen or fd in self._control):
                    handler(mask)
            if not self.frozen:
                if self._timers:
                    self._run_timers()
                self.at_turn_end()

    def _wait(self) -> float | None:
        if self.frozen or not self._timers:
            return None
        return max(0.0, self._timers[0].when - time.monotonic())

    def _run_timers(self) -> None:
        timers = self._timers
        while timers and timers[0].when <= self.now:
            call = heapq.heappop(timers).call
            if call is not None:
                call()

    def _drain(self, _mask: int) -> None:
        os.eventfd_read(self._wake)
        for _ in range(len(self._posted)):
            if self.frozen:
                return
            self._posted.popleft()()


def _nothing() -> None:
    return None
