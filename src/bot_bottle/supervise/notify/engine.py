"""Watches the approvals and tells one notifier what waits: at least once, retried, never in anybody's way.

A thread of its own per notifier reads the store and blocks nobody. What was told is noted durably after it was
delivered, so that a death between repeats a notice and never swallows one. At most one notice in `every`; what comes
meanwhile is told together, so that an agent cannot make a phone ring a hundred times (B74).
"""

import hashlib
import os
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Protocol

from bot_bottle.audit import files
from bot_bottle.audit.forward import Backoff, Stop
from bot_bottle.audit.sinks.model import SinkFault
from bot_bottle.base.clock import Clock
from bot_bottle.base.errors import BottleError
from bot_bottle.base.sizes import duration
from bot_bottle.supervise.cards import in_turn
from bot_bottle.supervise.model import Ask, AskState
from bot_bottle.supervise.notify.model import Notice, Notifier, NotifierConfig, plain
from bot_bottle.supervise.ports import ApprovalReader, AskQuery

POLL = 0.5
_MOST, _EACH = 2000, 500
_COMPACT = 1 << 18


class Opened(Protocol):
    """Opens the store for this thread; None while there is none yet."""

    def __call__(self) -> ApprovalReader | None: ...


@dataclass(frozen=True, slots=True)
class Around:
    """The outside world of a watcher. link: address of our page, as it is now. say: one line for the person. news:
    hosts of asks that no bottle reached before, None where that is not known."""

    clock: Clock
    random: Callable[[], float]
    reader: Opened
    link: Callable[[], str]
    say: Callable[[str], None] = lambda _line: None
    news: Callable[[Sequence[Ask]], set[str] | None] = lambda _asks: None


class Told:
    """Which asks this notifier has told: one id a line, appended and synced."""

    def __init__(self, directory: str) -> None:
        with files.writing("What a notifier has told"):
            os.makedirs(directory, mode=0o700, exist_ok=True)
        self._path = os.path.join(directory, "told")
        lines = (files.read(self._path) or b"").split(b"\n")
        self.ids = {line.decode("ascii", "replace") for line in lines[:-1]}

    def add(self, ids: Sequence[str], waiting: set[str]) -> None:
        """Durable when this returns. waiting: all that wait now; the others are forgotten when the file grows."""
        self.ids |= set(ids)
        with files.writing("What a notifier has told"):
            if os.path.exists(self._path) and os.path.getsize(self._path) > _COMPACT:
                self.ids &= waiting | set(ids)
                files.replace(self._path, "".join(f"{one}\n" for one in sorted(self.ids)).encode(), sync=True)
                return
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.write(descriptor, "".join(f"{one}\n" for one in ids).encode())
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)


class Watcher:
    """One notifier. `round` does one look; `run` goes on until it is stopped."""

    def __init__(self, name: str, directory: str, config: NotifierConfig, notifier: Notifier, around: Around) -> None:
        self.name = name
        self._notifier = notifier
        self._around = around
        self._after = int(duration(config.after) * 1e9)
        self._every = int(duration(config.every) * 1e9)
        self._told = Told(directory)
        self._backoff = Backoff(around.random)
        self._reader: ApprovalReader | None = None
        self._changes = -1
        self._quiet_until = 0
        self._retry_at = 0

    def run(self, stop: Stop) -> None:
        """Until stopped."""
        try:
            while not stop.is_set():
                self.round()
                stop.wait(POLL)
        finally:
            self.close()

    def round(self) -> int:
        """Looks, and tells what is due; how many asks were told."""
        now = self._around.clock.monotonic()
        if now < max(self._quiet_until, self._retry_at):
            return 0
        try:
            due, waiting = self._due()
        except BottleError as fault:
            self._around.say(f"{self.name}: {fault}")
            self._forget_reader()
            return 0
        if not due:
            self._quiet_until = 0
            return 0
        return self._tell(due, waiting, now)

    def _due(self) -> tuple[list[Ask], list[Ask]]:
        """Asks to tell now, and all that wait. Where nothing was written since, only time can make one due."""
        if self._reader is None:
            self._reader = self._around.reader()
        if self._reader is None:
            return [], []
        changes = self._reader.changes()
        if changes == self._changes and not self._after and not self._backoff.tries and not self._held_back:
            return [], []
        waiting = self._reader.asks(AskQuery((AskState.WAITING,), each=_EACH, limit=_MOST))
        wall = self._around.clock.wall()
        new = [ask for ask in waiting if ask.id not in self._told.ids and wall < ask.deadline]
        self._changes = changes
        return [ask for ask in new if wall - ask.asked >= self._after], waiting

    @property
    def _held_back(self) -> bool:
        """A notice went out a moment ago, so something may wait for the next."""
        return self._quiet_until > 0

    def _tell(self, due: list[Ask], waiting: list[Ask], now: int) -> int:
        try:
            new = self._around.news(due) or set()
            wall = self._around.clock.wall()
            self._notifier.send(notice_of(due, len(waiting), self._around.link(), wall, self._after, new))
        except SinkFault as fault:
            wait = max(self._backoff.next(), fault.after)
            self._retry_at = now + int(wait * 1e9)
            if self._backoff.tries == 1:
                self._around.say(f"The notifier {self.name} failed and is tried again: {fault}")
            return 0
        self._told.add([ask.id for ask in due], {ask.id for ask in waiting})
        self._backoff.reset()
        self._quiet_until, self._retry_at = now + self._every, 0
        return len(due)

    def _forget_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
        self._reader, self._changes = None, -1

    def close(self) -> None:
        """Idempotent."""
        self._forget_reader()
        self._notifier.close()


def notice_of(
    due: Sequence[Ask], waiting: int, link: str, wall: int, after: int = 0, new: Container[str] = ()
) -> Notice:
    """One notice for all that is due; the same asks give the same id."""
    ids = sorted(ask.id for ask in due)
    ident = hashlib.sha256("\n".join(ids).encode()).hexdigest()[:32]
    turns = in_turn(due, lambda ask: ask.run)
    labels = tuple(dict.fromkeys(plain(ask.label) for ask in turns))
    hosts = tuple(dict.fromkeys(plain(ask.wanted.target.host) for ask in turns))
    news = tuple(dict.fromkeys(plain(host) for ask in turns if (host := ask.wanted.target.host) in new))
    return Notice(ident, labels, hosts, len(due), waiting, link, wall, late=after > 0, new=news)


def trial_notice(link: str, wall: int) -> Notice:
    """What `notify test` and the settings page send."""
    ident = hashlib.sha256(f"test {wall}".encode()).hexdigest()[:32]
    return Notice(ident, (), (), 0, 0, link, wall, test=True)
