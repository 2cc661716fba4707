"""What is written now, straight from the journals of running bottles: the newest records, kept for a while.

A reader of this ring asks with the number it has; what it missed because it was away too long is counted, never
passed over in silence. The ring is bounded in bytes, so that no bottle fills the memory of the dashboard (D18).
"""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Collection

import msgspec

from bot_bottle.audit.encode import decode
from bot_bottle.audit.filter_match import Seen
from bot_bottle.audit.index_logs import HOST
from bot_bottle.audit.index_rows import place
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import Kind
from bot_bottle.base.errors import AuditFault
from bot_bottle.base.home import Home

KEPT_BYTES = 32 << 20
KEPT = 60_000
_TURNS_AFTER = 3
_TICK = 100_000_000


class Tailed(msgspec.Struct, gc=False):
    """seq: number in the ring. number: in its log. seen: the record as filters see it."""

    seq: int
    run: str
    number: int
    seen: Seen
    size: int


class _Followed:
    """One log that is read on. idle: turns since its bottle ended."""

    def __init__(self, directory: str) -> None:
        self.reader = LogReader(directory)
        self.project = self.person = ""
        self.idle = 0


class Tail:
    """The ring of one home. `turn` may be called by any thread."""

    def __init__(self, home: Home) -> None:
        self.seq = 0
        self._home = home
        self._ring: deque[Tailed] = deque()
        self._bytes = 0
        self._followed: dict[str, _Followed] = {}
        self._known: set[str] | None = None
        self._stamp = 0
        self._lock = threading.Lock()

    @property
    def runs(self) -> tuple[str, ...]:
        """The logs that are followed."""
        return tuple(self._followed)

    def turn(self, living: Collection[str]) -> int:
        """Reads what is new; the number of the newest record. living: run ids of running bottles."""
        with self._lock:
            self._choose(living)
            for run, one in list(self._followed.items()):
                self._read(run, one)
                one.idle = 0 if run in living or run == HOST else one.idle + 1
                if one.idle > _TURNS_AFTER:
                    del self._followed[run]
            return self.seq

    def since(self, seq: int) -> tuple[list[Tailed], int]:
        """(records after `seq`, oldest first; how many before them are lost to who asks)."""
        with self._lock:
            first = self._ring[0].seq if self._ring else self.seq + 1
            missed = max(0, first - seq - 1)
            fresh = min(len(self._ring), max(0, self.seq - seq))
            return [self._ring[at] for at in range(len(self._ring) - fresh, len(self._ring))], missed

    def _choose(self, living: Collection[str]) -> None:
        """Follows running bottles, runs that began since the last turn, and the host log."""
        names = self._names()
        if self._known is None:  # what ended before is in the index
            self._known = names
            self._skip(HOST, self._home.host_log)
            for run in names & set(living):
                self._skip(run, self._home.run_log(run))
        for run in names - self._known | (names & set(living) - self._followed.keys()):
            self._followed.setdefault(run, _Followed(self._home.run_log(run)))
        self._known = names

    def _names(self) -> set[str]:
        """Run ids; the directory is listed only when it changed."""
        with contextlib.suppress(OSError):
            stamp = os.stat(self._home.run_logs).st_mtime_ns
            if self._known is not None and stamp == self._stamp:
                return self._known
            # A run that begins within a tick of the clock leaves the same stamp: one that is fresh is not believed.
            self._stamp = stamp if time.time_ns() - stamp > _TICK else 0
            return {entry.name for entry in os.scandir(self._home.run_logs) if entry.is_dir(follow_symlinks=False)}
        return set()

    def _skip(self, run: str, directory: str) -> None:
        one = self._followed[run] = _Followed(directory)
        for _, lines in one.reader.batches():
            for line in lines[:1]:
                self._facts(one, line)

    def _facts(self, one: _Followed, line: bytes) -> None:
        if b'"kind":"start"' in line:
            with contextlib.suppress(AuditFault):
                detail = decode(line).detail
                one.project, one.person = detail.get("project", ""), detail.get("person", "")

    def _read(self, run: str, one: _Followed) -> None:
        for start, lines in one.reader.batches():
            for number, line in enumerate(lines, start):
                try:
                    record = decode(line)
                except AuditFault:
                    continue
                if run == HOST and record.kind != Kind.CONTROL:
                    continue
                if record.kind == Kind.START:
                    self._facts(one, line)
                text = line.decode("ascii", "backslashreplace").lower()
                seen = Seen(record, run, place(record.target)[1].lower(), text, one.project, one.person)
                self._keep(Tailed(self.seq + 1, run, number, seen, 2 * len(line) + 1000))

    def _keep(self, one: Tailed) -> None:
        self.seq = one.seq
        self._ring.append(one)
        self._bytes += one.size
        while self._bytes > KEPT_BYTES or len(self._ring) > KEPT:
            self._bytes -= self._ring.popleft().size
