"""What goes to the upstream of one exchange: the head, then the agent's body (step 9).

The agent's bytes are watched for real secrets and cut on a hit (B43); the agent is not read while the upstream takes
no more. The body of a request that was held comes from the spool in pieces, exactly as it was asked about (D25).
"""

from typing import TYPE_CHECKING

from bot_bottle.egress.outcome import Ending
from bot_bottle.egress.reply import KEPT
from bot_bottle.egress.session import HIGH
from bot_bottle.egress.spool import Tampered
from bot_bottle.egress.wire.chunks import LAST, chunk
from bot_bottle.egress.wire.http1 import CHUNKED
from bot_bottle.inspect.scrub import ScrubStream

if TYPE_CHECKING:
    from bot_bottle.egress.upstream import Link


class Upload(Ending):
    """The half that goes up."""

    _waiting: list[bytes] | None = None
    _waits = 0
    _uploaded = True
    _chunked_up = False
    _stream: ScrubStream | None = None
    _retried = False

    def _begin_upload(self, framing: int) -> None:
        self._uploaded = False
        self._chunked_up = framing == CHUNKED
        self._stream = self.rules.scrubber.stream() if self.rules.guarded else None

    def upload(self, data: bytes, last: bool) -> None:
        """Payload of the request's body, without its framing."""
        self.up += len(data)
        self._uploaded = last
        if self.finished:
            return
        if self.flow.body_too_long(self):
            return
        if self._stream is not None:
            data = self._stream.feed(data)
            if last:
                data += self._stream.finish()
            if self._stream.hits:
                self.flow.secret_in_body(self, next(iter(self._stream.hits)))
                return
        if self.rules.policy.log == "full" and len(self._kept_up) < KEPT:
            self._kept_up += data[: KEPT - len(self._kept_up)]
        if self._chunked_up:
            data = chunk(data) + LAST if last else chunk(data)
        self._send(data)

    def _send(self, data: bytes) -> None:
        link = self.link
        if link is None or link.leg is None or link.state != "open":
            if data:
                if self._waiting is None:
                    self._waiting = []
                self._waiting.append(data)
                self._waits += len(data)
                if self._waits > HIGH:
                    self.session.leg.pause()
            return
        link.leg.write(data)
        self.throttle_up()

    def connected(self, link: "Link") -> None:
        """Step 9: the connection is verified and ours; the head leaves with what of the body is there."""
        if self.finished:
            link.close()
            return
        self.link = link
        self.address = link.address
        leg = link.leg
        assert leg is not None
        if self.prepared.secret and not self._retried:
            self.flow.gateway.count_secret(self.prepared.secret)
        if self._waiting:
            leg.write(b"".join((self.prepared.wire, *self._waiting)))
            self._waiting = None
        else:
            leg.write(self.prepared.wire)
        if self.yes is not None:
            link.spoiled = True  # what one yes opened serves nothing else
            self._pump()
        if self.session.leg.paused and leg.queued <= HIGH:
            self.session.leg.resume()

    def upstream_drained(self) -> None:
        if self.held is not None:
            self._pump()
        self.session.leg.resume()

    def _pump(self) -> None:
        """Sends on from the spool, as much as the upstream takes."""
        held, loop = self.held, self.flow.gateway.loop
        try:
            while held is not None and not (self._uploaded or self.finished):
                if self.link is None or self.link.leg is None or self.link.leg.queued > HIGH:
                    return
                if loop.frozen:
                    loop.soon(self._pump)
                    return
                self.upload(held.read(), held.done)
        except Tampered:
            self.fail(502, "ask.altered", "What was held for an answer is not what was asked about any more.")

    def throttle_up(self) -> None:
        """Stops reading the agent while the upstream does not take more."""
        if self.link is not None and self.link.leg is not None and self.link.leg.queued > HIGH:
            self.session.leg.pause()
