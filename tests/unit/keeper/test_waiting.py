"""Deadlines under any clock: each ask ends once, never later than the monotonic clock says (D25)."""

from collections.abc import Callable
from unittest import mock

from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.keeper import waiting
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Ask, AskKind, Wanted

SECOND = 10**9
BEGIN = 1_800_000_000 * SECOND


class Clock:
    """Both clocks, moved by hand: the wall clock may jump, the other one only goes on."""

    def __init__(self) -> None:
        self.wall = BEGIN
        self.mono = 0

    def time_ns(self) -> int:
        return self.wall

    def monotonic_ns(self) -> int:
        return self.mono

    def monotonic(self) -> float:
        return self.mono / SECOND


class Timers:
    """A loop whose time is the clock's."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next = 0
        self._open: dict[int, tuple[float, Callable[[], None]]] = {}

    def later(self, seconds: float, callback: Callable[[], None]) -> int:
        self._next += 1
        self._open[self._next] = (self._clock.monotonic() + seconds, callback)
        return self._next

    def cancel(self, timer: int) -> None:
        self._open.pop(timer, None)

    def turn(self) -> None:
        for number, (when, callback) in sorted(self._open.items()):
            if when <= self._clock.monotonic() and self._open.pop(number, None):
                callback()


def ask(number: int, now: int, seconds: int) -> Ask:
    return Ask(
        f"a-{number}", "run", "b", "l", "a", "h", "", AskKind.REQUEST, number,
        Wanted(Target("https", "x.example", 443), "GET"), "r", "", "", "", "", "p", 1, now, now + seconds * SECOND,
    )  # fmt: skip


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pass"), st.integers(0, 20)),
        st.tuples(st.just("jump"), st.integers(-100_000, 100_000)),
        st.tuples(st.just("ask"), st.integers(1, 30)),
        st.tuples(st.just("take"), st.integers(1, 10)),
    ),
    max_size=40,
)


@given(STEPS)
def test_no_jump_prolongs_a_deadline_and_none_ends_an_ask_twice(steps: list[tuple[str, int]]) -> None:
    clock = Clock()
    timers = Timers(clock)
    ended: list[int] = []
    with mock.patch.object(waiting, "time", clock):
        one = waiting.Waiting(timers, lambda found: (ended.append(found.number), one.take(found.number)))  # type: ignore[arg-type, func-returns-value]
        due: dict[int, int] = {}
        last = 0
        for what, value in steps:
            if what == "pass":
                for _ in range(value):
                    clock.mono += SECOND
                    clock.wall += SECOND
                    timers.turn()
                    one.sweep()
            elif what == "jump":
                clock.wall += value * SECOND
                one.sweep()
            elif what == "ask":
                number = len(due) + 1
                due[number] = clock.mono + value * SECOND
                one.put(ask(number, one.now(), value))
            elif one.take(value) is not None:
                due[value] = -1
            now = one.now()
            assert now >= last, "time went back"
            last = now
            for number, end in due.items():
                assert end < 0 or clock.mono < end or number in ended, "it waits longer than it may"
        assert len(ended) == len(set(ended))
        assert not {number for number in ended if due[number] < 0}, "what was taken ended all the same"
