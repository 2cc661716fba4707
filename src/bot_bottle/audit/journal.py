"""The append-only file that a gateway writes, and how a reader cuts it into the leaves of the log.

On disk, below the directory of one log (a run's or the host's):

    checkpoint            newest signed checkpoint            key      verifier key, for other people's tools
    journal/<index>       lines; 16 digits: index of the first one      lock     host log only: one keeper at a time
    journal/next          the segment after a rotation, until its first line
    tile/<L>/<N>          hash tiles                          reserve  space for the last records on a full disk
    tile/entries/<N>      bundles of records that have left the journal      purged   signed note of a purge

The gateway holds one descriptor opened with O_APPEND and writes whole lines, one write(2) a batch; the keeper
appends its lifecycle records through its own descriptor of the same file. The concatenated leaves are the bytes of
the segments: a leaf ends after its newline, or after 16 KB when a line does not end (so that a gateway that was
taken over cannot stop the log with one endless line), or where a segment ended. A segment is final when a line
stands in the next one; it is deleted when its lines lie in bundles that are on the disk and under a signed
checkpoint. Records that a reader cannot decode are leaves like others: counted and named, never dropped (D17).
"""

import errno
import fcntl
import hashlib
import os
import re
import time
from collections.abc import Generator

from bot_bottle.audit.encode import MAX_LINE
from bot_bottle.base.errors import AuditFault, BusyFault

CHUNK = 1 << 20
SEGMENT = 32 << 20
"""A keeper rotates a run's log when its segment is longer than this."""
_TAIL = 65536
_NAME = re.compile(r"\d{16}\Z")
_LEAF = re.compile(rb"[^\n]{0,%d}\n|[^\n]{%d}" % (MAX_LINE - 1, MAX_LINE))


def leaves(data: bytes) -> tuple[list[bytes], bytes]:
    """The whole leaves of some bytes, and the rest that is not one yet."""
    parts = data.split(b"\n")
    rest = parts.pop()
    if len(rest) < MAX_LINE and max(map(len, parts), default=0) < MAX_LINE:
        return [part + b"\n" for part in parts], rest
    found: list[bytes] = []
    at = 0
    while match := _LEAF.match(data, at):
        found.append(match[0])
        at = match.end()
    return found, data[at:]


def segment_name(index: int) -> str:
    return f"{index:016d}"


def segments(directory: str) -> list[tuple[int, str]]:
    """(first index, path) of the segments of a log, in order; -1 is ``next``, whose index follows from the others."""
    folder = os.path.join(directory, "journal")
    try:
        names = sorted(name for name in os.listdir(folder) if _NAME.match(name))
        last = ["next"] if os.path.exists(os.path.join(folder, "next")) else []
    except FileNotFoundError:
        return []
    return [(-1 if name == "next" else int(name), os.path.join(folder, name)) for name in names + last]


def pieces(path: str, offset: int = 0) -> Generator[bytes]:
    """A segment's bytes in chunks, from a byte on; empty where it is gone."""
    try:
        file = open(path, "rb", buffering=0)  # noqa: SIM115 - closed by the with below
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        while data := file.read(CHUNK):
            yield data


class Writer:
    """The gateway's end: whole lines or a fault, after which nothing may be sent any more."""

    __slots__ = ("_fd", "_sync")

    def __init__(self, fd: int, sync_each: bool = False) -> None:
        self._fd = fd
        self._sync = sync_each

    def write(self, lines: bytes) -> None:
        """One write(2) of whole lines. Raises AuditFault (``audit.cannot-write``) now and ever after."""
        try:
            if self._fd < 0:
                raise OSError(errno.EBADF, "the log failed before")
            if os.write(self._fd, lines) != len(lines):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if self._sync:
                os.fdatasync(self._fd)
        except OSError as error:
            self._fd = -1
            raise AuditFault(
                "audit.cannot-write",
                f"The log cannot be written: {error.strerror}.",
                "Free space on the disk of the log.",
            ) from error

    def switch(self, fd: int) -> None:
        """The next segment (NewLog). The caller closes the old descriptor."""
        self._fd = fd


class Segment:
    """One segment as the keeper reads and appends it. Its lock is shared with every holder of the descriptor."""

    def __init__(self, path: str, start: int, *, create: bool) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
        self.path = path
        self.start = start
        self.append_fd = os.open(path, flags | (os.O_CREAT if create else 0), 0o600)
        self._read_fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.offset = 0
        self.rest = b""
        self._hash = hashlib.sha256()
        self._tail = b""

    def lock(self, *, exclusive: bool = False) -> None:
        """Raises BusyFault while another process can write; a gateway's descriptor carries its keeper's lock."""
        try:
            fcntl.flock(self.append_fd, (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyFault(
                "audit.busy", f"{self.path} is still being written.", "Wait until its bottle has ended."
            ) from None

    def read(self, at_most: int = -1) -> list[bytes]:
        """The leaves that became whole since the last call. Raises AuditFault when what was read has changed."""
        self._unchanged()
        found: list[bytes] = []
        while data := os.pread(self._read_fd, CHUNK, self.offset + len(self.rest)):
            data = self.rest + data
            new, self.rest = leaves(data)
            self._consume(data[: len(data) - len(self.rest)])
            found += new
            if 0 <= at_most <= len(found):
                break
        return found

    def finish(self) -> list[bytes]:
        """The bytes without a newline at the end of a segment that nobody writes any more, as a last leaf."""
        rest, self.rest = self.rest, b""
        if not rest:
            return []
        self._consume(rest)
        return [rest]

    def _consume(self, data: bytes) -> None:
        self._hash.update(data)
        self.offset += len(data)
        self._tail = data[-_TAIL:] if len(data) >= _TAIL else (self._tail + data)[-_TAIL:]

    def _unchanged(self) -> None:
        status = os.fstat(self._read_fd)
        tail = os.pread(self._read_fd, len(self._tail), self.offset - len(self._tail))
        try:
            same = os.stat(self.path, follow_symlinks=False)
        except FileNotFoundError:
            same = None
        if same is None or (same.st_ino, same.st_dev) != (status.st_ino, status.st_dev) or tail != self._tail:
            raise changed(self.path)

    @property
    def digest(self) -> bytes:
        """SHA-256 of everything read so far."""
        return self._hash.digest()

    def append(self, line: bytes) -> None:
        """One write(2) of a line of our own, on a line of its own even after a writer that died in the middle."""
        data = line if self._ends_whole() else b"\n" + line
        while data:
            data = data[os.write(self.append_fd, data) :]

    def _ends_whole(self) -> bool:
        """Whether the file ends with a newline; a write that is just under way is given a moment."""
        for _ in range(20):
            size = self.size()
            if size == 0 or os.pread(self._read_fd, 1, size - 1) == b"\n":
                return True
            time.sleep(0.001)
        return False

    def rename(self, path: str) -> None:
        os.rename(self.path, path)
        self.path = path

    def size(self) -> int:
        return os.fstat(self._read_fd).st_size

    def sync(self) -> None:
        os.fdatasync(self.append_fd)

    def close(self) -> None:
        os.close(self.append_fd)
        os.close(self._read_fd)


def changed(path: str) -> AuditFault:
    """What was already under a signed checkpoint is not what the file says now."""
    return AuditFault(
        "audit.changed",
        f"{path} was shortened, replaced or edited after it was signed.",
        "Keep the directory as evidence and run `bot-bottle log verify`.",
    )
