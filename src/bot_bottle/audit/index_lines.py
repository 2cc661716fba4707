"""Reads single lines out of the logs, as the index names them: a page of them in some milliseconds."""

import os
from collections import OrderedDict
from collections.abc import Callable

from bot_bottle.audit import journal
from bot_bottle.audit.merkle import WIDTH
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.tiles import Tiles

_KEPT = 48
_PIECE = 1 << 20


class Lines:
    """directory: of a run, by its name. places: where in a segment to begin."""

    def __init__(self, directory: Callable[[str], str], places: Callable[[str, int, int], tuple[int, int]]) -> None:
        self._directory = directory
        self._places = places
        self._bundles: OrderedDict[tuple[str, int], list[bytes]] = OrderedDict()

    def line(self, run: str, number: int) -> bytes | None:
        """The line, or None where the log has none of this number any more."""
        index, offset = divmod(number, WIDTH)
        bundle = self._bundles.get((run, index))
        if bundle is None or offset >= len(bundle) or not bundle[offset]:  # the log may have grown since it was read
            bundle = self._read(run, index, number)
        else:
            self._bundles.move_to_end((run, index))
        return bundle[offset] if offset < len(bundle) and bundle[offset] else None

    def _read(self, run: str, index: int, number: int) -> list[bytes]:
        """The lines of one bundle's numbers, from the bundle or from the journal; empty bytes where none is."""
        directory = self._directory(run)
        found = Tiles(directory).bundle(index)
        if found is None:
            found = self._journal(run, directory, index * WIDTH, number)
        self._bundles[run, index] = found
        if len(self._bundles) > _KEPT:
            self._bundles.popitem(last=False)
        return found

    def _journal(self, run: str, directory: str, first: int, number: int) -> list[bytes]:
        """Numbers first to first + 255 as far as they stand in the segments, or in a partial bundle."""
        lines = [b""] * WIDTH
        starts = [(start, path) for start, path in journal.segments(directory) if 0 <= start <= number]
        if starts:
            start, path = starts[-1]
            at, offset = self._places(run, start, max(first, start))
            self._fill(lines, first, at, path, offset)
        if not lines[number - first]:
            for begin, batch in LogReader(directory, first).batches():
                for at, line in enumerate(batch, begin):
                    if first <= at < first + WIDTH:
                        lines[at - first] = line
                if begin + len(batch) > number:
                    break
        return lines

    def _fill(self, lines: list[bytes], first: int, at: int, path: str, offset: int) -> None:
        rest = b""
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        try:
            while at < first + WIDTH and (piece := os.pread(file, _PIECE, offset + len(rest))):
                data = rest + piece
                found, rest = journal.leaves(data)
                offset += len(data) - len(rest)
                for line in found:
                    if first <= at < first + WIDTH:
                        lines[at - first] = line
                    at += 1
        finally:
            os.close(file)
