"""Takes every known secret out of a reply, at every chunking, in every form (B38, D12, facts/dlp 4).

Two looks at each chunk. The quick one searches for the first bytes of all needles, few and short enough for the
vector search of the automaton's library, at some GB/s, and says of almost every chunk that nothing is there; then the
chunk passes untouched, the same object. The slow one places the matches. Held back is only the longest suffix that
some needle starts with, never a fixed window: an SSE event passes at once. Overlapping secrets are covered together,
so that neither shows its tail. What is shorter than a whole needle is never masked: a window is an oracle (D02).
"""

from collections.abc import Callable, Iterable

from ahocorasick_rs import BytesAhoCorasick, Implementation, MatchKind

from bot_bottle.inspect.events import EventJoiner, begins_events
from bot_bottle.inspect.needles import Needle

_HEADS = range(8, 3, -1)
"""Lengths of a head, the best first: a longer one is rarer in ordinary text."""
_VECTOR = 64
"""So many patterns the library searches with vector instructions (Teddy); more would be fifteen times slower."""
_ALNUM = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")
Span = tuple[int, int, Needle]


class Scrubber:
    """Compiled once for all secrets that a gateway holds; shared by its streams. Without needles: does nothing.

    quick: finds needles' first bytes, None without needles; ends: by byte, whether a short prefix may end with it.
    longest: bytes of the longest needle, which bounds what a stream holds back.
    """

    def __init__(self, needles: Iterable[Needle] = ()) -> None:
        first: dict[bytes, Needle] = {}
        for needle in needles:
            first.setdefault(needle.find, needle)
        ordered = sorted(first.values(), key=lambda needle: -len(needle.find))
        size = _head_size([needle.find for needle in ordered])
        self._by_head: dict[bytes, list[Needle]] = {}
        for needle in ordered:
            self._by_head.setdefault(needle.find[:size], []).append(needle)
        self._size = size
        heads = sorted(self._by_head)
        self._heads = BytesAhoCorasick(heads, implementation=Implementation.DFA) if heads else None
        self._short = frozenset(head[:count] for head in heads for count in range(1, size))
        self.quick = _quick(heads)
        self.ends = bytes(any(start[-1] == byte for start in self._short) for byte in range(256))
        self.longest = len(ordered[0].find) if ordered else 0

    def __bool__(self) -> bool:
        return self.quick is not None

    def stream(self) -> "ScrubStream":
        """A scrubber for one body."""
        return ScrubStream(self)

    def clean(self, data: bytes, hits: dict[str, int] | None = None) -> bytes:
        """A whole value without secrets; the same object when there is none. hits: counted by secret name."""
        if self.quick is None or not (self.quick(data) or begins_events(data)):
            return data
        stream = ScrubStream(self)
        out = stream.feed(data) + stream.finish()
        if hits is not None:
            for name, count in stream.hits.items():
                hits[name] = hits.get(name, 0) + count
        return out if stream.hits else data

    def contains_secret(self, data: bytes) -> str | None:
        """The name of a secret that stands in this value in any form, or None (B43)."""
        if self.quick is None or not self.quick(data):
            return None
        return next((needle.secret for _, _, needle in self.spans(data)), None)

    def may_hold(self, data: bytes) -> bool:
        """True when a needle may start inside `data`: its first bytes are there."""
        return self.quick is not None and bool(self.quick(data))

    def short_suffix(self, data: bytes) -> int:
        """Length of the longest suffix, shorter than a head, that a needle starts with."""
        if not self.ends[data[-1]]:
            return 0
        for size in range(min(self._size - 1, len(data)), 0, -1):
            if data[-size:] in self._short:
                return size
        return 0

    def spans(self, data: bytes) -> list[Span]:
        """All matches, also overlapping ones: (start, end, needle), by start, the longest first."""
        return [
            (start, start + len(needle.find), needle)
            for start, candidates in self._starts(data)
            for needle in candidates
            if data.startswith(needle.find, start)
        ]

    def live(self, data: bytes) -> int:
        """Where the longest suffix starts that is the beginning of a longer needle; len(data) where there is none."""
        first = len(data) - self.longest + 1
        for start, candidates in self._starts(data):
            if start >= first:
                rest = data[start:]
                if any(len(needle.find) > len(rest) and needle.find.startswith(rest) for needle in candidates):
                    return start
        return len(data) - self.short_suffix(data)

    def _starts(self, data: bytes) -> Iterable[tuple[int, list[Needle]]]:
        """Each place where needles may start, in order, with those needles."""
        if self._heads is None:
            return
        for _, start, end in self._heads.find_matches_as_indexes(data, overlapping=True):
            yield start, self._by_head[data[start:end]]


def _head_size(finds: list[bytes]) -> int:
    """The longest head with which all needles fit one vector search; 8 where none does."""
    return next((size for size in _HEADS if len({find[:size] for find in finds}) <= _VECTOR), _HEADS[0])


def _quick(heads: list[bytes]) -> Callable[[bytes], object] | None:
    """Truth: one of the heads stands in the data. Only the leftmost kinds are searched with vectors."""
    groups = [heads[at : at + _VECTOR] for at in range(0, len(heads), _VECTOR)]
    finds = [
        BytesAhoCorasick(group, MatchKind.LeftmostFirst, Implementation.DFA).find_matches_as_indexes
        for group in groups
    ]
    if len(finds) < 2:
        return finds[0] if finds else None
    return lambda data: any(find(data) for find in finds)


class ScrubStream:
    """One body on its way. `hits` counts replacements by secret name; D02 freezes on them."""

    __slots__ = ("_covered", "_ends", "_events", "_head", "_held", "_quick", "_scrubber", "hits")

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._quick = scrubber.quick
        self._ends = scrubber.ends
        self._held = b""
        self._covered = 0
        self._head: bytes | None = b""
        self._events: EventJoiner | None = None
        self.hits: dict[str, int] = {}

    @property
    def held(self) -> int:
        """Bytes that wait for what follows."""
        return len(self._held) + len(self._head or b"")

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes in; those out that no secret can start in. The same object when nothing is there."""
        if self._head is not None:
            chunk = self._begun(chunk)
        if self._events is not None:
            return self._events.feed(self._bytes(chunk))
        return self._bytes(chunk)

    def finish(self) -> bytes:
        """The bytes that were held at the end of the body."""
        if self._head:
            self._held, self._head = self._head, None
        data, self._held = self._held, b""
        if data and self._scrubber:
            data = self._replace(data, final=True)
        if self._events is not None:
            data = self._events.feed(data) + self._events.finish()
        return data

    def _begun(self, chunk: bytes) -> bytes:
        """The first bytes, once they tell whether lines must be joined; at most 64 wait for that."""
        head = self._head + chunk if self._head else chunk
        events = begins_events(head) if self._quick is not None else False
        if events is None:
            self._head = head
            return b""
        self._head = None
        self._events = EventJoiner(self._scrubber, self.hits) if events else None
        return head

    def _bytes(self, chunk: bytes) -> bytes:
        data = self._held + chunk if self._held else chunk
        if self._quick is None or not data:
            return data
        if self._covered or self._quick(data):
            return self._replace(data, final=False)
        keep = self._scrubber.short_suffix(data) if self._ends[data[-1]] else 0
        if not keep:
            self._held = b""
            return data
        self._held = data[-keep:]
        return data[:-keep]

    def _replace(self, data: bytes, final: bool) -> bytes:
        spans = self._scrubber.spans(data)
        stop = len(data) if final else self._stop(data, spans)
        out: list[bytes] = []
        done = self._covered
        for start, end, needle in spans:
            if start >= stop:
                break
            if start >= done:
                out += _swap(data, done, start, end, needle)
                done = end + _mended(data, end, needle)
                self.hits[needle.secret] = self.hits.get(needle.secret, 0) + 1
            done = max(done, end)
        out.append(data[done:stop])
        self._held = data[stop:]
        self._covered = max(0, done - stop)
        return b"".join(out)

    def _stop(self, data: bytes, spans: list[Span]) -> int:
        """Up to where the bytes may go: before a live prefix, with the base64 neighbour of either side."""
        stop = self._scrubber.live(data)
        for start, end, needle in spans:
            if end == len(data) and needle.after:
                stop = min(stop, start)
        if self._covered < stop < len(data) and data[stop - 1] in _ALNUM:
            stop -= 1
        return stop


def _swap(data: bytes, done: int, start: int, end: int, needle: Needle) -> list[bytes]:
    """What stands before the match, the replacement, and the mended base64 neighbours."""
    lead = needle.before.mend(data[start - 1]) if needle.before and start > done else None
    tail = needle.after.mend(data[end]) if needle.after and end < len(data) else None
    before = [data[done:start]] if lead is None else [data[done : start - 1], bytes((lead,))]
    return [*before, needle.put, *([] if tail is None else [bytes((tail,))])]


def _mended(data: bytes, end: int, needle: Needle) -> int:
    """1 when the character after the match was part of the replacement."""
    return int(needle.after is not None and end < len(data) and needle.after.mend(data[end]) is not None)
