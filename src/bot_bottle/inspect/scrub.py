"""Takes every known secret out of a reply, at every chunking, in every form (B38, D12, facts/dlp 4).

Two automata over the same needles. The small one knows only their first bytes, lives in the cache and says of almost
every chunk that nothing is there; then the chunk passes untouched, the same object. The large one places the matches.
Held back is only the longest suffix that some needle starts with, never a fixed window: an SSE event passes at once.
Overlapping secrets are covered together, so that neither shows its tail. What is shorter than a whole needle is never
masked: a window would be an oracle (D02).
"""

from bisect import bisect_left
from collections.abc import Iterable

from ahocorasick_rs import BytesAhoCorasick, Implementation

from bot_bottle.inspect.needles import Needle

_HEAD = 8
_ALNUM = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_")


class Scrubber:
    """Compiled once for all secrets that a gateway holds; shared by its streams. Without needles: does nothing.

    quick: finds needles' first bytes, None without needles; ends: by byte, whether a short prefix may end with it.
    """

    def __init__(self, needles: Iterable[Needle] = ()) -> None:
        self._needles = sorted(needles, key=lambda needle: needle.find)
        self._finds = [needle.find for needle in self._needles]
        heads = sorted({find[:_HEAD] for find in self._finds})
        self.longest = max(map(len, self._finds), default=0)
        self._starts = frozenset(head[:size] for head in heads for size in range(1, len(head)))
        self.ends = bytes(any(start[-1] == byte for start in self._starts) for byte in range(256))
        quick = BytesAhoCorasick(heads, implementation=Implementation.DFA) if heads else None
        self.quick = quick.find_matches_as_indexes if quick else None
        self._whole = BytesAhoCorasick(self._finds) if heads else None

    def __bool__(self) -> bool:
        return bool(self._needles)

    def stream(self) -> "ScrubStream":
        """A scrubber for one body."""
        return ScrubStream(self)

    def clean(self, data: bytes, hits: dict[str, int] | None = None) -> bytes:
        """A whole value without secrets; the same object when there is none. hits: counted by secret name."""
        if self.quick is None or not self.quick(data):
            return data
        stream = ScrubStream(self)
        out = stream.feed(data) + stream.finish()
        if hits is not None:
            for name, count in stream.hits.items():
                hits[name] = hits.get(name, 0) + count
        return out if stream.hits else data

    def contains_secret(self, data: bytes) -> str | None:
        """The name of a secret that stands in this value in any form, or None (B43)."""
        if self.quick is None or self._whole is None or not self.quick(data):
            return None
        found = self._whole.find_matches_as_indexes(data)
        return self._needles[found[0][0]].secret if found else None

    def may_hold(self, data: bytes) -> bool:
        """True when a needle may start inside `data`: its first bytes are there."""
        return self.quick is not None and bool(self.quick(data))

    def short_suffix(self, data: bytes) -> int:
        """Length of the longest suffix, shorter than a head, that a needle starts with."""
        if not self.ends[data[-1]]:
            return 0
        for size in range(min(_HEAD - 1, len(data)), 0, -1):
            if data[-size:] in self._starts:
                return size
        return 0

    def spans(self, data: bytes) -> list[tuple[int, int, Needle]]:
        """All matches, also overlapping ones: (start, end, needle), by start, the longest first."""
        if self._whole is None:
            return []
        found = self._whole.find_matches_as_indexes(data, overlapping=True)
        return sorted(((s, e, self._needles[i]) for i, s, e in found), key=lambda span: (span[0], -span[1]))

    def live(self, data: bytes) -> int:
        """Where the longest suffix starts that is the beginning of a longer needle; len(data) where there is none."""
        first = len(data) - self.longest + 1
        if self.quick is not None:
            for _, start, _ in self.quick(data, overlapping=True):
                if start >= first and self._begins(data[start:]):
                    return start
        return len(data) - self.short_suffix(data)

    def _begins(self, text: bytes) -> bool:
        """Whether a needle longer than `text` starts with it."""
        at = bisect_left(self._finds, text)
        if at < len(self._finds) and self._finds[at] == text:
            at += 1
        return at < len(self._finds) and self._finds[at].startswith(text)


class ScrubStream:
    """One body on its way. `hits` counts replacements by secret name; D02 freezes on them."""

    __slots__ = ("_covered", "_ends", "_held", "_quick", "_scrubber", "hits")

    def __init__(self, scrubber: Scrubber) -> None:
        self._scrubber = scrubber
        self._quick = scrubber.quick
        self._ends = scrubber.ends
        self._held = b""
        self._covered = 0
        self.hits: dict[str, int] = {}

    @property
    def held(self) -> int:
        """Bytes that wait for what follows."""
        return len(self._held)

    def feed(self, chunk: bytes) -> bytes:
        """The next bytes in; those out that no secret can start in. The same object when nothing is there."""
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

    def finish(self) -> bytes:
        """The bytes that were held at the end of the body."""
        if not self._held:
            return b""
        data, self._held = self._held, b""
        return self._replace(data, final=True)

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

    def _stop(self, data: bytes, spans: list[tuple[int, int, Needle]]) -> int:
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
