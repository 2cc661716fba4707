"""Keeps the index up to date while the dashboard runs, and knows what is written now. One thread, begun when the
first page asks; while another process fills the index, it waits for the next turn."""

import sys
import threading
import time

from bot_bottle.audit.index import HOST, Index
from bot_bottle.audit.tail import Tail
from bot_bottle.base.errors import BottleError
from bot_bottle.base.home import Home
from bot_bottle.bottles import lease as leases

TURN = 1.0
_SWEEP = 60.0
_FEW = 300
_LIVING = 0.4


class Watch:
    """The state of the index for pages. indexed: records taken in by this sweep. whole: the first sweep is done.
    current: the last look took in all that it found; not while another process fills the index.
    patience: seconds that a page waits for the index before it shows what was found so far."""

    def __init__(self, home: Home) -> None:
        self.tail = Tail(home)
        self.patience = 0.5
        self.indexed = 0
        self.whole = self.current = False
        self.failed = ""
        self._home = home
        self._wake = threading.Condition()
        self._asked = self._done = 0
        self._thread: threading.Thread | None = None
        self._swept = -1e9
        self._active: set[str] = set()
        self._living: tuple[float, frozenset[str]] = (-1e9, frozenset())
        self._known = 0

    def begin(self) -> None:
        """Starts the thread, once."""
        with self._wake:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="index", daemon=True)
                self._thread.start()

    def fresh(self, seconds: float | None = None) -> bool:
        """Brings the index up to date, as far as it gets in this time (else `patience`); whether it is."""
        self.begin()
        with self._wake:
            self._asked += 1
            wanted = self._asked
            self._wake.notify_all()
            return (
                self._wake.wait_for(lambda: self._done >= wanted, seconds or self.patience)
                and self.whole
                and self.current
            )

    def turn(self) -> int:
        """Reads what the running bottles wrote; the number of the newest record in the ring."""
        return self.tail.turn(self.living())

    def living(self) -> frozenset[str]:
        """Run ids of running bottles, as of some tenths of a second ago."""
        at, found = self._living
        if time.monotonic() - at > _LIVING:
            found = frozenset(held.run for held, lives in leases.leases(self._home) if lives)
            self._living = time.monotonic(), found
        return found

    def _work(self) -> None:
        index: Index | None = None
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._asked > self._done, TURN)
                asked = self._asked
            try:
                if index is not None and index.stale:
                    index.close()
                    index, self.whole = None, False
                index = index or Index(self._home.index, self._home, self._told)
                self._once(index)
                self.failed = ""
            except BottleError as error:
                index, self.failed, self.whole = None, error.what, False
            except Exception as error:  # the thread must go on; a bug's place is for the terminal of `serve`
                index, self.failed, self.whole = None, "The index cannot be brought up to date.", False
                print(f"bot-bottle web: the index failed: {type(error).__name__}.", file=sys.stderr)
            with self._wake:
                self._done = asked
                self._wake.notify_all()

    def _once(self, index: Index) -> None:
        """All logs now and then, and where they are few; else those that changed lately."""
        before, self._known = self._known, self.tail.turn(self.living())
        sweep = time.monotonic() - self._swept > _SWEEP or not self.whole
        active = set(self.tail.runs) | {HOST} | self.living()
        if sweep or self._few(index):
            self.indexed = 0
            self.current = index.refresh(self._home, wait=False) >= 0
            if self.current:
                self._swept, self.whole = time.monotonic(), True
        elif not self.current or before != self._known or active != self._active:
            self.current = index.refresh(self._home, wait=False, only=active | self._active) >= 0
        self._active = active if self.current else self._active | active

    def _few(self, index: Index) -> bool:
        return index.reach.totals()[1] < _FEW

    def _told(self, records: int) -> None:
        self.indexed += records
