"""What a sink still has to get: the signed records of all logs behind its cursor, in order within each log.

Only what a checkpoint covers is taken: those lines are on the disk, so their numbers never change again. Reading
waits for no writer and takes no lock, so a slow sink blocks no request; what it has not got stays in the log.
"""

import os
from collections import deque
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from bot_bottle.audit.entries import HOST_NAME, Entry, entry, hash_before, mirrored, signed
from bot_bottle.audit.export import logs
from bot_bottle.audit.merkle import leaf_hash
from bot_bottle.audit.reader import Batch, LogReader, purged_hint
from bot_bottle.base.clock import Clock
from bot_bottle.base.home import Home

CHECKPOINTS = "host@"
"""Name in a cursor of the size of the last host checkpoint that was mirrored, plus one."""


@dataclass(slots=True)
class Taken:
    """One batch. ends: log -> number after its last record here. missing: records that a purge took before."""

    entries: list[Entry] = field(default_factory=list[Entry])
    ends: dict[str, int] = field(default_factory=dict[str, int])
    missing: int = 0
    size: int = 0

    def add(self, log: str, one: Entry) -> None:
        self.entries.append(one)
        self.size += len(one.line)
        self.ends[log] = one.number + 1


_QUIET = 2_000_000_000


class Tail:
    """One log from a number on."""

    def __init__(self, log: str, directory: str, start: int) -> None:
        self.log = log
        self.directory = directory
        self.next = start
        self._reader = LogReader(directory, start)
        self._batches: Generator[Batch] | None = None
        self._lines: deque[tuple[int, bytes]] = deque()
        self._before = b""
        self._after = -1

    def take(self, taken: Taken, most: int, most_bytes: int) -> None:
        """Adds what is signed, up to a count and a size."""
        size, note = signed(self.directory)
        while len(taken.entries) < most and taken.size < most_bytes and self.next < size:
            if not self._lines and not self._more():
                self._skip_purged(taken)
                return
            number, line = self._lines[0]
            if number >= size:
                return
            self._lines.popleft()
            self._take(taken, number, line, note if number == size - 1 else b"")

    def _take(self, taken: Taken, number: int, line: bytes, note: bytes) -> None:
        if number != self._after:
            self._before = hash_before(self.directory, number)
        taken.missing += max(0, number - self.next)
        taken.add(self.log, entry(self.log, number, line, self._before, note))
        self._before, self._after, self.next = leaf_hash(line), number + 1, number + 1

    def _skip_purged(self, taken: Taken) -> None:
        """What a purge took before it was sent is counted; there is nothing left to send."""
        gone = purged_hint(self.directory)
        if gone > self.next:
            taken.missing += gone - self.next
            self.next = taken.ends[self.log] = gone
            self._reader = LogReader(self.directory, gone)

    def _more(self) -> bool:
        if self._batches is None:
            self._batches = self._reader.batches()
        found = next(self._batches, None)
        if found is None:
            self._batches = None
            return False
        start, lines = found
        self._lines.extend(enumerate(lines, start))
        return True

    @property
    def finished(self) -> bool:
        """The log is closed and all of it was taken."""
        if os.path.isdir(os.path.join(self.directory, "journal")):
            return False
        return 0 < signed(self.directory)[0] <= self.next


class Source:
    """All logs of a home behind one cursor; `rewind` goes back to what is known to have arrived."""

    def __init__(self, home: Home, positions: Mapping[str, int], clock: Clock, checkpoints: bool = True) -> None:
        self._home = home
        self._clock = clock
        self._checkpoints = checkpoints
        self._finished: set[str] = set()
        self._ends: dict[str, int] = {}
        self._tails: dict[str, Tail] = {}
        self._mirrored = 0
        self._turn = 0
        self._seen = 0
        self.rewind(positions)

    def rewind(self, positions: Mapping[str, int]) -> None:
        """Everything from these numbers on is taken again."""
        self._positions = dict(positions)
        self._finished = {log for log in self._finished if positions.get(log, 0) >= self._ends.get(log, 0)}
        self._tails = {}
        self._seen = 0
        self._mirrored = positions.get(CHECKPOINTS, 0)

    def take(self, most: int, most_bytes: int = 1 << 20) -> Taken:
        """The next batch; every log gets its turn, so that a long one does not keep the others waiting."""
        taken = Taken()
        found = self._open()
        self._turn += 1
        start = self._turn % max(1, len(found))
        for tail in found[start:] + found[:start]:
            tail.take(taken, most, most_bytes)
            if len(taken.entries) >= most or taken.size >= most_bytes:
                return taken
            if tail.log != HOST_NAME and tail.finished:
                self._finished.add(tail.log)
                self._ends[tail.log] = tail.next
        self._mirror(taken)
        return taken

    def _open(self) -> list[Tail]:
        if not self._looked_at_all():
            for log, directory in logs(self._home):
                if log not in self._tails and log not in self._finished:
                    self._tails[log] = Tail(log, directory, self._positions.get(log, 0))
        for log in self._finished & set(self._tails):
            del self._tails[log]
        return list(self._tails.values())

    def _looked_at_all(self) -> bool:
        """No run was begun since the last look; a directory that changed just now may do so again unseen."""
        try:
            changed = os.stat(self._home.run_logs).st_mtime_ns
        except FileNotFoundError:
            return False
        seen, self._seen = self._seen, changed
        return seen == changed and HOST_NAME in self._tails and self._clock.wall() - changed > _QUIET

    def _mirror(self, taken: Taken) -> None:
        """The newest host checkpoint, after the records that it covers."""
        if not self._checkpoints:
            return
        size, note = signed(self._home.host_log)
        tail = self._tails.get(HOST_NAME)
        if note and size + 1 > self._mirrored and tail is not None and tail.next >= size:
            taken.entries.append(mirrored(HOST_NAME, note, self._clock.wall()))
            taken.ends[CHECKPOINTS] = self._mirrored = size + 1


def lag(home: Home, positions: Mapping[str, int]) -> dict[str, int]:
    """Log -> signed records that have not arrived; only logs that lag. A purged record counts no more."""
    found: dict[str, int] = {}
    for log, directory in logs(home):
        size, _ = signed(directory)
        behind = size - max(positions.get(log, 0), purged_hint(directory))
        if behind > 0:
            found[log] = behind
    return found


def ends(home: Home) -> dict[str, int]:
    """Where every log ends now: the cursor of a sink that starts with what comes."""
    return {log: signed(directory)[0] for log, directory in logs(home)}
