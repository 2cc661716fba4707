"""The keeper's end of the socketpair to its gateway: configuration out, certificates and counters back.

The gateway parses hostile bytes and may be taken over: what it says is typed, bounded, and never trusted with more
than a host name to certify and numbers to show.
"""

import socket
from collections.abc import Callable

import msgspec

from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.egress.messages import (
    Asked,
    Configured,
    Counters,
    Failed,
    Frozen,
    GatewayToKeeper,
    HeldBytes,
    KeeperToGateway,
    Mint,
    Minted,
    Status,
    StatusQuery,
    Withdrawn,
)
from bot_bottle.keeper.control import bounded
from bot_bottle.keeper.loop import Loop

Minter = Callable[[str], str]


class GatewayLink:
    """confinement: what the gateway said holds, "" before. counters: the newest known. failure: why it stopped."""

    def __init__(self, loop: Loop, sock: socket.socket, mint: Minter) -> None:
        bounded(sock)
        self._loop = loop
        self._channel: Channel[KeeperToGateway, GatewayToKeeper] = Channel(sock, GatewayToKeeper)
        self._mint = mint
        self._waiting: dict[str, list[Callable[[], None]]] = {}
        self.confinement = ""
        self.counters = Counters()
        self.failure: tuple[str, str] | None = None
        self.frozen = ""
        self.open = True
        self.on_frozen: Callable[[str], None] = lambda _: None
        self.on_end: Callable[[], None] = lambda: None
        self.on_ask: Callable[[Asked | Withdrawn | HeldBytes], None] = lambda _: None
        loop.read(sock.fileno(), self._heard)

    def tell(self, message: KeeperToGateway, fds: tuple[int, ...] = ()) -> None:
        """Sends; a gateway that is gone, or that does not read, is noticed here or at its end of file."""
        try:
            if self.open:
                self._channel.send(message, fds)
        except ChannelClosed:
            self._last_words()

    def _last_words(self) -> None:
        """It does not read any more; what it said before still counts."""
        self._channel.sock.setblocking(False)
        try:
            while self.open:
                self._channel.fill()
                while self.open and (found := self._channel.next()) is not None:
                    self._take(found[0])
        except (ChannelClosed, BlockingIOError, msgspec.MsgspecError):
            self._ended()

    def status(self, then: Callable[[], None]) -> None:
        """Fresh counters, then calls back; at once where the gateway is gone."""
        self._when("status", then)
        self.tell(StatusQuery())

    def when_frozen(self, then: Callable[[], None]) -> None:
        self._when("frozen", then)

    def _when(self, what: str, then: Callable[[], None]) -> None:
        if self.open:
            self._waiting.setdefault(what, []).append(then)
        else:
            then()

    def _happened(self, what: str) -> None:
        for then in self._waiting.pop(what, []):
            then()

    def _heard(self) -> None:
        try:
            self._channel.fill()
            while self.open and (found := self._channel.next()) is not None:
                self._take(found[0])
        except (ChannelClosed, msgspec.MsgspecError):
            self._ended()

    def _take(self, message: GatewayToKeeper) -> None:
        match message:
            case Configured():
                self.confinement = message.confinement[:200]
            case Mint():
                self.tell(Minted(message.host, self._mint(message.host)))
            case Frozen():
                self.frozen = message.reason[:200] or "frozen"
                self.on_frozen(self.frozen)
                self._happened("frozen")
            case Failed():
                self.failure = (message.slug[:100], message.what[:500])
            case Status():
                self.counters = message.counters
                self._happened("status")
            case Asked() | Withdrawn() | HeldBytes():
                self.on_ask(message)

    def _ended(self) -> None:
        if not self.open:
            return
        self.open = False
        self._loop.forget(self._channel.fileno())
        self._channel.close()
        for what in list(self._waiting):
            self._happened(what)
        self.on_end()

    def close(self) -> None:
        """Our end goes: for the gateway that is the end of its keeper."""
        if self.open:
            self.open = False
            self._loop.forget(self._channel.fileno())
            self._channel.close()
