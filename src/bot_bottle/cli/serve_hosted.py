"""What `serve` hosts by settings.toml: notifiers, forwarders, retention. A file that changed is read again; with an
error in it, what it said before goes on. Where it listens is read at the start only.
"""

import os
import threading
import time
from collections.abc import Callable

from bot_bottle.api import forwarding, notifying, records
from bot_bottle.api.settings import Settings, load
from bot_bottle.api.warm import WarmKeeper
from bot_bottle.api.wiring import Host
from bot_bottle.base.errors import BottleError
from bot_bottle.web.news import News

_DAY = 86400.0
_LOOK = 1.0
_AGAIN = 30
Say = Callable[[str], None]


class Hosted:
    """settings: in force. fault: why the file is not. link: the address that notices lead to. Its threads end with
    `close`."""

    def __init__(self, host: Host, warm: WarmKeeper, settings: Settings, link: Callable[[], str], say: Say) -> None:
        self._host, self._warm, self._link, self._say = host, warm, link, say
        self._news = News(host.home)
        self.settings = settings
        self.values: dict[str, bytes] = {}
        self._seen: tuple[int, int, int] | None = None
        self.fault: BottleError | None = None
        self._turn = 0
        self._stop = threading.Event()
        self._ends: dict[str, tuple[threading.Event, threading.Thread]] = {}
        self._thread = threading.Thread(target=self._follow, name="settings", daemon=True)

    def begin(self) -> None:
        """Raises BottleError where the secrets cannot be had."""
        self.values = self._secrets(self.settings)
        self._notify()
        self._forward()
        self._thread.start()

    def close(self) -> None:
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(5)
        for name in list(self._ends):
            self._end(name, 5)

    def look(self) -> None:
        """Once: takes what the file says now where it changed."""
        self._turn += 1
        mark = _mark(self._host.home.settings)
        if mark == self._seen and not (self.fault and self._turn % _AGAIN == 0):
            return
        self._seen = mark
        try:
            fresh = load(self._host.home)
            values = self._secrets(fresh)
        except BottleError as fault:
            self._complain(fault)
            return
        self.fault, before, known = None, self.settings, self.values
        self.settings, self.values = fresh, values
        if fresh.serve != before.serve:
            self._say("settings.toml: how serve listens changed; that is read when serve starts again.")
        if (fresh.notifiers, values) != (before.notifiers, known):
            self._notify()
        if (fresh.sinks, values) != (before.sinks, known):
            self._forward()

    def _complain(self, fault: BottleError) -> None:
        """Once for each reason; tried again, since a secret may be set meanwhile."""
        if str(fault) != str(self.fault):
            self._say(f"settings.toml was changed, and what it said before stays in force: {fault}")
        self.fault = fault

    def _secrets(self, settings: Settings) -> dict[str, bytes]:
        names, home = settings.secrets(), self._host.home
        return self._warm.ask(lambda crew: crew.supply(home, names)) if names else {}

    def _follow(self) -> None:
        purged = -_DAY
        while not self._stop.wait(_LOOK):
            self._try(self.look, "The settings were not read again")
            if time.monotonic() - purged >= _DAY:
                purged = time.monotonic()
                self._try(lambda: records.retain(self._host, self.settings), "Old records were not purged")

    def _try(self, call: Callable[[], object], what: str) -> None:
        """A fault is told, a bug too; neither stops anything else."""
        try:
            call()
        except (BottleError, OSError) as error:
            self._say(f"{what}: {error}")
        except Exception as error:
            self._say(f"{what}: {type(error).__name__}. Please report this line.")

    def _notify(self) -> None:
        home, settings, values = self._host.home, self.settings, self.values

        def work(stop: threading.Event) -> None:
            notifying.run(home, settings, values, self._link, stop, self._say, self._news.of)

        self._again("notifiers", bool(settings.notifiers), work)

    def _forward(self) -> None:
        home, settings, values = self._host.home, self.settings, self.values

        def work(stop: threading.Event) -> None:
            forwarding.run(home, settings, values, stop, self._say)

        self._again("forwarders", bool(settings.sinks), work)

    def _again(self, name: str, wanted: bool, work: Callable[[threading.Event], None]) -> None:
        """Ends the threads of this name; others take their place once they have ended (each keeps how far it is)."""
        before = self._end(name, 0)
        if not wanted:
            return
        stop = threading.Event()

        def guarded() -> None:
            if before is not None:
                before.join()
            try:
                work(stop)
            except Exception as error:  # a bug in one of them is told, and stops no other
                self._say(f"The {name} ended: {error}")

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        self._ends[name] = stop, thread
        thread.start()

    def _end(self, name: str, seconds: float) -> threading.Thread | None:
        if name not in self._ends:
            return None
        stop, thread = self._ends.pop(name)
        stop.set()
        if seconds:
            thread.join(seconds)
        return thread


def _mark(path: str) -> tuple[int, int, int]:
    """Of the file as it is: another one, and it was changed. Editors replace it."""
    try:
        found = os.stat(path)
    except OSError:
        return 0, 0, 0
    return found.st_ino, found.st_mtime_ns, found.st_size
