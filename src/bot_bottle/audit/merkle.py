"""The Merkle tree of RFC 9162 section 2.1 with SHA-256, kept as its right edge in tiles of 256 hashes. Pure.

`Edge` grows by leaf hashes and hands out each tile that became full (C2SP tlog-tiles: a hash of level L+1 is the
root of a full tile of level L); its own state is at most 255 hashes a level, so a log of any length costs a few
kilobytes. Proofs are computed from any source of subtree hashes and checked by the algorithms of the RFC.
Stops D17: a record that is edited, removed, reordered or inserted changes the root that was signed.
"""

import hashlib
from collections.abc import Callable, Sequence

WIDTH = 256
EMPTY = hashlib.sha256(b"").digest()

Tile = tuple[int, int, bytes]
"""Level, index, concatenated hashes."""
RangeHash = Callable[[int, int], bytes]
"""Root of the leaves from start (inclusive) to end (exclusive)."""

_sha256 = hashlib.sha256


def leaf_hash(entry: bytes) -> bytes:
    """RFC 9162 2.1.1: HASH(0x00 || entry)."""
    return _sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 9162 2.1.1: HASH(0x01 || left || right)."""
    return _sha256(b"\1" + left + right).digest()


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """Root over a power of two of equal subtrees."""
    level = hashes
    while len(level) > 1:
        level = [_sha256(b"\1" + level[i] + level[i + 1]).digest() for i in range(0, len(level), 2)]
    return level[0]


def split(data: bytes) -> list[bytes]:
    """The hashes of one tile."""
    return [data[i : i + 32] for i in range(0, len(data), 32)]


class Edge:
    """The right edge of a growing tree: for each level the hashes of its partial tile."""

    __slots__ = ("levels", "size")

    def __init__(self, size: int = 0, levels: Sequence[Sequence[bytes]] = ()) -> None:
        self.size = size
        self.levels: list[list[bytes]] = [list(level) for level in levels]

    def copy(self) -> "Edge":
        return Edge(self.size, self.levels)

    def extend(self, hashes: Sequence[bytes]) -> list[Tile]:
        """Appends leaf hashes; the tiles that became full, lowest level first where one completes another."""
        full: list[Tile] = []
        at = 0
        while at < len(hashes):
            room = WIDTH - (self.size % WIDTH)
            part = hashes[at : at + room]
            self._level(0).extend(part)
            self.size += len(part)
            at += len(part)
            self._carry(full)
        return full

    def _level(self, level: int) -> list[bytes]:
        while len(self.levels) <= level:
            self.levels.append([])
        return self.levels[level]

    def _carry(self, full: list[Tile]) -> None:
        level = 0
        while len(hashes := self._level(level)) == WIDTH:
            full.append((level, self.size // WIDTH ** (level + 1) - 1, b"".join(hashes)))
            self._level(level + 1).append(perfect_root(hashes))
            hashes.clear()
            level += 1

    def partial(self) -> list[Tile]:
        """The partial tiles of this size, none of them empty."""
        return [
            (level, self.size // WIDTH ** (level + 1), b"".join(hashes))
            for level, hashes in enumerate(self.levels)
            if hashes
        ]

    def root(self) -> bytes:
        """Merkle tree hash of everything so far (RFC 9162 2.1.1)."""
        peaks: list[bytes] = []
        for hashes in reversed(self.levels):
            at = 0
            for bit in (128, 64, 32, 16, 8, 4, 2, 1):
                if len(hashes) & bit:
                    peaks.append(perfect_root(hashes[at : at + bit]))
                    at += bit
        if not peaks:
            return EMPTY
        root = peaks.pop()
        while peaks:
            root = node_hash(peaks.pop(), root)
        return root


def range_root(hashes: Sequence[bytes]) -> RangeHash:
    """A source of subtree hashes over leaf hashes in memory, by the recursive definition."""

    def root(start: int, end: int) -> bytes:
        if end - start == 1:
            return hashes[start]
        middle = start + _split_point(end - start)
        return node_hash(root(start, middle), root(middle, end))

    return root


def _split_point(size: int) -> int:
    """The largest power of two smaller than size."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion(index: int, size: int, source: RangeHash) -> list[bytes]:
    """RFC 9162 2.1.3.1: the audit path of leaf `index` in the tree of `size` leaves, lowest first."""
    if not 0 <= index < size:
        raise ValueError("the record is not in a tree of this size")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split_point(end - start)
        if index < middle:
            path.append(source(middle, end))
            end = middle
        else:
            path.append(source(start, middle))
            start = middle
    path.reverse()
    return path


def consistency(old: int, new: int, source: RangeHash) -> list[bytes]:
    """RFC 9162 2.1.4.1: the proof that the tree of `old` leaves is a prefix of the tree of `new` leaves."""
    if not 0 < old <= new:
        raise ValueError("a consistency proof needs 0 < old <= new")
    path: list[bytes] = []
    start, end, whole = 0, new, True
    while old != end:
        middle = start + _split_point(end - start)
        if old <= middle:
            path.append(source(middle, end))
            end = middle
        else:
            path.append(source(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(source(start, end))
    path.reverse()
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162 2.1.3.2."""
    if not 0 <= index < size:
        return False
    position, last, hashed = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            hashed = node_hash(sibling, hashed)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            hashed = node_hash(hashed, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and hashed == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """RFC 9162 2.1.4.2; sizes 0 and equal sizes are decided without a proof."""
    if not 0 <= old <= new:
        return False
    if old == new or old == 0:
        return not proof and (old_root == new_root if old == new else old_root == EMPTY)
    path = list(proof)
    if old & (old - 1) == 0:
        path.insert(0, old_root)
    if not path:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    return _fold_consistency(position, last, path) == (old_root, new_root)


def _fold_consistency(position: int, last: int, path: list[bytes]) -> tuple[bytes, bytes] | None:
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        position, last = position >> 1, last >> 1
    return (first, second) if last == 0 else None
