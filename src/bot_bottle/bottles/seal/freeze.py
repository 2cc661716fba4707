"""Stops every process of a bottle where it stands, and lets it go on: by the cgroup freezer, else by signals.

Without a freezer SIGSTOP goes to each process until a whole look finds none running; an agent cannot refuse it, and
one that sends SIGCONT to another is itself stopped in the next look.
"""

import contextlib
import os
import signal
import time
from collections.abc import Callable

from bot_bottle.base.errors import SealFault
from bot_bottle.bottles.seal import processes
from bot_bottle.bottles.seal.ids import put

SECONDS = 5.0
PAUSE = 0.002
ENDED = "ZX"


class Freezer:
    """first: host pid of the first process. groups: its cgroup directories."""

    def __init__(self, first: int, groups: tuple[str, ...]) -> None:
        self._first = first
        self._file = next((f for f in map(freezer_file, groups) if f), None)
        self._stopped_before: set[int] = set()
        self.frozen = False

    def freeze(self) -> None:
        """Returns when nothing in the bottle runs any more. Raises SealFault when that does not come true."""
        if self.frozen:
            return
        if self._file:
            put(self._file[0], self._file[1])
            until(lambda: frozen(self._file or ("", "", "")))
        else:
            self._stopped_before = {p.pid for p in self._agents() if p.state == "T"}
            until(self._stop_all)
        self.frozen = True

    def thaw(self) -> None:
        """Children first, so that no waiting parent ever sees a stopped child; who was stopped before stays so."""
        if not self.frozen:
            return
        if self._file:
            put(self._file[0], self._file[2])
        else:
            for process in reversed(self._agents()):
                if process.pid not in self._stopped_before:
                    send(process.pid, signal.SIGCONT)
        self.frozen = False

    def _agents(self) -> list[processes.Process]:
        """All but our own outermost process, which the launcher waits for."""
        return processes.members(self._first)[1:]

    def _stop_all(self) -> bool:
        running = [p for p in self._agents() if p.state != "T" and p.state not in ENDED]
        for process in running:
            send(process.pid, signal.SIGSTOP)
        return not running


def freezer_file(group: str) -> tuple[str, str, str] | None:
    """(file, word that freezes, word that thaws) of a version 2 or version 1 group."""
    if os.path.exists(f"{group}/cgroup.freeze"):
        return f"{group}/cgroup.freeze", "1", "0"
    if os.path.exists(f"{group}/freezer.state"):
        return f"{group}/freezer.state", "FROZEN", "THAWED"
    return None


def frozen(file: tuple[str, str, str]) -> bool:
    path, word, _ = file
    if path.endswith("freezer.state"):
        with open(path) as state:
            return state.read().strip() == word
    with open(os.path.join(os.path.dirname(path), "cgroup.events")) as events:
        return "frozen 1" in events.read().splitlines()


def send(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)


def until(done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise SealFault("seal.not-frozen", "The bottle does not freeze.", "Stop it: `bot-bottle stop LABEL`.")
        time.sleep(PAUSE)
