"""Step 10: what of an upstream's answer goes to the agent, and how. Head rebuilt, body framed anew, secrets replaced.

While a secret is held an answer must be readable: an unrequested 206 or a coding that we cannot undo is refused, gzip
and deflate are undone in step (B34, D12). Trailers, `Alt-Svc`, hop-by-hop fields and the reason phrase stay here.
"""

import zlib
from http import HTTPStatus
from typing import NamedTuple

from bot_bottle.egress.rules import Rules
from bot_bottle.egress.wire.chunks import LAST, Dechunker, chunk
from bot_bottle.egress.wire.http1 import CHUNKED, Head, Malformed
from bot_bottle.inspect.scrub import ScrubStream

_HOP = frozenset(
    [
        "connection",
        "proxy-connection",
        "keep-alive",
        "te",
        "trailer",
        "upgrade",
        "proxy-authenticate",
        "proxy-authorization",
        "transfer-encoding",
        "content-length",
        "alt-svc",
        "proxy-authentication-info",
    ]
)
_PHRASES = {status.value: status.phrase.encode() for status in HTTPStatus}
_TEXT = ("text/", "application/json", "application/x-ndjson", "application/xml", "application/javascript")
KEPT = 65536
"""Bytes of each body that the level `full` records."""
_INFLATED = 33_554_432


class Refused(Exception):
    """The answer cannot be passed on. slug, what: as elsewhere."""

    def __init__(self, slug: str, what: str) -> None:
        super().__init__(what)
        self.slug = slug
        self.what = what


class Plan(NamedTuple):
    """A decided answer head. start: status line and fields, without framing. length: of the body as sent, or None.

    text: may be re-framed when scrubbed; coding: gzip or deflate to undo; hits: names of secrets found in the head.
    """

    status: int
    framing: int
    close: bool
    start: bytes
    text: bool
    coding: str
    bodiless: str | None
    hits: tuple[str, ...]


def plan(rules: Rules, head: Head) -> Plan:
    """Raises Refused."""
    guarded, coding = rules.guarded, ""
    content = (head.get("content-encoding") or "identity").lower()
    if guarded and content != "identity":
        if content not in ("gzip", "x-gzip", "deflate"):
            raise Refused("reply.coding", "The upstream answered in a coding that was not asked for.")
        coding = content if head.framing else ""
    if guarded and (head.status == 206 or head.get("content-range")):
        raise Refused("reply.partial", "The upstream answered with a part that was not asked for.")
    hits: dict[str, int] = {}
    kept = [
        (written, value)
        for (name, value), written in zip(head.fields, head.names, strict=True)
        if name not in _HOP and name not in head.dropped and not (coding and name == "content-encoding")
    ]
    lines = "".join([f"{name}: {value}\r\n" for name, value in kept]).encode("latin-1")
    if rules.scrubber.may_hold(lines):
        lines = b"".join(
            [_field(rules, name.encode("latin-1"), value.encode("latin-1"), hits) for name, value in kept]
        )
    kind = (head.get("content-type") or "").lower()
    text = kind.startswith(_TEXT) or "+json" in kind or "+xml" in kind
    start = b"HTTP/1.1 %d %b\r\n%b" % (head.status, _PHRASES.get(head.status, b"Status"), lines)
    bodiless = None if head.framing else head.get("content-length")
    return Plan(head.status, head.framing, head.close, start, text, coding, bodiless, tuple(hits))


def _field(rules: Rules, name: bytes, value: bytes, hits: dict[str, int]) -> bytes:
    """One line without secrets; a name that holds one becomes a harmless name."""
    clean = rules.scrubber.clean(value, hits)
    line = b"%b: %b\r\n" % (name, clean)
    return b"x-bot-bottle-removed: secret\r\n" if rules.scrubber.contains_secret(line) else line


class Body:
    """One answer's body on its way: framing of the upstream off, decoded, scrubbed, our framing on."""

    __slots__ = ("_chunked_out", "_debt", "_dechunk", "_inflate", "_left", "done", "down", "kept", "rest", "stream")

    def __init__(self, rules: Rules, planned: Plan) -> None:
        self.stream: ScrubStream | None = rules.scrubber.stream() if rules.guarded else None
        self._dechunk = Dechunker() if planned.framing == CHUNKED else None
        self._left = planned.framing if planned.framing >= 0 else -1
        self._inflate = _inflater(planned.coding)
        self._chunked_out = False
        self._debt = 0
        self.done = planned.framing == 0
        self.down = 0
        self.rest = b""
        self.kept: bytearray | None = bytearray() if rules.policy.log == "full" else None

    def open(self, planned: Plan, data: bytes, minor: int) -> tuple[bytes, bool]:
        """(framing fields, body bytes so far) as one text; second: the client must see the connection close."""
        payload = self.feed_raw(data)
        if planned.framing == 0:
            fields = (
                b"" if planned.bodiless is None else b"Content-Length: %b\r\n" % planned.bodiless.encode("latin-1")
            )
            if planned.bodiless is None and planned.status not in (204, 304) and planned.status >= 200:
                fields = b"Content-Length: 0\r\n"
            return fields, False
        if self.done:
            return b"Content-Length: %d\r\n\r\n%b" % (len(payload), payload), False
        if planned.framing > 0 and not self._inflate and not (self.stream and planned.text):
            self._debt = planned.framing - len(payload)
            return b"Content-Length: %d\r\n\r\n%b" % (planned.framing, payload), False
        if minor:
            self._chunked_out = True
            return b"Transfer-Encoding: chunked\r\n\r\n%b" % chunk(payload), False
        return b"\r\n" + payload, True

    def feed_raw(self, data: bytes) -> bytes:
        """Payload to pass on, before our framing; sets `done` and `rest`. Raises Malformed or Refused."""
        if self._dechunk is not None:
            data, self.rest = self._dechunk.feed(data)
            self.done = self._dechunk.done
        elif self._left >= 0:
            if len(data) > self._left:
                self.rest = data[self._left :]
                data = data[: self._left]
            self._left -= len(data)
            self.done = not self._left
        self.down += len(data)
        if self._inflate is not None:
            data = self._inflated(data)
        if self.stream is not None:
            data = self.stream.feed(data)
            if self.done:
                data += self.stream.finish()
        if self.kept is not None:
            self.kept += data[: KEPT - len(self.kept)]
        return data

    def feed(self, data: bytes) -> bytes:
        """The same with our framing; after the last byte it ends the message."""
        return self._framed(self.feed_raw(data))

    def end(self) -> bytes:
        """The upstream closed a close-delimited body properly."""
        self.done = True
        return self._framed(self.stream.finish() if self.stream is not None else b"")

    def _framed(self, data: bytes) -> bytes:
        if self._chunked_out:
            data = chunk(data)
            return data + LAST if self.done else data
        if self._debt:
            return self._fitted(data)
        return data

    def _fitted(self, data: bytes) -> bytes:
        """Keeps the promised length when a replacement was shorter; a longer one cannot be kept."""
        self._debt -= len(data)
        if self._debt < 0:
            raise Refused("reply.length", "A secret was replaced in an answer whose length was promised already.")
        if self.done and self._debt:
            data += b" " * self._debt
            self._debt = 0
        return data

    def _inflated(self, data: bytes) -> bytes:
        """What one read unpacks to; a read of 16 KB cannot unpack to more than about 17 MB (zlib's own ratio)."""
        inflate = self._inflate
        assert inflate is not None
        try:
            out = inflate.decompress(data, _INFLATED)
            if self.done:
                out += inflate.flush()
        except zlib.error:
            raise Malformed("reply.coding", "The answer's content coding is broken.") from None
        if inflate.unconsumed_tail or inflate.unused_data:
            raise Refused(
                "reply.coding", "The answer's content coding unpacks to too much, or goes on behind its end."
            )
        return out

    @property
    def until_close(self) -> bool:
        """Only the end of the connection ends this body."""
        return self._dechunk is None and self._left < 0


def _inflater(coding: str) -> "zlib._Decompress | None":  # pyright: ignore[reportPrivateUsage]
    if not coding:
        return None
    return zlib.decompressobj(47 if coding != "deflate" else 15)
