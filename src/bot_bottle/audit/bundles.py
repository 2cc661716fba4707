"""Moves the lines of final segments into entry bundles, and deletes a segment only when that is certain."""

import hashlib
import os
from collections import deque
from dataclasses import dataclass

from bot_bottle.audit import journal
from bot_bottle.audit.merkle import WIDTH
from bot_bottle.audit.tiles import Tiles


@dataclass(frozen=True, slots=True)
class Final:
    """A segment that nobody writes any more. start, end: record numbers. digest: SHA-256 of what was read of it."""

    path: str
    start: int
    end: int
    digest: bytes


class Bundler:
    """Bundles whole groups of 256 records; the rest of the last segment waits for its group."""

    def __init__(self, tiles: Tiles, start: int) -> None:
        self._tiles = tiles
        self._waiting: deque[Final] = deque()
        self._bundled: list[Final] = []
        self._done = -(-start // WIDTH)
        self._skip = self._done * WIDTH - start
        self._rest: list[bytes] = []

    def add(self, final: Final) -> None:
        self._waiting.append(final)

    def run(self, signed: int, *, whole: bool = False) -> None:
        """Everything below the signed size. whole: the rest too, as a partial bundle (the log is closed)."""
        while self._waiting and self._waiting[0].end <= signed:
            self._segment(self._waiting[0])
            self._bundled.append(self._waiting.popleft())
        if whole and self._rest:
            self._tiles.write_bundle(self._done, self._rest)
        finished = [final for final in self._bundled if whole or final.end <= self._done * WIDTH]
        if finished:
            self._tiles.sync()
            for final in finished:
                os.unlink(final.path)
                self._bundled.remove(final)

    def _segment(self, final: Final) -> None:
        before = (self._done, self._skip, list(self._rest))
        try:
            digest, rest = hashlib.sha256(), b""
            for data in journal.pieces(final.path):
                digest.update(data)
                found, rest = journal.leaves(rest + data)
                self._add(found)
            self._add([rest] if rest else [])
            if digest.digest() != final.digest:
                raise journal.changed(final.path)
        except BaseException:
            self._done, self._skip, self._rest = before
            raise

    def _add(self, found: list[bytes]) -> None:
        if self._skip:
            skipped = min(self._skip, len(found))
            self._skip -= skipped
            found = found[skipped:]
        rest = self._rest + found
        whole = len(rest) // WIDTH * WIDTH
        for at in range(0, whole, WIDTH):
            self._tiles.write_bundle(self._done, rest[at : at + WIDTH])
            self._done += 1
        self._rest = rest[whole:]
