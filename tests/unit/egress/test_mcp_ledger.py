"""egress.mcp.ledger and .words against any order of events; a denial's command can be run as it stands."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bot_bottle.egress.mcp.denials import KEPT, Denial, Denials
from bot_bottle.egress.mcp.ledger import Entry, Ledger
from bot_bottle.egress.mcp.words import how_to_ask
from bot_bottle.egress.messages import Asked, AskOpened, Settled
from bot_bottle.policy.decide import compile
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import AskKind, AskState, Wanted

STATES = st.sampled_from(["allowed", "denied", "expired", "withdrawn", "ended", "refused", "waiting", "nonsense"])


@dataclass
class Clock:
    """The loop's timers, run by hand."""

    calls: list[Any] = field(default_factory=list)

    def later(self, seconds: float, call: Callable[[], None]) -> Any:
        timer = SimpleNamespace(seconds=seconds, call=call)
        timer.cancel = lambda: setattr(timer, "call", None)
        self.calls.append(timer)
        return timer

    def run(self) -> None:
        calls, self.calls = self.calls, []
        for timer in calls:
            if timer.call is not None:
                timer.call()


class Asks:
    """The gateway's places, without a keeper: `Asks.hear` of the gateway, as far as the ledger sees it."""

    def __init__(self) -> None:
        self.waiters: dict[int, Any] = {}
        self.full = False

    def place(self, number: int, waiter: Any) -> Any:
        if self.full:
            return SimpleNamespace(slug="ask.too-many", what="Too many.")
        self.waiters[number] = waiter
        return None

    def open(self, asked: Asked, wait: float) -> None:
        assert asked.number in self.waiters


class Machine(RuleBasedStateMachine):
    """Opens, keeper's words in any order, waits, hang-ups and time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.asks = Clock(), Asks()
        rules = SimpleNamespace(policy=SimpleNamespace(ask_wait=300.0), compiled=compile(Policy("b", ())))
        gateway: Any = SimpleNamespace(loop=self.clock, asks=self.asks, rules=rules)
        self.ledger = Ledger(gateway)
        self.number = 0
        self.told: dict[int, list[AskState]] = {}
        self.waits: dict[int, tuple[Entry, Callable[[], None]]] = {}
        self.ended: set[int] = set()
        self.heard: dict[int, list[AskState]] = {}

    @rule(host=st.sampled_from(["a", "b", "c"]), full=st.booleans())
    def open(self, host: str, full: bool) -> None:
        self.number += 1
        number = self.number
        self.asks.full = full
        wanted = Wanted(Target("https", f"{host}.test", 443), methods=("GET",))
        told = self.told.setdefault(number, [])
        same = self.ledger.same(wanted)
        if same is not None:
            self.ledger.when_open(same, lambda entry: told.append(entry.state))
            return
        asked = Asked(number, AskKind.ACCESS, wanted, "default/ask", "r", "h")
        over = self.ledger.open(asked, lambda entry: told.append(entry.state))
        assert (over is not None) == full
        if over is not None:
            del self.told[number]

    @precondition(lambda self: self.asks.waiters)
    @rule(data=st.data())
    def keeper_opens(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.asks.waiters)))
        message = AskOpened(number, f"ask-{number}", 10**18)
        self.ledger.hear(message)
        self.asks.waiters[number].opened(message)

    @precondition(lambda self: self.asks.waiters)
    @rule(data=st.data(), state=STATES, allow=st.booleans())
    def keeper_settles(self, data: st.DataObject, state: str, allow: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.asks.waiters)))
        message = Settled(number, data.draw(st.sampled_from(["", f"ask-{number}"])), allow, state)
        self.ledger.hear(message)
        waiter = self.asks.waiters.pop(number)
        waiter.settled(message)
        entry = waiter._entry
        assert entry.state is not AskState.WAITING and (entry.state is AskState.ALLOWED) == allow
        assert entry.waiters == []
        self.waits = {key: (one, forget) for key, (one, forget) in self.waits.items() if one is not entry}

    @rule(number=st.integers(900, 903), opens=st.booleans(), allow=st.booleans())
    def a_held_request_is_spoken_of(self, number: int, opens: bool, allow: bool) -> None:
        ask = f"held-{number}"
        self.ledger.hear(AskOpened(number, ask, 1) if opens else Settled(number, ask, allow, "denied"))
        assert self.ledger.find(ask) is not None

    @rule(number=st.integers(0, 2000), state=STATES)
    def an_unknown_number_is_spoken_of(self, number: int, state: str) -> None:
        self.ledger.hear(Settled(10_000 + number, "", False, state))

    @rule()
    def wait(self) -> None:
        entry = self.ledger.find("")
        if entry is None or entry.state is not AskState.WAITING:
            return
        self.number += 1
        key, heard = self.number, self.heard.setdefault(self.number, [])

        def told(entry: Entry) -> None:
            heard.append(entry.state)
            self.waits.pop(key, None)

        self.waits[key] = (entry, self.ledger.wait(entry, 60, told))

    @precondition(lambda self: self.waits)
    @rule(data=st.data())
    def hang_up(self, data: st.DataObject) -> None:
        _, forget = self.waits.pop(data.draw(st.sampled_from(sorted(self.waits))))
        forget()
        forget()

    @rule()
    def time_passes(self) -> None:
        self.clock.run()
        assert self.waits == {}

    @invariant()
    def nobody_is_told_twice_and_waits_are_counted(self) -> None:
        assert all(len(told) <= 1 for told in (*self.told.values(), *self.heard.values()))
        assert self.ledger.waiting_calls == len(self.waits)

    def teardown(self) -> None:
        """In the end everybody was told."""
        self.clock.run()
        assert all(len(told) == 1 for told in self.told.values())


TestLedger = Machine.TestCase
TestLedger.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(
    st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=60),
    st.sampled_from(["GET", "M-SEARCH", "A|B", "$X", "it's"]),
)
def test_the_command_of_a_denial_can_be_run_as_it_stands(path: str, method: str) -> None:
    text = how_to_ask(method, f"https://a.test/{path}")
    words = shlex.split(text.partition("or run: ")[2])
    assert words[1:] == ["request", method, f"https://a.test/{path}", "why", "--wait"]


def test_denials_are_bounded_and_the_oldest_goes_first() -> None:
    kept = Denials()
    for number in range(KEPT + 50):
        kept.add(number, Denial("GET\u202e", None, "x" * 5000, "http1", 403, "r", "b/x", "\x1b" * 900))
    assert kept.get(49) is None and kept.get(50) is not None
    found = kept.get(KEPT + 49)
    assert found is not None and len(found.path) < 600 and "\u202e" not in found.method and "\x1b" not in found.hint
