"""Open questions to a person, by request number: what the keeper is told, whom its words wake (step 5; D25, B74).

A place is taken before a byte of a body is received, and given back with the answer. Silence is a no: the keeper's
timer rules, and one of ours ends what a keeper forgot. What the keeper says while the bottle is frozen waits for the
thaw, since it makes bytes move.
"""

import time
from collections.abc import Callable
from typing import Protocol

from bot_bottle.egress.limits import Bucket, Over
from bot_bottle.egress.loop import Loop, Timer
from bot_bottle.egress.messages import (
    Asked,
    AskOpened,
    GatewayToKeeper,
    HeldBytes,
    Limits,
    Settled,
    ShowHeld,
    Withdrawn,
)

TOO_MANY = "ask.too-many"
_GRACE = 5.0


class Waiter(Protocol):
    """Whoever waits for an answer: a held request, or a call of `request_access`."""

    def opened(self, opened: AskOpened, /) -> None:
        """The ask has its id and deadline."""
        ...

    def settled(self, settled: Settled, /) -> None:
        """How it ended; called once, and never after `leave`."""
        ...

    def shown(self, most: int, /) -> HeldBytes | None:
        """What is held, for a person; None where nothing is."""
        ...


class _Place:
    __slots__ = ("ask", "asked", "timer", "waiter")

    def __init__(self, waiter: Waiter) -> None:
        self.waiter = waiter
        self.ask = ""
        self.asked = False
        self.timer: Timer | None = None


class Asks:
    """Numbers are those of `Gateway.next_number`. tell: sends a message to the keeper. listener: hears each word."""

    def __init__(self, loop: Loop, limits: Limits, tell: Callable[[GatewayToKeeper], None]) -> None:
        self._loop = loop
        self._limits = limits
        self._tell = tell
        self._bucket = Bucket(limits.asks, limits.held)
        self._places: dict[int, _Place] = {}
        self.count = 0
        self.listener: Callable[[AskOpened | Settled], None] = _ignore

    def __len__(self) -> int:
        """How many wait, or are still being received."""
        return len(self._places)

    def place(self, number: int, waiter: Waiter) -> Over | None:
        """Takes a place for a question that `open` may ask later; or why there is none, and then nothing happened."""
        if len(self._places) >= self._limits.held:
            return Over(TOO_MANY, f"{self._limits.held} requests of this bottle wait for an answer already.")
        if not self._bucket.take(self._loop.now):
            return Over(TOO_MANY, "This bottle asks too often; try again in a minute.")
        self._places[number] = _Place(waiter)
        return None

    def open(self, asked: Asked, wait: float) -> None:
        """Asks the keeper for whoever has this number's place. wait: seconds until silence is a no."""
        place = self._places[asked.number]
        place.asked = True
        self.count += 1
        self._time(asked.number, place, wait)
        self._tell(asked)

    def leave(self, number: int) -> None:
        """Nobody waits any more; the keeper is told where it was asked."""
        place = self._take(number)
        if place is not None and place.asked:
            self._tell(Withdrawn(number=number))

    def hear(self, message: AskOpened | Settled) -> None:
        """The keeper's word about a number; what nobody waits for is nothing."""
        self._loop.soon(lambda: self._heard(message))

    def _heard(self, message: AskOpened | Settled) -> None:
        if isinstance(message, Settled):
            self._settle(message)
        elif message.ask:
            self._opened(message)
        else:
            refused = Settled(message.number, "", allow=False, state="refused", slug=message.slug, what=message.what)
            self._settle(refused)

    def show(self, message: ShowHeld) -> HeldBytes:
        """What is held under this number, for the keeper; empty where nothing is."""
        place = self._places.get(message.number)
        held = place.waiter.shown(message.most) if place is not None else None
        return held or HeldBytes(message.number, b"", b"", 0)

    def _opened(self, message: AskOpened) -> None:
        place = self._places.get(message.number)
        if place is not None and place.asked:
            place.ask = message.ask
            self.listener(message)
            self._time(message.number, place, max(0.0, (message.deadline - time.time_ns()) / 1e9))
            place.waiter.opened(message)

    def _settle(self, message: Settled) -> None:
        place = self._places.get(message.number)
        if place is not None and place.asked:
            self._take(message.number)
            self.listener(message)
            place.waiter.settled(message)

    def _time(self, number: int, place: _Place, seconds: float) -> None:
        if place.timer is not None:
            place.timer.cancel()
        place.timer = self._loop.later(seconds + _GRACE, lambda: self._forgotten(number))

    def _forgotten(self, number: int) -> None:
        """The keeper said nothing by the deadline."""
        place = self._take(number)
        if place is None:
            return
        self._tell(Withdrawn(number=number))
        what = "Silence means no."
        expired = Settled(number, place.ask, allow=False, state="expired", slug="ask.expired", what=what)
        self.listener(expired)
        place.waiter.settled(expired)

    def _take(self, number: int) -> _Place | None:
        place = self._places.pop(number, None)
        if place is not None and place.timer is not None:
            place.timer.cancel()
        return place


def _ignore(_message: AskOpened | Settled) -> None:
    return None
