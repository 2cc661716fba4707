"""The asks of this gateway, and who waits for their end (B44, S12).

An id that is not here is unknown, whoever's it may be: asks of other runs live in other gateways. Nothing here can
settle anything; only the keeper's words do.
"""

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from bot_bottle.egress.limits import Over
from bot_bottle.egress.mcp.access import permits
from bot_bottle.egress.messages import Asked, AskOpened, HeldBytes, Settled
from bot_bottle.policy.decide import decide
from bot_bottle.policy.verdict import Request
from bot_bottle.supervise.model import AskState, Wanted

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway
    from bot_bottle.egress.loop import Timer

KEPT = 500
WAITING_CALLS = 32
_UNOPENED = 10.0

Told = Callable[["Entry"], None]


class Entry:
    """One ask. wanted None: it is of a held request. until: wall ns at which the yes ends, 0 where nobody said."""

    __slots__ = ("ask", "deadline", "number", "opened_calls", "state", "timer", "until", "waiters", "wanted", "what")

    def __init__(self, number: int, wanted: Wanted | None) -> None:
        self.number = number
        self.wanted = wanted
        self.ask = ""
        self.state = AskState.WAITING
        self.what = ""
        self.deadline = 0
        self.until = 0
        self.waiters: list[Told] = []
        self.opened_calls: list[Told] = []
        self.timer: Timer | None = None


class Ledger:
    """Entries by ask id, in the order in which they were opened."""

    def __init__(self, gateway: "Gateway") -> None:
        self._gateway = gateway
        self._known: OrderedDict[str, Entry] = OrderedDict()
        self._unopened: dict[int, Entry] = {}
        self._newest: Entry | None = None
        self.waiting_calls = 0

    def find(self, ask: str) -> Entry | None:
        """The entry of this id; "" is the newest that was asked for, else that of the newest held request."""
        if ask:
            return self._known.get(ask)
        return self._newest or next(reversed(self._known.values()), None)

    def same(self, wanted: Wanted) -> Entry | None:
        """An ask for the very same that still waits."""
        every = (*self._unopened.values(), *self._known.values())
        return next((one for one in every if one.state is AskState.WAITING and one.wanted == wanted), None)

    def open(self, asked: Asked, told: Told) -> Over | None:
        """Asks; `told` is called once with the entry that has its id, or was refused. Or why it cannot be asked."""
        entry = Entry(asked.number, asked.wanted)
        over = self._gateway.asks.place(asked.number, _Access(self, entry))
        if over is not None:
            return over
        self._newest = entry
        entry.opened_calls.append(told)
        self._unopened[asked.number] = entry
        entry.timer = self._gateway.loop.later(_UNOPENED, lambda: self._open_now(entry))
        self._gateway.asks.open(asked, self._gateway.rules.policy.ask_wait)
        return None

    def when_open(self, entry: Entry, told: Told) -> None:
        """Calls `told` as soon as the entry has its id."""
        if entry.ask:
            told(entry)
        else:
            entry.opened_calls.append(told)

    def wait(self, entry: Entry, seconds: float, told: Told) -> Callable[[], None]:
        """Calls `told` once: when the ask ends, or after so many seconds. Returns what forgets it."""
        self.waiting_calls += 1
        done = [False]

        def once(entry: Entry) -> None:
            if not done[0]:
                forget()
                told(entry)

        def forget() -> None:
            if not done[0]:
                done[0] = True
                self.waiting_calls -= 1
                timer.cancel()
                if once in entry.waiters:
                    entry.waiters.remove(once)

        entry.waiters.append(once)
        timer = self._gateway.loop.later(seconds, lambda: once(entry))
        return forget

    def refresh(self, entry: Entry) -> AskState:
        """Its state now: a late yes is seen by what the policy says today."""
        late = entry.state in (AskState.EXPIRED, AskState.ENDED)
        if late and entry.wanted is not None and self.allowed(entry.wanted):
            entry.state = AskState.ALLOWED
        return entry.state

    def allowed(self, wanted: Wanted) -> bool:
        """Whether every method that is asked for would be allowed at its path now."""
        compiled = self._gateway.rules.compiled
        asked = (Request(wanted.target, method, wanted.path, protocol=wanted.protocol) for method in wanted.methods)
        return all(permits(compiled, one, decide(compiled, one)) for one in asked)

    def hear(self, message: AskOpened | Settled) -> None:
        """The keeper's word about any ask of this gateway: those of held requests are known by their id only."""
        entry = self._unopened.get(message.number) or self._known.get(message.ask)
        if entry is None and message.ask:
            entry = self._known[message.ask] = Entry(message.number, None)
            entry.ask = message.ask
            self._forget_oldest()
        if entry is None or entry.wanted is not None:
            return
        if isinstance(message, Settled):
            self.settle(entry, message)
        else:
            entry.deadline = message.deadline

    def opened(self, entry: Entry, message: AskOpened) -> None:
        entry.ask, entry.deadline = message.ask, message.deadline
        self._known[entry.ask] = entry
        self._forget_oldest()
        self._open_now(entry)

    def settle(self, entry: Entry, message: Settled) -> None:
        """The ask has ended."""
        entry.ask = entry.ask or message.ask
        entry.state = _state(message)
        entry.what, entry.until = message.what, message.until
        if entry.ask:
            self._known.setdefault(entry.ask, entry)
        self._open_now(entry)
        for told in list(entry.waiters):
            told(entry)

    def _open_now(self, entry: Entry) -> None:
        self._unopened.pop(entry.number, None)
        if entry.timer is not None:
            entry.timer.cancel()
            entry.timer = None
        calls, entry.opened_calls = entry.opened_calls, []
        for told in calls:
            told(entry)

    def _forget_oldest(self) -> None:
        """What waits is kept: its number is bounded by `Limits.held`."""
        if len(self._known) > KEPT:
            over = next((ask for ask, one in self._known.items() if one.state is not AskState.WAITING), "")
            self._known.pop(over, None)


class _Access:
    """Waits in the name of an entry; nothing is held."""

    def __init__(self, ledger: Ledger, entry: Entry) -> None:
        self._ledger = ledger
        self._entry = entry

    def opened(self, opened: AskOpened, /) -> None:
        self._ledger.opened(self._entry, opened)

    def settled(self, settled: Settled, /) -> None:
        self._ledger.settle(self._entry, settled)

    def shown(self, _most: int, /) -> HeldBytes | None:
        return None


def seconds_left(until: int) -> int:
    """Whole seconds to a wall time in ns; 0 where it is past or unknown."""
    return max(0, int((until - time.time_ns()) / 1e9))


def _state(message: Settled) -> AskState:
    if message.allow:
        return AskState.ALLOWED
    known = AskState.__members__.values()
    found = next((state for state in known if state.value == message.state), AskState.DENIED)
    return AskState.DENIED if found in (AskState.WAITING, AskState.ALLOWED) else found
