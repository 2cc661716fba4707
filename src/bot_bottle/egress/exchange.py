"""One request and its answer: what came (step 10). What was sent is upload's, how it ended is outcome's.

An upload that was answered early is never pooled (P12). A cut is tried once more, on another connection, only where
nothing was answered and the request may be repeated.
"""

from typing import TYPE_CHECKING

from bot_bottle.egress.reply import KEPT, Body, Plan, Refused, plan
from bot_bottle.egress.session import HIGH
from bot_bottle.egress.tunnel import Tunnel, proof
from bot_bottle.egress.upload import Upload
from bot_bottle.egress.wire.http1 import Head, Malformed, head_end, parse_response

if TYPE_CHECKING:
    from bot_bottle.egress.upstream import Link

_MEMO = 64
_MEMO_HEAD = 2048
_INTERIM = 100
_REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))


class Exchange(Upload):
    """One request on its way, as the agent's connection and the upstream's know it."""

    _buffer = b""
    _interims = 0

    def client_gone(self) -> None:
        """The agent closed; what it asked for is abandoned."""
        self._end("client.gone" if self.frames is None else "")

    def client_drained(self) -> None:
        """The agent took everything: read on."""
        if self.link is not None and self.link.leg is not None:
            self.link.leg.resume()

    def unreachable(self, _link: "Link", /, slug: str, what: str) -> None:
        """Step 9 failed for this address; the next pinned one is tried."""
        if not self.finished:
            self.link = None
            self.flow.dial_next(self, slug, what)

    def reply(self, data: bytes) -> None:
        """Bytes of the answer."""
        try:
            if self.frames is not None:
                self.frames.down(data)
            elif self._body is None:
                self._reply_head(self._buffer + data if self._buffer else data)
            else:
                self._pass(self._body.feed(data))
        except Malformed as fault:
            self.fail(502, fault.slug, fault.what)
        except Refused as fault:
            self.fail(502, fault.slug, fault.what)

    def _reply_head(self, data: bytes) -> None:
        """Interim answers are taken in a loop: thousands of them in one read must not nest."""
        while data:
            data = self._one_head(data)

    def _one_head(self, data: bytes) -> bytes:
        """Reads one head; what is left where it was an interim one."""
        limits = self.flow.gateway.limits
        end = head_end(data, limits.head_bytes)
        if end < 0:
            self._buffer = data
            return b""
        self._buffer = b""
        raw, method = data[:end], self.prepared.head.method
        planned = self.rules.replies.get(raw) if method != "HEAD" else None
        if planned is None:
            head = parse_response(raw, method, limits.head_fields)
            if head.status < 200:
                return self._interim(head, data[end:])
            planned = plan(self.rules, head)
            if method != "HEAD" and end <= _MEMO_HEAD:
                self._remember(raw, planned)
        self.status = planned.status
        if planned.framing == len(data) - end and self._uploaded and not planned.coding and planned.framing:
            self._whole(planned, data[end:])
        else:
            self._opened(planned, data[end:])
        return b""

    def _remember(self, raw: bytes, planned: Plan) -> None:
        replies = self.rules.replies
        if len(replies) >= _MEMO:
            replies.clear()
        replies[raw] = planned

    def _whole(self, planned: Plan, body: bytes) -> None:
        """Head and body came together: scrubbed as one value, sent in one write."""
        hits: dict[str, int] = dict.fromkeys(planned.hits, 1)
        clean = self.rules.scrubber.clean(body, hits)
        close = b"Connection: close\r\n" if self.session.closing else b""
        self.down = len(body)
        if self.rules.policy.log == "full":
            self._kept_down = clean[:KEPT]
        self.session.leg.write(b"%b%bContent-Length: %d\r\n\r\n%b" % (planned.start, close, len(clean), clean))
        self._done(planned.close, hits)

    def _opened(self, planned: Plan, rest: bytes) -> None:
        """The body follows, or there is none."""
        session = self.session
        self._body = body = Body(self.rules, planned)
        if not self._uploaded:
            session.closing = True
        framed, closes = body.open(planned, rest, session.minor)
        if closes:
            session.closing = True
        start = planned.start + (b"Connection: close\r\n" if session.closing else b"")
        if planned.framing == 0:
            framed += b"\r\n"
        if planned.hits:
            self.flow.scrubbed(self, planned.hits)
        if planned.close and self.link is not None:
            self.link.spoiled = True
        self._pass(start + framed)

    def _interim(self, head: Head, rest: bytes) -> bytes:
        """100 goes on to an agent that waits for it; 101 opens a WebSocket that was asked for; others are dropped.

        Returns what follows and is to be read as a head. Raises Refused after `_INTERIM` of them.
        """
        if head.status == 101:
            self._switch(head, rest)
            return b""
        self._interims += 1
        if self._interims > _INTERIM:
            raise Refused("reply.interim", f"The upstream sent more than {_INTERIM} interim answers.")
        expects = self.prepared.head.get("expect") and self.session.minor
        if head.status == 100 and expects and self.yes is None:  # where it was held, we said so ourselves
            self.session.leg.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        return rest

    def _switch(self, head: Head, rest: bytes) -> None:
        """A tunnel opens only behind a 101 that proves itself (D24)."""
        opened = proof(self.prepared.head, head) if self.prepared.protocol == "websocket" else None
        if opened is None:
            raise Refused("reply.switch", "The upstream switched protocols without a proof that it speaks WebSocket.")
        self.status = 101
        self.sent = True
        self.frames = Tunnel(self)
        self.session.leg.write(opened)
        if rest:
            self.frames.down(rest)
        self.session.tunnel(self.frames)

    def _pass(self, data: bytes) -> None:
        body, leg = self._body, self.session.leg
        assert body is not None
        self.sent = True
        leg.write(data)
        if body.done:
            self.down = body.down
            self._done(bool(body.rest) or not self._uploaded, body.stream.hits if body.stream else {})
        elif leg.queued > HIGH:
            self.throttle_down()

    def _done(self, spoiled: bool, hits: dict[str, int]) -> None:
        """The answer is complete: the connection goes back to its pool, unless anything about it is unclear (P12)."""
        link, session = self.link, self.session
        if link is not None:
            self.link = link.user = None
            leg = link.leg
            if spoiled or link.spoiled or leg is None or leg.queued:
                link.close()
            else:
                if leg.paused:
                    leg.resume()
                link.pool.put(link)
        if hits:
            self.flow.scrubbed(self, tuple(hits))
        self._close_books("")
        session.next()

    def upstream_ended(self, clean: bool) -> None:
        """The upstream closed: the proper end of a close-delimited body, or a cut."""
        body, link = self._body, self.link
        if self.frames is not None:
            self._end("" if clean else "upstream.cut")
            self.session.close_tunnel()
            return
        if body is not None and body.until_close and clean:
            try:
                self._pass(body.end())
            except Refused as fault:
                self.fail(502, fault.slug, fault.what)
            return
        again = link is not None and link.reused and body is None and not self._buffer and not self._retried
        if again and self.prepared.head.method in _REPEATABLE and not self.prepared.head.framing:
            self._retried = True
            self.link = None
            self.flow.reach(self)
            return
        self.fail(502, "upstream.cut", "The upstream closed the connection before its answer was complete.")

    def throttle_down(self) -> None:
        """Stops reading the upstream while the agent does not take more."""
        if self.session.leg.queued > HIGH and self.link is not None and self.link.leg is not None:
            self.link.leg.pause()
