"""Open questions: every one ends once, places are bounded and given back, the keeper hears of who left (B74)."""

import time
from typing import Any, cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from bot_bottle.egress.asks import Asks
from bot_bottle.egress.limits import Over
from bot_bottle.egress.messages import Asked, AskOpened, HeldBytes, Limits, Settled, ShowHeld, Withdrawn
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import AskKind, Wanted

NUMBERS = st.integers(1, 8)
WANTED = Wanted(Target("https", "a.test", 443))


class Loop:
    """Time by hand; frozen, what comes soon comes late."""

    def __init__(self) -> None:
        self.now, self.frozen = 0.0, False
        self.timers: list[Any] = []
        self.late: list[Any] = []

    def later(self, seconds: float, call: Any) -> Any:
        timer = _Timer(self.now + seconds, call)
        self.timers.append(timer)
        return timer

    def soon(self, call: Any) -> None:
        self.late.append(call) if self.frozen else call()

    def run(self, seconds: float) -> None:
        self.now += seconds
        due = [timer for timer in self.timers if timer.when <= self.now]
        self.timers = [timer for timer in self.timers if timer.when > self.now]
        for timer in due:
            if timer.call:
                timer.call()


class _Timer:
    def __init__(self, when: float, call: Any) -> None:
        self.when, self.call = when, call

    def cancel(self) -> None:
        self.call = None


class Waiter:
    def __init__(self) -> None:
        self.ends: list[Settled] = []
        self.left = False

    def opened(self, _opened: AskOpened) -> None:
        assert not self.ends and not self.left

    def settled(self, settled: Settled) -> None:
        assert not self.left
        self.ends.append(settled)

    def shown(self, most: int) -> HeldBytes | None:
        return HeldBytes(1, b"head", b"body"[:most], 4)


class Asking(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.loop, self.told = Loop(), list[Any]()
        self.asks = Asks(cast("Any", self.loop), Limits(held=3, asks=2), self.told.append)
        self.waiters: dict[int, Waiter] = {}
        self.asked: dict[int, Waiter] = {}
        self.every: list[Waiter] = []

    @rule(number=NUMBERS)
    def place(self, number: int) -> None:
        if number in self.waiters:
            return
        waiter, full = Waiter(), len(self.waiters) >= 3
        over = self.asks.place(number, waiter)
        assert isinstance(over, Over) or not full
        if over is None:
            self.waiters[number] = waiter
            self.every.append(waiter)

    @rule(number=NUMBERS)
    def open(self, number: int) -> None:
        if number in self.waiters and number not in self.asked:
            self.asks.open(Asked(number, AskKind.REQUEST, WANTED, "r", "", ""), 10)
            self.asked[number] = self.waiters[number]
            assert self.told.pop().number == number

    @rule(number=NUMBERS)
    def leave(self, number: int) -> None:
        waiter = self.waiters.pop(number, None)
        self.asks.leave(number)
        if waiter is not None:
            waiter.left = True
        if self.asked.pop(number, None):
            assert self.told.pop() == Withdrawn(number)
        assert not self.told

    @rule(number=NUMBERS, allow=st.booleans())
    def settle(self, number: int, allow: bool) -> None:
        self.asks.hear(Settled(number, "ask", allow=allow, state="x"))
        self._over(number)

    @rule(number=NUMBERS, seconds=st.floats(-5, 30))
    def opened(self, number: int, seconds: float) -> None:
        self.asks.hear(AskOpened(number, "ask", time.time_ns() + int(seconds * 1e9)))

    @rule(number=NUMBERS)
    def refused_at_once(self, number: int) -> None:
        self.asks.hear(AskOpened(number, "", 0, "ask.too-many", "Too many."))
        self._over(number)

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.loop.run(seconds)
        for message in self.told:
            assert isinstance(message, Withdrawn)
            assert self.asked[message.number].ends[-1].state == "expired"
            self._over(message.number)
        self.told.clear()

    def _over(self, number: int) -> None:
        waiter = self.asked.pop(number, None)
        if waiter is not None:
            del self.waiters[number]
            assert len(waiter.ends) == 1

    @invariant()
    def each_ends_at_most_once_and_places_are_counted(self) -> None:
        assert all(len(waiter.ends) <= 1 for waiter in self.every)
        assert len(self.asks) == len(self.waiters) <= 3
        for number in range(1, 9):
            assert bool(self.asks.show(ShowHeld(number)).size) is (number in self.waiters)


TestAsking = Asking.TestCase
TestAsking.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_silence_ends_by_itself_however_late_the_loop_is() -> None:
    loop, told, waiter = Loop(), list[Any](), Waiter()
    asks = Asks(cast("Any", loop), Limits(), told.append)
    assert asks.place(1, waiter) is None
    asks.open(Asked(1, AskKind.ACCESS, WANTED, "r", "", ""), 300)
    loop.run(304)
    assert not waiter.ends
    loop.run(2)
    assert (waiter.ends[0].state, waiter.ends[0].allow) == ("expired", False)
    assert told[1:] == [Withdrawn(1)]


def test_d25_what_comes_while_frozen_waits() -> None:
    loop, waiter = Loop(), Waiter()
    asks = Asks(cast("Any", loop), Limits(), lambda _message: None)
    asks.place(1, waiter)
    asks.open(Asked(1, AskKind.REQUEST, WANTED, "r", "", ""), 300)
    loop.frozen = True
    asks.hear(Settled(1, "ask", allow=True, state="allowed"))
    assert not waiter.ends
    loop.frozen = False
    loop.late.pop()()
    assert waiter.ends
