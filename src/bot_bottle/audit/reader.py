"""Reads the records of a log in order, from bundles and journal, without a key: proves nothing (see verify)."""

import os
import re
from collections.abc import Generator

from bot_bottle.audit import files, journal
from bot_bottle.audit.merkle import WIDTH
from bot_bottle.audit.tiles import Tiles, bundle_path

Batch = tuple[int, list[bytes]]
"""Number of the first record, and the lines."""

_PURGED = re.compile(rb"purged (\d{1,18})\n")


class LogReader:
    """A position in one log. `batches` may be called again later for what was appended since (``tail -f``).

    torn: the bytes after the last whole line, seen by the last call. Numbers jump where records are missing.
    """

    def __init__(self, directory: str, start: int = 0) -> None:
        self.directory = directory
        self.position = max(start, purged_hint(directory))
        self.torn = b""
        self._tiles = Tiles(directory)
        self._read = ("", 0, 0)  # segment, byte up to which it was read, number of the leaf there

    @property
    def place(self) -> tuple[str, int, int]:
        """Path of the segment that was read last, the byte up to which it was read, the number of the leaf there."""
        return self._read

    def batches(self) -> Generator[Batch]:
        """All that is there now. A segment that becomes bundles meanwhile is read there."""
        before = -1
        while before != self.position:
            before = self.position
            yield from self._bundles()
            yield from self._journal()

    def _bundles(self) -> Generator[Batch]:
        while True:
            index, offset = divmod(self.position, WIDTH)
            width = WIDTH if self._has(index, WIDTH) else self._partial_width(index)
            entries = self._tiles.bundle(index, width) if width > offset else None
            if entries is None:
                return
            start, self.position = self.position, index * WIDTH + width
            yield start, entries[offset:]

    def _has(self, index: int, width: int) -> bool:
        return os.path.exists(os.path.join(self.directory, bundle_path(index, width)))

    def _partial_width(self, index: int) -> int:
        try:
            names = os.listdir(os.path.join(self.directory, bundle_path(index) + ".p"))
        except FileNotFoundError:
            return 0
        return max((int(name) for name in names if name.isdigit() and len(name) < 4), default=0)

    def _advance(self, start: int, entries: list[bytes]) -> Batch:
        self.position = start + len(entries)
        return start, entries

    def _journal(self) -> Generator[Batch]:
        found = journal.segments(self.directory)
        self.torn = b""
        for number, (start, path) in enumerate(found):
            last = number == len(found) - 1 or not _has_bytes(found[number + 1][1])
            if start > self.position and self._covered(start):
                return
            yield from self._segment(path, self.position if start < 0 else start, last)

    def _covered(self, start: int) -> bool:
        """The gap before a segment has just been filled with bundles: read those first."""
        return self.position // WIDTH < start // WIDTH and self._has(self.position // WIDTH, WIDTH)

    def _segment(self, path: str, at: int, last: bool) -> Generator[Batch]:
        rest, offset = b"", 0
        if self._read[0] == path and not path.endswith("/next") and at <= self._read[2] <= self.position:
            _, offset, at = self._read
        for piece in journal.pieces(path, offset):
            data = rest + piece
            found, rest = journal.leaves(data)
            offset += len(data) - len(rest)
            self._read = (path, offset, at + len(found))
            skipped = min(max(0, self.position - at), len(found))
            at += skipped
            if found[skipped:]:
                batch = self._advance(at, found[skipped:])
                at = self.position
                yield batch
        if last:
            self.torn = rest
        elif rest and at >= self.position:
            yield self._advance(at, [rest])


def purged_hint(directory: str) -> int:
    """How many records at the beginning the purge note says were dropped; `verify` checks its signature."""
    found = _PURGED.search(files.read(os.path.join(directory, "purged")) or b"")
    return int(found[1]) if found else 0


def _has_bytes(path: str) -> bool:
    try:
        return os.path.getsize(path) > 0
    except OSError:
        return False
