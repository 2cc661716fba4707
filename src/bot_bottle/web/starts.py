"""Starts of bottles that pages and API clients asked for: each in a thread of its own, so that nobody waits longer
than they want to, and whoever asks again finds the start that is under way instead of making a second one.
"""

import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from bot_bottle.base.clock import Clock
from bot_bottle.base.errors import BottleError, HostFault
from bot_bottle.web.store import digest
from bot_bottle.web.wish import StartWish

_MOST = 32
_KEPT = 86400 * 1_000_000_000
_MOST_KEPT = 200
_SILENT = frozenset(("serve.silent", "serve.gone"))


class Unsettled(HostFault):
    """What was asked for may have been done, or is still being done: an Idempotency-Key stays with it."""


@dataclass(slots=True)
class Start:
    """One start. since, ended: wall ns, 0 while it is under way. label: once its bottle runs. fault: what stopped it.
    told: somebody knows how it ended."""

    id: str
    request: StartWish
    since: int
    ended: int = 0
    label: str = ""
    fault: Exception | None = None
    told: bool = False
    over: threading.Event = field(default_factory=threading.Event)

    @property
    def settles(self) -> bool:
        """Whether a repeat is about this one, though it has ended."""
        return bool(self.label) or not self.told or isinstance(self.fault, Unsettled)

    def outcome(self, seconds: float = 0) -> str:
        """The label, "" where it is still under way after so many seconds. Raises what stopped it."""
        if not self.over.wait(seconds):
            return ""
        self.told = True
        if self.fault is not None:
            raise self.fault
        return self.label


class Starts:
    """patience: seconds that an API request waits for its start; glance: that a form does, before a page tells how it
    stands. most: under way at the same time."""

    def __init__(self, clock: Clock) -> None:
        self.patience, self.glance, self.most = 30.0, 1.5, _MOST
        self.waiting = 0
        self._clock = clock
        self._lock = threading.Lock()
        self._wishes: dict[tuple[str, str, str], Start] = {}

    def begin(self, who: str, key: str, request: StartWish, call: Callable[[StartWish], str]) -> Start:
        """Begins a start, or finds that of the same person, key and wish: while it is under way; with a key also
        until its failure was told, and for a day where it succeeded. Raises HostFault where too many are."""
        wish = who, key, digest(msgspec.json.encode(request).decode())
        with self._lock:
            self._forget()
            found = self._wishes.get(wish)
            if found is not None and (not found.ended or (key and found.settles)):
                return found
            if sum(not one.ended for one in self._wishes.values()) >= self.most:
                raise HostFault("start.many", "Too many bottles are being started.", "Try again once they run.")
            made = self._wishes[wish] = Start(secrets.token_urlsafe(9), request, self._clock.wall())
        threading.Thread(target=self._run, args=(made, call), name="start", daemon=True).start()
        return made

    def wait(self, start: Start, key: str) -> str:
        """Its label. Raises what stopped it, Unsettled where patience ended first."""
        with self._lock:
            self.waiting += 1
        try:
            label = start.outcome(self.patience)
        finally:
            with self._lock:
                self.waiting -= 1
        if label:
            return label
        hint = "Send the same request with the same Idempotency-Key again: it is told how this one ends."
        if not key:
            hint = "See listStarts for how it goes; with an Idempotency-Key the same request may be sent again."
        raise Unsettled("start.under-way", "The bottle is still being started.", hint)

    def find(self, ident: str) -> Start | None:
        with self._lock:
            return next((one for one in self._wishes.values() if one.id == ident), None)

    def all(self) -> list[Start]:
        """Newest first, also those that ended within a day."""
        with self._lock:
            return sorted(self._wishes.values(), key=lambda one: one.since, reverse=True)

    def under_way(self) -> list[Start]:
        """Oldest first."""
        return [one for one in reversed(self.all()) if not one.ended]

    def _forget(self) -> None:
        now = self._clock.wall()
        ended = sorted((one.ended, wish) for wish, one in self._wishes.items() if one.ended)
        for number, (at, wish) in enumerate(reversed(ended)):
            if number >= _MOST_KEPT or now - at > _KEPT:
                del self._wishes[wish]

    def _run(self, start: Start, call: Callable[[StartWish], str]) -> None:
        try:
            start.label = call(start.request)
        except BottleError as error:
            start.fault = _lost() if error.slug in _SILENT else error
        except Exception as error:  # a bug: told to who waits
            start.fault = error
        finally:
            start.request = msgspec.structs.replace(start.request, prompt="", argv=())  # they may be large
            start.ended = self._clock.wall()
            start.over.set()


def _lost() -> Unsettled:
    what = "Whether this bottle was started is not known: the serve process did not answer."
    return Unsettled("start.lost", what, "Look at what runs, then start it anew.")
