"""Follows the journal of one log, extends its tree and signs its head; moves old lines into bundles.

Used by the run log (one owner) and the host log (several, in turn). The order is what makes a crash at any point
harmless: lines are on the disk before the checkpoint that covers them, tiles before the checkpoint that names
them, bundles before the segment that they replace is deleted. What was signed is compared again with the file
each time; a difference is an AuditFault and nothing is signed any more (D17).
"""

import contextlib
import errno
import os
from collections.abc import Callable, Sequence

from bot_bottle.audit import checkpoint as heads
from bot_bottle.audit import files, journal
from bot_bottle.audit.bundles import Bundler, Final
from bot_bottle.audit.checkpoint import Checkpoint
from bot_bottle.audit.journal import Segment, segment_name
from bot_bottle.audit.merkle import EMPTY, Edge, Tile, leaf_hash
from bot_bottle.audit.note import Signer, VerifierKey
from bot_bottle.audit.tiles import Tiles
from bot_bottle.base.errors import AuditFault

RESERVE = 1 << 20
"""Bytes kept back so that a full disk still takes the last records of a log and their checkpoint (D18)."""

Watch = Callable[[Sequence[bytes]], None]


class Sealer:
    """The state of one open log. All methods raise AuditFault when the files cannot be written or have changed."""

    def __init__(
        self, directory: str, signer: Signer, head: Checkpoint, edge: Edge, watch: Watch | None = None
    ) -> None:
        self.directory = directory
        self.head = head
        self.note = b""
        self.fronts: list[Segment] = []
        self._signer = signer
        self._edge = edge
        self._watch = watch
        self._tiles = Tiles(directory)
        self._unwritten: list[Tile] = []
        self._obsolete: list[str] = []
        self._bundler = Bundler(self._tiles, edge.size)

    @classmethod
    def create(cls, directory: str, origin: str, signer: Signer) -> "Sealer":
        """A new log with a signed head of size 0. Raises AuditFault (``audit.exists``) where one is already."""
        with files.writing("The log"):
            os.makedirs(directory, mode=0o700, exist_ok=True)
            os.makedirs(os.path.join(directory, "journal"), mode=0o700, exist_ok=True)
            if os.path.exists(os.path.join(directory, "checkpoint")):
                raise AuditFault("audit.exists", f"{directory} already holds a log.", "Choose another run id.")
            log = cls(directory, signer, Checkpoint(origin, 0, EMPTY), Edge())
            log.fronts.append(Segment(os.path.join(directory, "journal", segment_name(0)), 0, create=True))
            log.front.lock()
            if log.front.size():
                raise inconsistent(directory, "it has records but no checkpoint")
            key = f"{VerifierKey(origin, signer.public)}\n".encode()
            files.replace(os.path.join(directory, "key"), key, sync=False, mode=0o644)
            files.sync_directory(os.path.join(directory, "journal"))
            log.reserve()
            log.sign()
        return log

    @classmethod
    def load(
        cls, directory: str, origin: str, signer: Signer, *, alone: bool = True, watch: Watch | None = None
    ) -> "Sealer":
        """An existing log, after its files were proved consistent with its signed head; else AuditFault.

        alone: also proves that no other process can write it (BusyFault). watch: is shown every leaf, in order.
        """
        head, note = read_head(directory, VerifierKey(origin, signer.public))
        found = journal.segments(directory)
        start = max(found[0][0], 0) if found else head.size
        edge = Tiles(directory).edge(start) if start <= head.size else None
        if not found or found[0][0] < 0 or edge is None:
            raise inconsistent(directory, "its journal or its tiles are missing")
        log = cls(directory, signer, head, edge, watch)
        log.note = note
        log._tiles.current(head.size)
        try:
            log._replay(found, alone)
        except BaseException:
            log.close()
            raise
        return log

    def _replay(self, found: list[tuple[int, str]], alone: bool) -> None:
        """Reads the journal again, past the signed head, whose root must come out."""
        if self._edge.size == self.head.size:
            self._prove(self.head)
        self.fronts = [Segment(path, index, create=False) for index, path in found]
        for segment in self.fronts if alone else ():
            segment.lock(exclusive=True)
        self._follow(self.front)
        while len(self.fronts) > 1 and (self.fronts[1].start >= 0 or self.fronts[1].size()):
            self._advance()
            if self.front.start != self.size:
                raise inconsistent(self.directory, f"the records before {self.front.start} are missing")
            self._follow(self.front)
        if self.size < self.head.size:
            raise inconsistent(self.directory, f"it ends at record {self.size}, but {self.head.size} were signed")

    @property
    def front(self) -> Segment:
        """The segment that is read and that the keeper's own records go to."""
        return self.fronts[0]

    @property
    def size(self) -> int:
        """Leaves read so far, signed or not."""
        return self._edge.size

    def reserve(self) -> None:
        """Sets space aside; a disk that has not even that refuses the start."""
        descriptor = os.open(os.path.join(self.directory, "reserve"), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, RESERVE)
        finally:
            os.close(descriptor)

    def append(self, line: bytes) -> None:
        """A line of the keeper's own, after what the gateway has written to a segment that it already left."""
        if len(self.fronts) > 1:
            self.read()
        with files.writing("The log"):
            self._spending_reserve(lambda: self.front.append(line))

    def read(self) -> None:
        """Takes in all lines that became whole; nothing is signed yet."""
        final = len(self.fronts) > 1 and self.fronts[1].size() > 0
        self._follow(self.front)
        if final:
            self._advance()
            self._follow(self.front)

    def follow_to(self, head: Checkpoint, note: bytes) -> None:
        """Takes in what another keeper appended and signed; AuditFault where that does not continue ours."""
        if head.size == self.size:
            self._prove(head)
        self.head, self.note = head, note
        self._tiles.current(head.size)
        self.read()
        if self.size < head.size:
            raise inconsistent(self.directory, f"it ends at record {self.size}, but {head.size} were signed")

    def _follow(self, segment: Segment) -> None:
        while found := segment.read(65536):
            self._take(found)

    def _take(self, found: list[bytes]) -> None:
        missing = self.head.size - self.size
        if 0 < missing <= len(found):
            self._extend(found[:missing])
            self._prove(self.head)
            found = found[missing:]
        self._extend(found)

    def _extend(self, found: list[bytes]) -> None:
        self._unwritten += self._edge.extend([leaf_hash(leaf) for leaf in found])
        if self._watch and found:
            self._watch(found)

    def _prove(self, head: Checkpoint) -> None:
        if self._edge.size == head.size and self._edge.root() != head.root:
            raise inconsistent(self.directory, "its records are not those that were signed")

    def _advance(self) -> None:
        """The front is final: its end becomes a leaf, and the next segment gets its name."""
        front = self.fronts.pop(0)
        self._take(front.finish())
        front.sync()
        self._bundler.add(Final(front.path, front.start, self.size, front.digest))
        front.close()
        if self.front.start < 0:
            self.front.rename(os.path.join(self.directory, "journal", segment_name(self.size)))
            self.front.start = self.size

    def rotate(self) -> Segment:
        """The next segment, for the writer; the front stays in use until a line stands in it."""
        if len(self.fronts) == 1:
            with files.writing("The log"):
                following = Segment(os.path.join(self.directory, "journal", "next"), -1, create=True)
                following.lock()
                self.fronts.append(following)
        return self.fronts[1]

    def cut(self) -> None:
        """Rotates at once; only where nobody else writes."""
        with files.writing("The log"):
            self.rotate()
            self._advance()

    def sign(self) -> Checkpoint:
        """Signs what was read. Lines first, then tiles, then the checkpoint."""
        head = Checkpoint(self.head.origin, self._edge.size, self._edge.root())
        with files.writing("The log"):
            self._spending_reserve(lambda: self._write(head))
        self.head = head
        return head

    def _write(self, head: Checkpoint) -> None:
        self.front.sync()
        self._tiles.write_full(self._unwritten)
        self._unwritten = []
        self._obsolete += self._tiles.write_partial(self._edge.partial())
        self.note = heads.sign(head, self._signer)
        files.replace(os.path.join(self.directory, "checkpoint"), self.note, sync=True, mode=0o644)
        self._tiles.remove(path for path in self._obsolete if path not in self._tiles.partial)
        self._obsolete = []

    def restore_tiles(self) -> None:
        """Writes the tiles of what was read; after a power loss those in the files may be older than the lines."""
        with files.writing("The log"):
            self._tiles.write_full(self._unwritten)
            self._unwritten = []
            self._obsolete += self._tiles.write_partial(self._edge.partial())

    def settle(self) -> None:
        """Moves the lines of final segments that are signed into bundles and deletes those segments."""
        with files.writing("The log"):
            self._bundler.run(self.head.size)

    def finish(self) -> None:
        """Everything signed goes into bundles and the journal away; on a full disk the journal simply stays."""
        front = self.front
        self._bundler.add(Final(front.path, front.start, self.size, front.digest))
        with contextlib.suppress(FileNotFoundError):
            os.unlink(os.path.join(self.directory, "reserve"))
        with contextlib.suppress(OSError):
            self._bundler.run(self.head.size, whole=True)
            for segment in self.fronts[1:]:
                os.unlink(segment.path)
            os.rmdir(os.path.join(self.directory, "journal"))
        self.close()

    def close(self) -> None:
        """Closes the descriptors; the files stay as they are."""
        for segment in self.fronts:
            segment.close()
        self.fronts = []

    def _spending_reserve(self, action: Callable[[], None]) -> None:
        try:
            action()
        except OSError as error:
            path = os.path.join(self.directory, "reserve")
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not os.path.exists(path):
                raise
            os.unlink(path)
            action()


def read_head(directory: str, key: VerifierKey) -> tuple[Checkpoint, bytes]:
    """The signed head of a log and its note. Raises AuditFault where it is absent or not signed by this key."""
    note = files.read(os.path.join(directory, "checkpoint"))
    if note is None:
        raise inconsistent(directory, "it has no checkpoint")
    return heads.verify(note, key), note


def inconsistent(directory: str, why: str) -> AuditFault:
    """The files are not a continuation of what was signed; going on would hide it (D17)."""
    return AuditFault(
        "audit.inconsistent",
        f"The log in {directory} does not continue what was signed: {why}.",
        "Keep the directory as evidence, run `bot-bottle log verify`, then move it away.",
    )
