"""Bodies of held requests, encrypted in one unlinked file (D25): nothing in clear is at rest, nothing altered leaves.

A piece of at most 64 KB lies in a slot of its own: the bytes under a SHAKE-256 key stream, then a keyed BLAKE2b tag
over where they belong. The keys are random, live in this process alone and die with it. A body's number never comes
twice, so neither a key stream nor a slot's old content is good for anything again. Plain lseek, read and write: the
gateway's filter refuses every call that writes at a place.
"""

import hashlib
import os
from array import array

PIECE = 65536
_TAG = 32
_STRIDE = PIECE + _TAG


class SpoolFull(Exception):
    """No slot is left, or the disk takes no more."""


class Tampered(Exception):
    """What was read is not what was written."""


class Spool:
    """fd: of an unlinked file that nobody else writes, -1 for none (then nothing can be held). slots: at most in use,
    64 KB each; they are given again."""

    def __init__(self, fd: int, slots: int) -> None:
        self._fd = fd
        self._slots = slots if fd >= 0 else 0
        self._free: list[int] = []
        self._fresh = 0
        self._bodies = 0
        self._stream_key, self._tag_key = os.urandom(32), os.urandom(64)

    def body(self) -> "Spooled":
        """A new body, empty."""
        self._bodies += 1
        return Spooled(self, self._bodies)

    def put(self, where: bytes, data: bytes) -> int:
        """Writes one piece; its slot. where: which piece of which body. Raises SpoolFull."""
        slot = self._slot()
        sealed = self._crypt(where, data)
        raw = sealed + self._tag(where, sealed)
        try:
            os.lseek(self._fd, slot * _STRIDE, os.SEEK_SET)
            whole = os.write(self._fd, raw) == len(raw)
        except OSError:
            whole = False
        if not whole:
            self._free.append(slot)
            raise SpoolFull
        return slot

    def get(self, slot: int, where: bytes, size: int) -> bytes:
        """One piece of so many bytes again. Raises Tampered."""
        return self._crypt(where, self._sealed(slot, where, size))

    def check(self, slot: int, where: bytes, size: int) -> None:
        """Raises Tampered where `get` would; cheaper."""
        self._sealed(slot, where, size)

    def free(self, slots: "array[int]") -> None:
        """These may be given again."""
        self._free.extend(slots)

    def _slot(self) -> int:
        if self._free:
            return self._free.pop()
        if self._fresh >= self._slots:
            raise SpoolFull
        self._fresh += 1
        return self._fresh - 1

    def _sealed(self, slot: int, where: bytes, size: int) -> bytes:
        try:
            os.lseek(self._fd, slot * _STRIDE, os.SEEK_SET)
            raw = os.read(self._fd, size + _TAG)
        except OSError:
            raise Tampered from None
        sealed = raw[:size]
        if len(raw) != size + _TAG or raw[size:] != self._tag(where, sealed):
            raise Tampered
        return sealed

    def _crypt(self, where: bytes, data: bytes) -> bytes:
        stream = hashlib.shake_256(self._stream_key + where).digest(len(data))
        return (int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")).to_bytes(len(data), "little")

    def _tag(self, where: bytes, sealed: bytes) -> bytes:
        return hashlib.blake2b(where + sealed, key=self._tag_key, digest_size=_TAG).digest()


class Spooled:
    """One body: written once, then read as often as wanted. size: its bytes."""

    __slots__ = ("_at", "_number", "_rest", "_slots", "_spool", "size")

    def __init__(self, spool: Spool, number: int) -> None:
        self._spool = spool
        self._number = number
        self._slots: array[int] = array("I")
        self._rest = bytearray()
        self._at = 0
        self.size = 0

    def write(self, data: bytes) -> None:
        """More of it. Raises SpoolFull."""
        self.size += len(data)
        rest = self._rest
        rest += data
        while len(rest) >= PIECE:
            self._put(bytes(rest[:PIECE]))
            del rest[:PIECE]

    def finish(self) -> None:
        """That was all. Raises SpoolFull."""
        if self._rest:
            self._put(bytes(self._rest))
            self._rest = bytearray()

    def check(self) -> None:
        """Reads all of it. Raises Tampered where one bit differs."""
        for index, slot in enumerate(self._slots):
            self._spool.check(slot, self._where(index), self._length(index))

    def read(self) -> bytes:
        """The next piece, empty behind the last. Raises Tampered."""
        if self._at >= len(self._slots):
            return b""
        self._at += 1
        return self._piece(self._at - 1)

    @property
    def done(self) -> bool:
        """Whether `read` has nothing more."""
        return self._at >= len(self._slots)

    def first(self, most: int) -> bytes:
        """Its first bytes, for a person; `read` goes on where it was. Raises Tampered."""
        found, index = b"", 0
        while len(found) < most and index < len(self._slots):
            found += self._piece(index)
            index += 1
        return found[:most]

    def close(self) -> None:
        """Its slots go back; what lies in them is noise without this process."""
        self._spool.free(self._slots)
        self._slots = array("I")
        self._rest = bytearray()

    def _put(self, data: bytes) -> None:
        self._slots.append(self._spool.put(self._where(len(self._slots), len(data)), data))

    def _piece(self, index: int) -> bytes:
        return self._spool.get(self._slots[index], self._where(index), self._length(index))

    def _length(self, index: int) -> int:
        return min(PIECE, self.size - index * PIECE)

    def _where(self, index: int, size: int = 0) -> bytes:
        length = size or self._length(index)
        return self._number.to_bytes(8, "big") + index.to_bytes(4, "big") + length.to_bytes(4, "big")
