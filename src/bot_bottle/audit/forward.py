"""Forwards the log to a sink, at least once, in the order of each log.

A batch is read from the files, sent, and only then does the cursor move on, durably. Whatever fails between (the
sink, the network, this process by kill -9) makes records arrive twice, never not at all. There is no dead letter:
what a sink refuses is tried again, ever more rarely, and `log sinks` says so; nothing is dropped to get on.
"""

import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import msgspec

from bot_bottle.audit import cursor as cursors
from bot_bottle.audit import files
from bot_bottle.audit.cursor import Cursor
from bot_bottle.audit.sinks.model import Sink, SinkConfig, SinkFault
from bot_bottle.audit.source import Source, Taken
from bot_bottle.base.clock import Clock
from bot_bottle.base.home import Home

BATCH = 500
POLL = 0.5
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0


class Stop(Protocol):
    """threading.Event, or a twin of it."""

    def is_set(self) -> bool: ...

    def wait(self, timeout: float | None = None) -> bool: ...


class Status(msgspec.Struct):
    """What `log sinks` shows. state: idle | sending | failing. sent: records since the process began. missing: those
    that a purge took before they were sent. failures: tries in a row that failed. at: wall ns."""

    state: str = "idle"
    sent: int = 0
    missing: int = 0
    failures: int = 0
    fault: str = ""
    at: int = 0


class Backoff:
    """Exponential, with full jitter. random: [0, 1), a port, so that tests decide."""

    def __init__(self, random: Callable[[], float], first: float = FIRST_WAIT, longest: float = LONGEST_WAIT) -> None:
        self._random = random
        self._first = first
        self._longest = longest
        self.tries = 0

    def next(self) -> float:
        """Seconds until the next try: between half and all of a time that doubles."""
        whole = min(self._longest, self._first * 2 ** min(self.tries, 20))
        self.tries += 1
        return whole * (0.5 + self._random() / 2)

    def reset(self) -> None:
        self.tries = 0


@dataclass(frozen=True, slots=True)
class Ports:
    """The outside world of a forwarder."""

    clock: Clock
    random: Callable[[], float]


class _Flight:
    """A batch that was sent: when (monotonic ns), and what the cursor gains by it. Its records are not kept."""

    __slots__ = ("at", "count", "ends", "missing")

    def __init__(self, at: int, taken: Taken) -> None:
        self.at = at
        self.ends = taken.ends
        self.count = len(taken.entries)
        self.missing = taken.missing


class Forwarder:
    """One sink. `step` does one round; `run` goes on until it is stopped. Used by one thread."""

    def __init__(self, name: str, home: Home, config: SinkConfig, sink: Sink, ports: Ports) -> None:
        self.name = name
        self.status = Status()
        self.directory = os.path.join(home.forward, name)
        self._sink = sink
        self._ports = ports
        self._backoff = Backoff(ports.random)
        self._most = BATCH
        self._flight: deque[_Flight] = deque()
        fresh = not cursors.exists(self.directory)
        self._cursor = Cursor(self.directory)
        if fresh and config.start == "now":
            from bot_bottle.audit.source import ends

            self._cursor.advance(ends(home))
        self._source = Source(home, self._cursor.positions, ports.clock, config.checkpoints)

    def run(self, stop: Stop) -> None:
        """Until stopped. Raises AuditFault where the cursor cannot be written: then nothing is sent any more."""
        try:
            while not stop.is_set():
                wait = self.round()
                if wait:
                    stop.wait(wait)
        finally:
            self.close()

    def round(self) -> float:
        """One step with its faults handled; seconds to wait before the next."""
        try:
            moved = self.step()
        except SinkFault as fault:
            return self._failed(fault)
        if moved:
            return 0.0
        self._say("sending" if self._flight else "idle")
        return min(POLL, max(0.01, self._sink.settle / 4)) if self._flight else POLL

    def step(self) -> bool:
        """Settles what has arrived, sends one batch. False: nothing to send now. Raises SinkFault."""
        self._settle()
        taken = self._source.take(self._most)
        if not taken.ends:
            return False
        if taken.entries:
            self._sink.send(taken.entries)
        self._flight.append(_Flight(self._ports.clock.monotonic(), taken))
        self._settle()
        self._succeeded()
        return True

    @property
    def waiting(self) -> bool:
        """Whether something that was sent is not known to have arrived yet."""
        return bool(self._flight)

    def _settle(self) -> None:
        """The cursor passes what was sent long enough ago over a link that still lives."""
        if not self._flight:
            return
        if self._sink.settle:
            self._sink.check()
        oldest = self._ports.clock.monotonic() - int(self._sink.settle * 1e9)
        ends: dict[str, int] = {}
        while self._flight and self._flight[0].at <= oldest:
            arrived = self._flight.popleft()
            ends |= arrived.ends
            self.status.sent += arrived.count
            self.status.missing += arrived.missing
        self._cursor.advance(ends)

    def _succeeded(self) -> None:
        self._backoff.reset()
        self._most = min(BATCH, self._most * 2)
        self._say("sending")

    def _failed(self, fault: SinkFault) -> float:
        """Everything that is not known to have arrived is sent again. A batch that is too large is halved."""
        self._sink.close()
        self._flight.clear()
        self._source.rewind(self._cursor.positions)
        if fault.too_large and self._most > 1:
            self._most //= 2
            return 0.01
        wait = max(self._backoff.next(), fault.after)
        self._say("failing", str(fault))
        return wait

    def _say(self, state: str, fault: str = "") -> None:
        """The status file; for people only, so that a disk that takes it not stops nothing."""
        before = (self.status.state, self.status.fault)
        self.status.failures = self._backoff.tries
        now = self._ports.clock.wall()
        if (state, fault) == before and now - self.status.at < 2_000_000_000:
            return
        self.status.state, self.status.fault, self.status.at = state, fault, now
        try:
            files.replace(os.path.join(self.directory, "status.json"), msgspec.json.encode(self.status), sync=False)
        except OSError:
            return

    def close(self) -> None:
        """Idempotent; the cursor is as durable as ever."""
        self._sink.close()
        self._cursor.close()


def status_of(home: Home, name: str) -> Status:
    """What the forwarder of a sink said last; an empty one where it never ran."""
    data = files.read(os.path.join(home.forward, name, "status.json"))
    try:
        return msgspec.json.decode(data, type=Status) if data else Status()
    except msgspec.DecodeError:
        return Status()
