"""The terminal of `bot-bottle supervise`: keys in, the view out, the store looked at four times a second."""

import contextlib
import os
import select
import sys
import termios
import threading
import time
import tty
from collections.abc import Generator

from bot_bottle.api import approvals, around
from bot_bottle.audit.index import Index
from bot_bottle.base.errors import BottleError, HostFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import control
from bot_bottle.bottles import lease as leases
from bot_bottle.cli.log_text import one_line
from bot_bottle.cli.supervise_view import Deeds, Facts, View
from bot_bottle.keeper.messages.approvals import AskShown
from bot_bottle.supervise.model import Ask, Scope
from bot_bottle.supervise.ports import ApprovalReader
from bot_bottle.supervise.rules import Case, scopes
from bot_bottle.web.news import News

_LOOK, _GLANCE = 0.25, 0.05
_PATIENCE = 0.2
"""Seconds that a key waits for the records to be read in: it may be the key that answers."""
_KEYS = {b"\r": "enter", b"\n": "enter", b"\x1b": "escape", b"\x1b[A": "up", b"\x1b[B": "down"}


def live(home: Home) -> None:
    """Until q or Ctrl-C."""
    from rich.console import Console
    from rich.live import Live

    view, news, told = View(deeds(home, Records(home))), News(home), list[Ask]()
    console = Console(highlight=False, emoji=False, markup=False)
    with _raw(sys.stdin.fileno()), Live(console=console, screen=True, auto_refresh=False) as screen:
        store, changes = approvals.reader(home), -1
        while not view.over:
            store, changes = look(home, store, changes, view)
            if view.new is None or view.asks != told:
                view.new, told = news.of(view.asks, _GLANCE), view.asks
            screen.update(view.render(time.time_ns(), console.height, console.width), refresh=True)
            for key in keys(sys.stdin.fileno(), _LOOK):
                view.press(key)
                changes = -1


class Records:
    """What the logs say around an ask. They are read in once, beside the keys; until that is done nothing is said."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._read = threading.Thread(target=self._take_in, name="records", daemon=True)
        self._read.start()
        self._index: Index | None = None

    def add(self, facts: Facts, ask: Ask) -> Facts:
        """The facts, with what is known by now. Nothing where the records cannot be read."""
        self._read.join(_PATIENCE)
        if self._read.is_alive():
            return facts
        with contextlib.suppress(HostFault):
            if self._index is None:
                self._index = Index(self._home.index, self._home)
            self._index.refresh(self._home, False, (ask.run,))
            now = time.time_ns()
            facts.last = tuple(one_line(hit.number, hit.text) for hit in around.last(self._index, now, ask.run))
            facts.also = around.also(self._index, now, [ask])
        return facts

    def _take_in(self) -> None:
        with contextlib.suppress(HostFault):
            index = Index(self._home.index, self._home)
            index.refresh(self._home, False)
            index.close()


def deeds(home: Home, records: Records | None = None) -> Deeds:
    """What keys do, in this home."""

    def known(ask: Ask) -> Facts:
        return records.add(facts(home, ask), ask) if records else facts(home, ask)

    def answer(ask: Ask, allow: bool, scope: Scope, shown: str, late: bool) -> str:
        return answered(home, ask, allow, scope, shown, late)

    return Deeds(answer, known, lambda ask: approvals.propose(home, ask), lambda ask: offered(home, ask))


def offered(home: Home, ask: Ask) -> tuple[Scope, ...]:
    """Which scopes a yes may have, by what lies on the disk: the lease names the file that `always` would write. Who
    answers for a bottle that has ended gives one retry."""
    held = leases.read(home, ask.label)
    if held is None or not approvals.lives(home, ask):
        return (Scope.ONCE,)
    return scopes(Case(ask, time.time_ns(), leaf=held.leaf))


def look(home: Home, store: ApprovalReader, changes: int, view: View) -> tuple[ApprovalReader, int]:
    """Reads the list again where somebody wrote; a store that came only now is opened."""
    try:
        if changes < 0 and os.path.exists(home.approvals):
            store.close()
            store = approvals.reader(home)
        now = store.changes()
        if now != changes:
            view.update(approvals.missed(store, time.time_ns()) if view.missed else approvals.waiting(store))
        return store, now if os.path.exists(home.approvals) else -1
    except BottleError as error:
        view.said = str(error)
        return store, -1


def answered(home: Home, ask: Ask, allow: bool, scope: Scope, shown: str, late: bool) -> str:
    """What came of an answer, in a few words."""
    done = approvals.answer(home, approvals.person(), ask, allow, scope, shown=shown, late=late)
    where = f", the rule stands in {done.wrote}" if done.wrote else f", grant {done.grant}" if done.grant else ""
    return f"{ask.id} {done.state.value}{where}."


def facts(home: Home, ask: Ask) -> Facts:
    """Which scopes a yes may have, and what is held."""
    now = time.time_ns()
    if not approvals.lives(home, ask):
        return Facts(offered(home, ask), AskShown(False))
    known = control.ask(home, ask.label)
    return Facts(scopes(Case(ask, now, (), known.policy, known.revision, "", known.leaf)), approvals.show(home, ask))


def keys(fd: int, seconds: float) -> list[str]:
    """The keys that were pressed within so many seconds."""
    ready, _, _ = select.select([fd], [], [], seconds)
    if not ready:
        return []
    raw = os.read(fd, 64)
    if not raw:
        return ["q"]
    whole = _KEYS.get(raw)
    return [whole] if whole else [_KEYS.get(bytes([one]), chr(one)) for one in raw]


@contextlib.contextmanager
def _raw(fd: int) -> Generator[None]:
    before = termios.tcgetattr(fd)
    try:
        tty.setcbreak(fd)
        yield
    except KeyboardInterrupt:
        return
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
