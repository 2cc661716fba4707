"""A WebSocket behind a proven 101 (D24): the exchange goes on as frames, scrubbed one way and watched the other."""

from typing import TYPE_CHECKING

from bot_bottle.egress.wire.frames import FrameScrubber, FrameWatcher
from bot_bottle.egress.wire.http1 import Head, Malformed
from bot_bottle.egress.wire.websocket import is_proved, request_key, subprotocols

if TYPE_CHECKING:
    from bot_bottle.egress.exchange import Exchange

_ANSWERED = ("sec-websocket-accept", "sec-websocket-protocol")


def key_of(head: Head) -> bytes | None:
    """The key of a correct opening handshake, or None."""
    return request_key(head.method.encode(), _bytes(head))


def proof(request: Head, response: Head) -> bytes | None:
    """The head of our 101 to the agent, or None where the upstream's 101 proves nothing or brings an extension."""
    key = key_of(request)
    fields = _bytes(response)
    offered = subprotocols(_bytes(request))
    if key is None or response.get("sec-websocket-extensions") or not is_proved(101, fields, key, offered):
        return None
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Connection: Upgrade", b"Upgrade: websocket"]
    lines += [b"%b: %b" % field for field in fields if field[0].decode() in _ANSWERED]
    return b"\r\n".join([*lines, b"", b""])


class Tunnel:
    """The two directions of one WebSocket."""

    def __init__(self, exchange: "Exchange") -> None:
        self._exchange = exchange
        scrubber = exchange.rules.scrubber
        self._scrub = FrameScrubber(scrubber)
        self._watch = FrameWatcher(scrubber)

    def up(self, data: bytes) -> None:
        """Bytes of the agent."""
        exchange = self._exchange
        link = exchange.link
        try:
            found = self._watch.watch(data)
        except Malformed as fault:
            exchange.fail(400, fault.slug, fault.what)
            return
        if found:
            exchange.flow.secret_in_body(exchange, found)
        elif link is not None and link.leg is not None:
            exchange.up += len(data)
            link.leg.write(data)
            exchange.throttle_up()

    def down(self, data: bytes) -> None:
        """Bytes of the server. Raises Malformed."""
        exchange = self._exchange
        exchange.down += len(data)
        exchange.session.leg.write(self._scrub.feed(data))
        if self._scrub.hits:
            exchange.flow.scrubbed(exchange, tuple(self._scrub.hits))
        exchange.throttle_down()


def _bytes(head: Head) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in head.fields]
