"""The desk: what pages and API read and do. One per request; the office behind it is shared by all of them.

It reads the stores directly (never writes them) and does by asking: a running bottle's keeper at its control socket,
for all else the starter. Nothing here holds a key, so a bug in a page cannot either.
"""

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from bot_bottle.audit.index import Index
from bot_bottle.base.clock import Clock
from bot_bottle.base.errors import BottleError, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import control
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.lease import Held
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, AskShown, LeafProposed, RevokeGrant
from bot_bottle.keeper.messages.control import Facts, LearnPolicy, Stop
from bot_bottle.supervise.model import Approver, Ask, Scope
from bot_bottle.supervise.ports import ApprovalReader
from bot_bottle.web.checks import Checks
from bot_bottle.web.export import Exports
from bot_bottle.web.pairing import Codes, Keys
from bot_bottle.web.readers import open_approvals
from bot_bottle.web.said import Said
from bot_bottle.web.starter import Starter
from bot_bottle.web.starts import Start, Starts
from bot_bottle.web.store import Store, digest
from bot_bottle.web.watch import Watch
from bot_bottle.web.wish import StartWish

if TYPE_CHECKING:
    from bot_bottle.api.settings import Settings

T = TypeVar("T")


@dataclass(slots=True)
class Door:
    """The one-time ways in. pairs: URL of the page where another device types its code, "" where none can reach us.
    fingerprint, authority: of our own CA (PEM), "" without TLS of ours. push_key: for browsers, "" without one."""

    keys: Keys = field(default_factory=lambda: Keys(time.monotonic_ns))
    codes: Codes = field(default_factory=lambda: Codes(time.monotonic_ns))
    pairs: str = ""
    fingerprint: str = ""
    authority: str = ""
    push_key: str = ""


@dataclass(slots=True)
class Office:
    """What all requests share. A reader belongs to the thread that opened it. local: the person at this machine."""

    home: Home
    clock: Clock
    starter: Starter
    store: Store
    local: Approver
    door: Door = field(default_factory=Door)
    _own: threading.local = field(default_factory=threading.local)
    _remembered: dict[str, tuple[float, Any]] = field(default_factory=dict[str, tuple[float, Any]])
    _making: threading.Lock = field(default_factory=threading.Lock)
    watch: Watch = field(init=False)
    begun: int = field(init=False)
    """Wall ns: what an earlier process did not finish is older."""
    checks: Checks = field(default_factory=Checks)
    exports: Exports = field(default_factory=Exports)
    said: Said = field(default_factory=Said)
    starts: Starts = field(init=False)

    def __post_init__(self) -> None:
        self.starts = Starts(self.clock)
        self.watch = Watch(self.home)
        self.begun = self.clock.wall()

    def approvals(self) -> ApprovalReader:
        reader: ApprovalReader | None = getattr(self._own, "approvals", None)
        if reader is None or not getattr(self._own, "there", False):
            self._own.there = os.path.exists(self.home.approvals)
            reader = self._own.approvals = open_approvals(self.home)
        return reader

    def index(self) -> Index:
        index: Index | None = getattr(self._own, "index", None)
        if index is None or index.stale:
            index = self._own.index = Index(self.home.index, self.home)
        return index

    def bottles(self) -> str:
        """A mark of what runs, and how, as of some tenths of a second ago: another one, and something changed."""
        return self.remembered("bottles", 0.3, self._bottles)

    def _bottles(self) -> str:
        lines = [f"{h.run} {h.state} {h.frozen} {lives}" for h, lives in leases.leases(self.home)]
        lines += [f"{one.id} {one.ended}" for one in self.starts.all()]
        return digest("\n".join(lines))[:16]

    def remembered(self, name: str, seconds: float, make: Callable[[], T]) -> T:
        """What `make` gave not longer than `seconds` ago: many tabs ask the same question at the same moment."""
        at, value = self._remembered.get(name, (-1e9, None))
        if time.monotonic() - at < seconds:
            return value
        with self._making:
            at, value = self._remembered.get(name, (-1e9, None))
            if time.monotonic() - at >= seconds:
                value = make()
                self._remembered[name] = (time.monotonic(), value)
        return value


@dataclass(frozen=True, slots=True)
class Desk:
    """person: who asks, for records and answers. scopes: read, answer, control, admin: what they may. device: of the
    session, "" for a token. key: the request's Idempotency-Key, "" without one."""

    office: Office
    person: Approver
    scopes: frozenset[str] = frozenset()
    device: str = ""
    key: str = ""

    @property
    def home(self) -> Home:
        return self.office.home

    @property
    def starter(self) -> Starter:
        return self.office.starter

    @property
    def store(self) -> Store:
        """Devices, sessions, tokens: what the web process itself owns."""
        return self.office.store

    def clock(self) -> int:
        """Wall clock, ns."""
        return self.office.clock.wall()

    def approvals(self) -> ApprovalReader:
        return self.office.approvals()

    def index(self) -> Index:
        return self.office.index()

    def running(self) -> list[tuple[Held, Facts | None]]:
        """Living bottles, oldest first; None where its keeper does not answer (it starts or ends)."""
        return [(held, self.facts(held.label)) for held, lives in leases.leases(self.home) if lives]

    def facts(self, label: str) -> Facts | None:
        try:
            return control.ask(self.home, label, self.starter.reach)
        except BottleError:
            return None

    def answer(
        self, ask: str, request: str, allow: bool, scope: Scope = Scope.ONCE, seconds: int = 0, reason: str = "",
        break_glass: bool = False, shown: str = "", late: bool = False,
    ) -> Answered:  # fmt: skip
        """A person's answer: to the keeper of the ask's bottle, or to the warm one. request: the digest they saw.
        shown: for `always`, `before` of the diff that they saw. late: they know that nobody waits any more."""
        found = self.ask(ask)
        order = AnswerAsk(ask, request, allow, self.person, scope, seconds, reason, break_glass, shown, late)
        if self._lives(found):
            return control.answer_ask(self.home, found.label, order, self.starter.reach)
        return self.starter.answer_ended(order)

    def ask(self, ask: str) -> Ask:
        """The ask of this id. Raises UsageFault where there is none."""
        found = self.approvals().ask(ask)
        if found is None:
            raise UsageFault("ask.unknown", "There is no such ask.")
        return found

    def show(self, ask: str) -> AskShown:
        """What exactly is held; held: False where the bottle no longer runs."""
        found = self.ask(ask)
        if not self._lives(found):
            return AskShown(False)
        return control.show_ask(self.home, found.label, ask, self.starter.reach)

    def propose(self, ask: str) -> LeafProposed:
        """The diff that `always` would make. Raises where the bottle has ended, or nothing may be written."""
        found = self.ask(ask)
        if not self._lives(found):
            raise UsageFault("ask.late-once", "Its bottle has ended: a yes permits one more request.")
        return control.propose_leaf(self.home, found.label, ask, self.starter.reach)

    def revoke(self, grant: str) -> None:
        """The grant ends now, with every flow under it, in every running bottle."""
        if self.approvals().grant(grant) is None:
            raise UsageFault("grant.unknown", "There is no such grant.")
        order = RevokeGrant(grant, self.person)
        if not control.revoke_by_any(self.home, order, self.starter.reach):
            self.starter.revoke_ended(order)

    def learn(self, label: str, seconds: int) -> None:
        """Begins a timed learn mode, or with 0 ends it."""
        control.learn(self.home, label, LearnPolicy(seconds, self.person), self.starter.reach)

    def freeze(self, label: str) -> None:
        control.freeze(self.home, label, f"asked by {self.person.name}", self.starter.reach)

    def thaw(self, label: str) -> None:
        control.thaw(self.home, label, self.starter.reach)

    def stop(self, label: str) -> None:
        """Returns once its keeper has told the launcher."""
        control.exchange(self.home, label, Stop(f"asked by {self.person.name}"), self.starter.reach)

    def kill(self, label: str) -> None:
        """Ends it without asking its keeper. The starter does it: web may not signal any process."""
        control.held(self.home, label)
        self.starter.kill(label)

    def freeze_all(self) -> dict[str, str]:
        """Every running bottle, at once; label -> "" or why not. Recorded first, but done also where it is not."""
        labels = [held.label for held, lives in leases.leases(self.home) if lives]
        results: dict[str, str] = {}
        threads = [threading.Thread(target=self._freeze_into, args=(label, results)) for label in labels]
        for thread in threads:
            thread.start()
        try:
            self.record("froze all", {"bottles": ",".join(labels)})
        except BottleError:
            results[""] = "This was not recorded: the serve process did not answer."
        for thread in threads:
            thread.join()
        return results

    def start(self, wish: StartWish) -> Start:
        """A bottle of its own, detached: its start goes on by itself. The one under way where this is a repeat."""
        return self.office.starts.begin(f"{self.person.kind}:{self.person.id}", self.key, wish, self.starter.start)

    def settings(self) -> "Settings":
        """What settings.toml says now. Raises SettingsFault with all its problems."""
        from bot_bottle.api.settings import parse

        return parse(self.starter.settings().encode(), root=self.home.root)

    def record(self, what: str, detail: dict[str, str]) -> None:
        """A CONTROL record in the host log: what this person did to the installation."""
        self.starter.control(what, f"{self.person.kind}:{self.person.id}", detail)

    def _freeze_into(self, label: str, results: dict[str, str]) -> None:
        try:
            self.freeze(label)
            results[label] = ""
        except BottleError as error:
            results[label] = error.what

    def _lives(self, ask: Ask) -> bool:
        held = leases.read(self.home, ask.label)
        return held is not None and held.run == ask.run and leases.alive(self.home, ask.label)
