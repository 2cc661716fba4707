"""A secret that a server-sent event stream spells out piece by piece, one `data:` line after the other (facts/dlp 4).

A model that streams token by token sends ``{"text": "sk-a"}``, then ``{"text": "nt-"}``: no line holds the secret,
their values in a row do. So the string values of one JSON key are joined over the lines of the stream. A client acts
on whole lines only, so lines are passed whole; once `_LIVE` characters of a secret stand in a row, the lines wait
until the next one shows what they are, and are rewritten when it was the secret. What is promised is one key's values
in a row; pieces that a server mixes with others under the same key are not seen.
"""

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bot_bottle.inspect.scrub import Scrubber

_STARTS = (b"data:", b"event:", b"id:", b"retry:", b":")
_BLANK = b"\xef\xbb\xbf\r\n"
_FIRST = frozenset((b"", *(bytes((byte,)) for byte in (*_BLANK, *(start[0] for start in _STARTS)))))
_LIVE = 16
_LINE = 65536
_KEYS = 64
_SHORT = 7
"""So many characters of a value may begin a needle without being one of its heads (see scrub)."""
_VALUE = re.compile(rb'"(?!type")([A-Za-z_]{1,32})"\s*:\s*"((?:[^"\\]|\\.)*)"')


@dataclass(slots=True)
class _Value:
    """One string of a line. keep: how many of its own bytes come before the live part."""

    key: bytes
    start: int
    end: int
    text: bytes
    keep: int


@dataclass(slots=True)
class _Line:
    raw: bytes
    values: list[_Value] = field(default_factory=list[_Value])


def begins_events(head: bytes) -> bool | None:
    """Whether a body that begins so is an event stream; None: too short to say."""
    if head[:1] not in _FIRST:
        return False
    line = head.lstrip(_BLANK)
    if line.startswith(_STARTS):
        return True
    return None if len(head) < 64 and any(start.startswith(line) for start in _STARTS) else False


class EventJoiner:
    """Lines of one stream in, lines out. hits: counted by secret name, shared with the stream that feeds it."""

    def __init__(self, scrubber: "Scrubber", hits: dict[str, int]) -> None:
        self._scrubber = scrubber
        self._quick = scrubber.quick or scrubber.may_hold
        self._hits = hits
        self._rest = b""
        self._tails: dict[bytes, bytes] = {}
        self._live: set[bytes] = set()
        self._held: list[_Line] = []

    def feed(self, data: bytes) -> bytes:
        """The lines that may go. An unfinished line waits; one over 64 KB is passed as it is."""
        lines = (self._rest + data).splitlines(keepends=True)
        self._rest = lines.pop() if lines and not lines[-1].endswith((b"\n", b"\r")) else b""
        out = [self._line(line) for line in lines]
        if len(self._rest) > _LINE:
            out += [self._release(), self._rest]
            self._rest = b""
        return b"".join(out)

    def finish(self) -> bytes:
        """What waits at the end of the stream."""
        last, self._rest = self._rest, b""
        return (self._line(last) if last else b"") + self._release()

    def _line(self, raw: bytes) -> bytes:
        if not raw.startswith(b"data:"):
            return self._passed(_Line(raw)) if self._held else raw
        line, out, tails = _Line(raw), b"", self._tails
        for found in _VALUE.finditer(raw):
            key, own = found.groups()
            if b"\\" in own:
                own = _unescaped(own)
            before = tails.get(key, b"")
            if self._quick(before + own):
                tail, live, ended = self._joined(line, found, before, own)
            else:
                tail, live, ended = (before + own)[-_SHORT:], False, key in self._live
            if ended:
                out += self._release()
            self._remember(key, tail, live)
        return out + (self._passed(line) if self._held or self._live else line.raw)

    def _remember(self, key: bytes, tail: bytes, live: bool) -> None:
        """The end of what this key said; of so many keys only, for a server chooses them."""
        if len(self._tails) >= _KEYS and key not in self._tails:
            self._tails.clear()
            self._live.clear()
        self._tails[key] = tail
        if live:
            self._live.add(key)
        else:
            self._live.discard(key)

    def _joined(self, line: _Line, found: re.Match[bytes], before: bytes, own: bytes) -> tuple[bytes, bool, bool]:
        """Tail of this key; whether it must be awaited; whether what waited before it has come to an end."""
        text = before + own
        spans = self._scrubber.spans(text)
        if spans:
            tail = self._replaced(line, found, before, own, spans[0][0])
            return tail, len(tail) >= _LIVE, True
        at = self._scrubber.live(text)
        moved = len(line.raw) - len(found.string)
        kept = max(0, at - len(before))
        line.values.append(_Value(found[1], found.start(2) + moved, found.end(2) + moved, own, kept))
        live = len(text) - at >= _LIVE
        return text[min(at, max(0, len(text) - _SHORT)) :], live, found[1] in self._live and at > 0

    def _replaced(self, line: _Line, found: re.Match[bytes], before: bytes, own: bytes, start: int) -> bytes:
        """Takes the secret that begins at `start` of before + own out of all its lines; the live tail behind it."""
        for waiting in (*self._held, line):
            for value in waiting.values:
                if value.key == found[1]:
                    _write(waiting, value, value.text[: value.keep])
        text = (before + own)[start:]
        stream = self._scrubber.stream()
        clean = stream.feed(text)
        tail = text[len(text) - stream.held :]
        for name, count in stream.hits.items():
            self._hits[name] = self._hits.get(name, 0) + count
        moved = len(line.raw) - len(found.string)
        value = _Value(found[1], found.start(2) + moved, found.end(2) + moved, b"", 0)
        clean = own[: max(0, start - len(before))] + clean
        _write(line, value, clean + tail)
        first = value.start + len(_escaped(clean))
        line.values = [_Value(found[1], first, value.end, tail, 0)]
        return tail

    def _passed(self, line: _Line) -> bytes:
        if self._live and sum(len(held.raw) for held in self._held) < _LINE:
            self._held.append(line)
            return b""
        return self._release() + line.raw

    def _release(self) -> bytes:
        held, self._held = self._held, []
        return b"".join(line.raw for line in held)


def _write(line: _Line, value: _Value, text: bytes) -> None:
    """Puts this text in the value's place; the line's later values move."""
    written = _escaped(text)
    moved = len(written) - (value.end - value.start)
    line.raw = line.raw[: value.start] + written + line.raw[value.end :]
    for other in line.values:
        if other.start > value.start:
            other.start += moved
            other.end += moved
    value.text, value.end = text, value.start + len(written)


def _escaped(text: bytes) -> bytes:
    return json.dumps(text.decode("utf-8", "replace"), ensure_ascii=False)[1:-1].encode()


def _unescaped(value: bytes) -> bytes:
    """The text of a JSON string's content; as it stands where that is none."""
    if b"\\" not in value:
        return value
    try:
        return str(json.loads(b'"' + value + b'"')).encode("utf-8", "surrogatepass")
    except ValueError:
        return value
