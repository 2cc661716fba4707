"""C2SP tlog-tiles on disk: hash tiles at ``tile/<L>/<N>``, records in bundles at ``tile/entries/<N>``.

Hashes and records lie apart, so that a purge can drop bundles and everything that remains still verifies; a
purge is a signed note, so that a bundle that merely vanished is not taken for one (D17). A partial tile is
``<N>.p/<W>``; only those of the newest checkpoint are kept.
"""

import contextlib
import os
from collections.abc import Iterable, Sequence

from bot_bottle.audit import files
from bot_bottle.audit.merkle import WIDTH, Edge, Tile, node_hash, perfect_root, split
from bot_bottle.base.errors import AuditFault

MANY_FILES = 48


def number(index: int) -> str:
    """``x001/x234/067``: groups of three digits, all but the last with an x."""
    text = str(index)
    text = text.zfill(len(text) + -len(text) % 3)
    groups = [text[i : i + 3] for i in range(0, len(text), 3)]
    return "/".join([*("x" + group for group in groups[:-1]), groups[-1]])


def tile_path(level: int, index: int, width: int = WIDTH) -> str:
    """Path of a hash tile below the log's directory."""
    return f"tile/{level}/{number(index)}" + ("" if width == WIDTH else f".p/{width}")


def bundle_path(index: int, width: int = WIDTH) -> str:
    """Path of an entry bundle below the log's directory."""
    return f"tile/entries/{number(index)}" + ("" if width == WIDTH else f".p/{width}")


def pack(entries: Iterable[bytes]) -> bytes:
    """A bundle: each entry after its length, two bytes, big-endian."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unpack(data: bytes) -> list[bytes]:
    """The entries of a bundle. Of one that is cut or damaged, what is left comes as a last entry: no hash fits it."""
    entries: list[bytes] = []
    at = 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        whole = at + 2 <= len(data) and end <= len(data)
        entries.append(data[at + 2 : end] if whole else data[at:])
        at = end if whole else len(data)
    return entries


class Tiles:
    """The tile files of one log. partial: paths of the partial tiles of the newest checkpoint."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.partial: list[str] = []
        self._unsynced: set[str] = set()

    def write_full(self, tiles: Sequence[Tile]) -> None:
        """Full tiles never change; they are derived from records that are still in the journal, so no fsync here."""
        for level, index, data in tiles:
            self._write(tile_path(level, index), data)

    def write_partial(self, tiles: Sequence[Tile]) -> list[str]:
        """The right edge of the checkpoint about to be signed; returns the paths that it makes obsolete."""
        paths = [tile_path(level, index, len(data) // 32) for level, index, data in tiles]
        for path, (_, _, data) in zip(paths, tiles, strict=True):
            self._write(path, data)
        obsolete = [path for path in self.partial if path not in paths]
        self.partial = paths
        return obsolete

    def write_bundle(self, index: int, entries: Sequence[bytes]) -> None:
        self._write(bundle_path(index, len(entries)), pack(entries))

    def remove(self, paths: Iterable[str]) -> None:
        """Partial tiles that no checkpoint names any more."""
        for path in paths:
            with contextlib.suppress(OSError):
                os.unlink(os.path.join(self.directory, path))
                self._unsynced.discard(os.path.join(self.directory, path))
                os.rmdir(os.path.dirname(os.path.join(self.directory, path)))

    def _write(self, path: str, data: bytes) -> None:
        whole = os.path.join(self.directory, path)
        try:
            files.replace(whole, data, sync=False)
        except FileNotFoundError:
            os.makedirs(os.path.dirname(whole), mode=0o700, exist_ok=True)
            files.replace(whole, data, sync=False)
        self._unsynced.add(whole)

    def sync(self) -> None:
        """Everything written so far is on the disk: file by file when they are few, else by one syncfs(2)."""
        folders = {os.path.dirname(path) for path in self._unsynced}
        if len(self._unsynced) > MANY_FILES:
            files.sync_filesystem(self.directory)
        else:
            for path in self._unsynced:
                files.sync_file(path)
            for folder in folders | {os.path.dirname(folder) for folder in folders} | {self.directory}:
                files.sync_directory(folder)
        self._unsynced.clear()

    def current(self, size: int) -> None:
        """The partial tiles now on disk are those of this size (another keeper wrote them)."""
        widths = [(level, size // WIDTH**level) for level in range(8)]
        self.partial = [tile_path(level, width // WIDTH, width % WIDTH) for level, width in widths if width % WIDTH]

    def read(self, level: int, index: int, width: int = WIDTH) -> list[bytes] | None:
        """The hashes of a tile, or None where it is absent or has another length."""
        data = files.read(os.path.join(self.directory, tile_path(level, index, width)))
        return split(data) if data is not None and len(data) == 32 * width else None

    def bundle(self, index: int, width: int = WIDTH) -> list[bytes] | None:
        """The entries of a bundle as they are in the file, or None where it is absent."""
        data = files.read(os.path.join(self.directory, bundle_path(index, width)))
        return None if data is None else unpack(data)

    def edge(self, size: int) -> Edge | None:
        """The right edge of the tree of `size` leaves, from its few rightmost tiles; None where one is missing."""
        levels: list[list[bytes]] = []
        level, width = 0, size
        while width:
            hashes = self.leaves(level, width // WIDTH, width % WIDTH) if width % WIDTH else []
            if hashes is None:
                return None
            levels.append(hashes)
            level, width = level + 1, width // WIDTH
        return Edge(size, levels)

    def leaves(self, level: int, index: int, width: int) -> list[bytes] | None:
        """The first `width` hashes of a tile: from it, from a wider partial one, or from the full tiles below it."""
        for candidate in (width, *self._wider(level, index, width)):
            if found := self.read(level, index, candidate):
                return found[:width]
        return self._from_below(level, index, width) if level else None

    def _wider(self, level: int, index: int, width: int) -> list[int]:
        try:
            names = os.listdir(os.path.join(self.directory, tile_path(level, index) + ".p"))
        except (FileNotFoundError, NotADirectoryError):
            names = []
        return [WIDTH, *sorted(int(name) for name in names if name.isdigit() and width < int(name[:4]) < WIDTH)]

    def _from_below(self, level: int, index: int, width: int) -> list[bytes] | None:
        below = [self.leaves(level - 1, index * WIDTH + child, WIDTH) for child in range(width)]
        return [perfect_root(hashes) for hashes in below if hashes] if all(below) else None


class TileSource:
    """Subtree hashes of the tree of `size` leaves, from tiles, for proofs. Raises AuditFault when one is gone."""

    def __init__(self, tiles: Tiles, size: int) -> None:
        self._tiles = tiles
        self._size = size
        self._cache: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, start: int, end: int) -> bytes:
        span = end - start
        if span & (span - 1) == 0 and start % span == 0:
            return self._perfect(start, span)
        half = 1 << ((span - 1).bit_length() - 1)
        return node_hash(self(start, start + half), self(start + half, end))

    def _perfect(self, start: int, span: int) -> bytes:
        level = (span.bit_length() - 1) // 8
        first, count = start // WIDTH**level, span // WIDTH**level
        return perfect_root(self._tile(level, first // WIDTH)[first % WIDTH : first % WIDTH + count])

    def _tile(self, level: int, index: int) -> list[bytes]:
        if (level, index) not in self._cache:
            width = min(WIDTH, self._size // WIDTH**level - index * WIDTH)
            found = self._tiles.leaves(level, index, width)
            if found is None:
                raise AuditFault(
                    "audit.tile-missing",
                    f"{tile_path(level, index)} of the log is missing.",
                    "Run `bot-bottle log verify`.",
                )
            self._cache[level, index] = found
        return self._cache[level, index]
