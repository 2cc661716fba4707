"""Checks of whole logs, which may take a minute: each in its own thread, a few at once, with how far it has got."""

import threading
import time
from collections.abc import Callable
from typing import Any

from bot_bottle.base.errors import BottleError, BusyFault

_AT_ONCE = 3
_KEPT_SECONDS = 600.0


class Check:
    """One check. read: records so far; size: those under the checkpoint when it began."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.read = 0
        self.began = time.monotonic()
        self.found: Any = None
        self.fault: BaseException | None = None
        self.over = threading.Event()

    def told(self, read: int) -> None:
        self.read = read

    def wait(self, seconds: float) -> Any:
        """What it found, None where it goes on. Raises what it failed with."""
        if not self.over.wait(seconds):
            return None
        if self.fault is not None:
            raise self.fault
        return self.found


class Checks:
    """By log. The result of one stays for those who ask how far it is."""

    def __init__(self) -> None:
        self._checks: dict[str, Check] = {}
        self._lock = threading.Lock()

    def find(self, log: str) -> Check | None:
        with self._lock:
            return self._checks.get(log)

    def begin(self, log: str, size: int, call: Callable[[Callable[[int], None]], Any]) -> Check:
        """Starts a check, or joins the one that is under way. Raises BusyFault where too many are."""
        with self._lock:
            now = time.monotonic()
            for name, one in list(self._checks.items()):
                if one.over.is_set() and now - one.began > _KEPT_SECONDS:
                    del self._checks[name]
            found = self._checks.get(log)
            if found is not None and not found.over.is_set():
                return found
            if sum(not one.over.is_set() for one in self._checks.values()) >= _AT_ONCE:
                raise BusyFault("log.checks", "Other logs are being checked.", "Wait until they are done.")
            made = self._checks[log] = Check(size)
        threading.Thread(target=_run, args=(made, call), name="check", daemon=True).start()
        return made


def _run(check: Check, call: Callable[[Callable[[int], None]], Any]) -> None:
    try:
        check.found = call(check.told)
    except BottleError as fault:
        check.fault = fault
    except Exception as error:
        check.fault = error
    finally:
        check.over.set()
