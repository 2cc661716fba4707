"""Compares the records of a log, in one pass, with its hash tiles, its signed root and remembered heads."""

from collections.abc import Sequence

import msgspec

from bot_bottle.audit.checkpoint import Checkpoint
from bot_bottle.audit.merkle import WIDTH, Edge, leaf_hash
from bot_bottle.audit.tiles import Tiles, tile_path

LOOK_AHEAD = 1024
ENDS = ("stop", "recovered")


class _Brief(msgspec.Struct):
    """The two fields of a record that decide about open intents."""

    kind: str
    request: int = 0


class Reading:
    """What the lines say: which are no records, which intents have no outcome, what the last one is."""

    def __init__(self) -> None:
        self.unreadable = 0
        self.open: set[int] = set()
        self.last_kind = ""
        self._decode = msgspec.json.Decoder(_Brief).decode

    def add(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            try:
                brief = self._decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
                self.unreadable += 1
                self.last_kind = ""
                continue
            self.last_kind = brief.kind
            if brief.kind == "intent":
                self.open.add(brief.request)
            elif brief.kind in ("outcome", "denied"):
                self.open.discard(brief.request)


class Comparison:
    """Feed it the records in order, then `finish`. Memory: a few tiles, whatever the length of the log."""

    def __init__(
        self, tiles: Tiles, head: Checkpoint, purged: int, remembered: Sequence[Checkpoint], *, ends: bool = True
    ) -> None:
        self._ends = ENDS if ends else ()
        self.problems: list[str] = []
        self.first_bad = -1
        self.unproven = 0
        self.reading = Reading()
        self._tiles = tiles
        self._head = head
        self._found = Edge()
        self._vouched: Edge | None = Edge()
        self._heads = sorted(remembered, key=lambda known: known.size)
        self._differs = -1
        self._gap = False
        self._ahead: list[bytes] = []
        self._expected: list[bytes] = []
        self._purged = purged
        self._good = 0
        self._forked: tuple[int, int] | None = None
        self._against_heads()
        self._skip_purged(purged)

    def _skip_purged(self, purged: int) -> None:
        """Purged records count by their hashes alone."""
        for index in range(-(-purged // WIDTH)):
            hashes = self._tiles.leaves(0, index, min(WIDTH, purged - index * WIDTH))
            if hashes is None:
                self.problems.append(f"{tile_path(0, index)} is missing, so the purged records cannot be proved.")
                return
            self._extend(hashes)

    def add(self, start: int, lines: list[bytes]) -> bool:
        """The next records; False when nothing more can be learned."""
        if start != self._found.size + self.unproven and self._differs < 0:
            self._gap = True
            return False
        room = max(0, self._head.size - self._found.size)
        covered = lines[:room]
        if covered and self._found.size >= self._purged:
            self._extend([leaf_hash(line) for line in covered])
            self.reading.add(covered)
        if lines[room:]:
            self._after_end(lines[room:])
        return True

    def _after_end(self, lines: list[bytes]) -> None:
        if self._head.size and self.reading.last_kind in self._ends and not self.unproven and self._differs < 0:
            self.problems.append(f"Record {self._head.size} was added after the log was sealed.")
            self.first_bad = self._head.size
        self.unproven += len(lines)
        self.reading.add(lines)

    def _extend(self, hashes: list[bytes]) -> None:
        while hashes:
            room = WIDTH - self._found.size % WIDTH
            room = min(room, self._heads[0].size - self._found.size) if self._heads else room
            part, hashes = hashes[:room], hashes[room:]
            self._against_tiles(part)
            self._found.extend(part)
            self._against_heads()

    def _against_tiles(self, part: list[bytes]) -> None:
        index, offset = divmod(self._found.size, WIDTH)
        width = min(WIDTH, self._head.size - index * WIDTH)
        expected = self._tiles.leaves(0, index, width)
        if expected is None:
            self._vouched = None
            return
        expected = expected[offset : offset + len(part)]
        if self._vouched is not None and self._vouched.size == self._found.size:
            self._vouched.extend(expected)
        if self._differs < 0 and expected != part:
            at = next(i for i, pair in enumerate(zip(expected, part, strict=False)) if pair[0] != pair[1])
            self._differs = self._found.size + at
        if self._differs >= 0 and len(self._ahead) < LOOK_AHEAD:
            skip = max(0, self._differs - self._found.size)
            self._ahead += part[skip:]
            self._expected += expected[skip:]

    def _against_heads(self) -> None:
        while self._heads and self._heads[0].size <= self._found.size:
            known = self._heads.pop(0)
            if self._forked is None and known.root != self._found.root():
                self._forked = (self._good, known.size)
            elif self._forked is None:
                self._good = known.size

    def finish(self) -> None:
        """Draws the conclusions."""
        self._against_root()
        self._behind()

    def _behind(self) -> None:
        """What the remembered heads say beyond the signed root."""
        if self._forked is not None:
            self.problems.append(
                f"Records {self._forked[0]} to {self._forked[1] - 1} are not those of a remembered checkpoint: "
                "the log was forked or rewritten there."
            )
        longest = max((known.size for known in self._heads), default=0)
        if longest > self._head.size:
            self.problems.append(
                f"A remembered checkpoint has {longest} records, the log {self._head.size}: truncated or rolled back."
            )

    def _against_root(self) -> None:
        size, head = self._found.size, self._head
        if size == head.size and self._found.root() == head.root and self._differs < 0:
            return
        self._read_rest_of_tiles()
        if self._differs >= 0 and self._tiles_are_true():
            self._differ(self._differs, self._how())
        elif self._gap or size < head.size:
            self._differ(size, "removed")
        elif self._found.root() != head.root:
            self.problems.append("The records are not those that were signed, and the hash tiles cannot say which.")
        else:
            self.problems.append(f"{tile_path(0, self._differs // WIDTH)} does not belong to the signed records.")

    def _read_rest_of_tiles(self) -> None:
        """Where records are missing at the end, the tiles still say what was there."""
        while self._vouched is not None and self._vouched.size < self._head.size:
            index, offset = divmod(self._vouched.size, WIDTH)
            rest = self._tiles.leaves(0, index, min(WIDTH, self._head.size - index * WIDTH))
            if rest is None:
                self._vouched = None
                return
            if self._differs >= 0 and len(self._expected) < LOOK_AHEAD:
                self._expected += rest[offset:]
            self._vouched.extend(rest[offset:])

    def _tiles_are_true(self) -> bool:
        return self._vouched is not None and self._vouched.root() == self._head.root

    def _how(self) -> str:
        """From the hashes around the first difference: which single change explains it."""
        found, expected = self._ahead, self._expected
        if found[:1] == expected[1:2] and found[0] != expected[0]:
            return "moved" if expected[0] in found else "removed"
        if found[1:2] == expected[:1]:
            return "moved" if found[0] in expected else "inserted"
        return "moved" if found[0] in expected else "edited"

    def _differ(self, index: int, how: str) -> None:
        self.first_bad = index
        self.problems.append(f"Record {index} was {how}.")
