"""One client connection's HTTP/1.1 side: heads in, one exchange at a time, answers out; the target stays its site's.

Every request of a kept connection goes through the flow anew (B31). What the agent still sends behind an answer of
ours is drained within limits, so that the answer arrives instead of a reset.
"""

from typing import TYPE_CHECKING, Protocol

from bot_bottle.egress.answer import Answer
from bot_bottle.egress.leg import Leg
from bot_bottle.egress.target import Site
from bot_bottle.egress.wire.chunks import Dechunker
from bot_bottle.egress.wire.http1 import CHUNKED, Head, Malformed, head_end

if TYPE_CHECKING:
    from bot_bottle.egress.gateway import Gateway
    from bot_bottle.egress.prepare import Prepared
    from bot_bottle.egress.tunnel import Tunnel

HEAD, BODY, WAIT, DRAIN, LINGER, TUNNEL = range(6)
HIGH = 131072
_DRAINED = 64 * 1024 * 1024
_LINGER_SECONDS = 5.0


class Taker(Protocol):
    """Whoever takes the body of a request and owes its answer: an exchange, a held request, the service inside."""

    def upload(self, data: bytes, last: bool) -> None:
        """Payload of the body, without its framing; not called where there is none."""
        ...

    def client_gone(self) -> None:
        """The agent closed."""
        ...

    def client_drained(self) -> None:
        """The agent took all that was written."""
        ...

    def fail(self, status: int, slug: str, what: str) -> None:
        """The body is malformed, or the gateway ends: answer so."""
        ...

    def sweep(self, now: float) -> None:
        """Once a second."""
        ...


class Session:
    """state: HEAD (between requests), BODY (an upload runs), WAIT (an answer is awaited), DRAIN, LINGER, TUNNEL."""

    __slots__ = (
        "_body", "_buffer", "_held", "_left", "_since", "_tunnel", "closing", "drained_bytes", "epoch", "exchange",
        "gateway", "leg", "memo", "minor", "owing", "site", "state",
    )  # fmt: skip

    def __init__(self, gateway: "Gateway", site: Site) -> None:
        self.gateway = gateway
        self.site = site
        self.memo: dict[bytes, Prepared] = gateway.memo(site)
        self.epoch = gateway.epoch
        self.leg: Leg
        self.exchange: Taker | None = None
        self.state = HEAD
        self.closing = False
        self.minor = 1
        self.drained_bytes = 0
        self.owing = False
        self._buffer = b""
        self._held = False
        self._left = 0
        self._body: Dechunker | None = None
        self._tunnel: Tunnel | None = None
        self._since = gateway.loop.now

    def attach(self, leg: Leg) -> None:
        """The leg that this session serves from now on."""
        self.leg = leg
        leg.owner = self
        self.gateway.clients.add(self)

    def secured(self) -> None:
        """The handshake with the agent is done."""
        self._since = self.gateway.loop.now

    def renew(self) -> None:
        """Other rules hold: nothing that was decided before them is used again."""
        self.memo = self.gateway.memo(self.site)
        self.epoch = self.gateway.epoch

    def received(self, data: bytes) -> None:
        state = self.state
        if state == HEAD:
            if self._buffer:
                self._buffer += data
            else:
                self._buffer = data
                self._since = self.gateway.loop.now
            self._next_head()
        elif state in (BODY, DRAIN):
            self._upload(data)
        elif state == TUNNEL:
            if self._tunnel is not None:
                self._tunnel.up(data)
        elif state == WAIT:
            self._buffer += data
            if len(self._buffer) > HIGH:
                self.leg.pause()

    def _next_head(self) -> None:
        buffer = self._buffer
        try:
            end = head_end(buffer, self.gateway.limits.head_bytes)
        except Malformed as fault:
            self.gateway.flow.unreadable(self, fault)
            return
        if end < 0:
            return
        self._buffer = buffer[end:]
        self.gateway.flow.handle(self, buffer[:end])

    def begin(self, head: Head, exchange: Taker | None, drain: bool = False) -> None:
        """Takes the body of this head; to the exchange, or nowhere."""
        self.exchange = exchange
        self.minor = head.minor
        self.closing = head.close
        self._left = max(0, head.framing)
        self._body = Dechunker() if head.framing == CHUNKED else None
        self.drained_bytes = 0
        self.owing = drain
        if not head.framing:
            self.state = WAIT
            return
        self.state = DRAIN if drain else BODY
        data, self._buffer = self._buffer, b""
        if data:
            self._upload(data)

    def _upload(self, data: bytes) -> None:
        if self._body is not None:
            try:
                payload, rest = self._body.feed(data)
            except Malformed as fault:
                self._broken_upload(fault)
                return
            last = self._body.done
        else:
            payload, rest = data[: self._left], data[self._left :]
            self._left -= len(payload)
            last = not self._left
        draining = self.state == DRAIN
        if last:
            self.state = WAIT
            self._buffer = rest
        if not draining:
            if self.exchange is not None:
                self.exchange.upload(payload, last)
            return
        self.drained_bytes += len(payload)
        if last and self.exchange is None and not self.owing:
            self.next()
        elif self.drained_bytes > _DRAINED:
            self.linger()

    def _broken_upload(self, fault: Malformed) -> None:
        self.closing = True
        if self.owing:
            self.hold()
        elif self.exchange is not None:
            self.exchange.fail(400, fault.slug, fault.what)
        else:
            self.linger()

    def tunnel(self, tunnel: "Tunnel") -> None:
        """From now on the agent's bytes are frames."""
        self.state = TUNNEL
        self._tunnel = tunnel
        data, self._buffer = self._buffer, b""
        if data:
            tunnel.up(data)

    def close_tunnel(self) -> None:
        """The upstream's side ended."""
        self.exchange = self._tunnel = None
        self._finish()

    def hold(self) -> None:
        """Reads nothing as a request any more; an answer of ours comes, then the end."""
        self.state = WAIT
        self.closing = True
        self._buffer = b""

    def abandon(self) -> None:
        """Nobody takes the rest of the request's body any more; an answer of ours follows."""
        self.exchange = None
        self.owing = True
        if self.state == BODY:
            self.state = DRAIN

    def answer(self, answer: Answer, method: str = "") -> None:
        """An answer of ours to the current request, whose body is drained or done."""
        unread = self.state in (BODY, DRAIN)
        self.exchange = None
        self.owing = False
        self.leg.write(answer.encode(close=self.closing, head_only=method == "HEAD"))
        if self.closing:
            self.linger()
        elif unread:
            self.state = DRAIN
        else:
            self.next()

    def next(self) -> None:
        """The exchange is over: the next request, or the end."""
        self.exchange = None
        if self.leg.closed:
            return
        if self.closing:
            self.linger() if self.state in (BODY, DRAIN) else self._finish()
            return
        if self.state in (BODY, DRAIN):
            self.linger()
            return
        self.state = HEAD
        self._since = self.gateway.loop.now
        if self.leg.queued > HIGH:  # who asks and never reads would fill our memory with answers (S12, D18)
            self._held = True
            self.leg.pause()
            return
        if self.leg.paused:
            self.leg.resume()
        if self._buffer:
            self._next_head()

    def _go_on(self) -> None:
        """The agent has read its answers: the next request may come."""
        self._held = False
        self._since = self.gateway.loop.now
        self.leg.resume()
        if self._buffer:
            self._next_head()

    def linger(self) -> None:
        """Ends our side, reads and drops the agent's for a moment, so that no reset overtakes the answer."""
        self.state = LINGER
        self._buffer = b""
        self._since = self.gateway.loop.now
        self.leg.half_close()

    def _finish(self) -> None:
        self.gateway.clients.discard(self)
        self.leg.finish()

    def cut(self) -> None:
        """Ends at once and without a proper end, so that nobody takes what came for the whole."""
        self.exchange = None
        self.gateway.clients.discard(self)
        self.leg.close()

    def ended(self, clean: bool) -> None:
        self.gateway.clients.discard(self)
        exchange, self.exchange = self.exchange, None
        if exchange is not None:
            exchange.client_gone()
        elif not clean and self.leg.failure:
            self.gateway.flow.client_refused(self, self.leg.failure)

    def drained(self) -> None:
        if self.exchange is not None:
            self.exchange.client_drained()
        elif self._held and self.state == HEAD:
            self._go_on()

    def sweep(self, now: float) -> None:
        """Once a second: slow heads, idle connections, lingering ones."""
        limits = self.gateway.limits
        if self.state == LINGER:
            if now - self._since > _LINGER_SECONDS:
                self.cut()
        elif self._held:
            if now - self.leg.active > limits.idle_seconds:
                self.cut()
        elif self.state == HEAD:
            if self._buffer or not getattr(self.leg, "up", True):
                if now - self._since > limits.head_seconds:
                    self.gateway.flow.too_slow(self)
            elif now - self.leg.active > limits.idle_seconds:
                self._finish()
        elif self.exchange is not None:
            self.exchange.sweep(now)
        elif now - self.leg.active > limits.idle_seconds:
            self.cut()
