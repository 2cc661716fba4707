"""A person's terminal attached to a detached bottle, through the same filter as any agent's output (D15)."""

import os
import signal

import msgspec

from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home
from bot_bottle.bottles.control import held
from bot_bottle.bottles.detached import NAME
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.session_messages import Attach, Ended, FromSession, Input, Output, Resize, ToSession
from bot_bottle.bottles.signals import Signals
from bot_bottle.bottles.streams import put
from bot_bottle.bottles.terminal import Screen, size
from bot_bottle.bottles.terminal_filter import Allowed
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper.control import bounded, connect
from bot_bottle.keeper.loop import Loop

LEAVE = b"\x10\x11"
"""ctrl-P ctrl-Q, as docker has it: leaves the bottle running."""

_Link = Channel[ToSession, FromSession]


class Attached:
    """One terminal at one session, until the bottle ends, the person leaves, or the session dies."""

    def __init__(self, link: _Link, screen: Screen) -> None:
        self._loop = Loop()
        self._link = link
        self._screen = screen
        self._last = b""
        self.over = False
        self.outcome: Outcome | None = None

    def run(self) -> None:
        """Relays. `outcome` is set where the bottle ended meanwhile."""
        self._loop.read(self._link.fileno(), self._heard)
        self._loop.read(self._screen.keyboard, self._typed)
        self._say(Attach(*size(self._screen.display)))
        ends = (signal.SIGTERM, signal.SIGHUP)
        with Signals(self._loop, (signal.SIGWINCH, *ends), self._signalled):
            self._loop.run(lambda: self.over)

    def _signalled(self, number: int) -> None:
        if number == signal.SIGWINCH:
            self._say(Resize(*size(self._screen.display)))
        else:
            self.over = True

    def _typed(self) -> None:
        data = self._screen.keys(os.read(self._screen.keyboard, 4096))
        if not data or LEAVE in self._last + data:
            self.over = True
            return
        self._last = data[-1:]
        self._say(Input(data))

    def _heard(self) -> None:
        try:
            self._link.fill()
            while (found := self._link.next()) is not None:
                self._take(found[0])
        except (ChannelClosed, msgspec.MsgspecError):
            self.over = True

    def _take(self, message: FromSession) -> None:
        match message:
            case Output():
                put(self._screen.display, self._screen.show(message.data))
                if self._screen.answers:
                    self._say(Input(bytes(self._screen.answers)))
                    self._screen.answers.clear()
            case Ended():
                self.outcome = message.outcome
                self.over = True

    def _say(self, message: ToSession) -> None:
        try:
            self._link.send(message)
        except ChannelClosed:
            self.over = True


def attach(home: Home, label: str, allowed: Allowed | None = None) -> Outcome | None:
    """Attaches descriptors 0 and 1; the outcome where the bottle ended, None where the person left."""
    held(home, label)
    try:
        sock = connect(home.sockets(label), NAME)
    except OSError as error:
        hint = "Only bottles started with --detach can be attached to."
        raise HostFault("session.none", f"The bottle {label} has no session.", hint) from error
    bounded(sock)
    link = _Link(sock, FromSession)
    try:
        with Screen(0, 1, allowed) as screen:
            attached = Attached(link, screen)
            attached.run()
        return attached.outcome
    finally:
        link.close()
