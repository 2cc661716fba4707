"""Typed frames with descriptors over a stream socket: 4 bytes length, then msgpack.

Used by keeper, gateway, launcher and CLI alike; the peer is always a process of ours, but a length is still bounded.
"""

import array
import socket
import struct
from typing import Any, Generic, TypeVar

import msgspec

MAX_FRAME = 16 * 1024 * 1024
MAX_FDS = 64
_LENGTH = struct.Struct("!I")

T = TypeVar("T")
S = TypeVar("S")


class ChannelClosed(Exception):
    """The other process is gone: for every holder of a channel this is a lifeline event."""


class Channel(Generic[S, T]):
    """Sends messages of type S and receives messages of type T (a tagged union of Frames). receives: that union as a
    value, which no annotation can tie to T before TypeForm (PEP 747)."""

    def __init__(self, sock: socket.socket, receives: Any) -> None:
        self.sock = sock
        self._decoder: msgspec.msgpack.Decoder[T] = msgspec.msgpack.Decoder(receives)
        self._encoder = msgspec.msgpack.Encoder()
        self._buffer = bytearray()
        self._taken = 0
        self._fds: list[tuple[int, list[int]]] = []  # where in the stream the bytes ended that they came with

    def fileno(self) -> int:
        return self.sock.fileno()

    def send(self, message: S, fds: tuple[int, ...] = ()) -> None:
        """Blocking send of one message; the descriptors travel with its first byte."""
        body = self._encoder.encode(message)
        data = _LENGTH.pack(len(body)) + body
        try:
            if fds:
                sent = socket.send_fds(self.sock, [data], list(fds))
                data = data[sent:]
            self.sock.sendall(data)
        except OSError as error:
            raise ChannelClosed from error

    def receive(self) -> tuple[T, list[int]]:
        """Blocking receive of one message and the descriptors that came with it."""
        while (message := self.next()) is None:
            self.fill()
        return message

    def fill(self) -> None:
        """One recvmsg into the buffer. Raises ChannelClosed at the end, BlockingIOError when nothing is there."""
        try:
            data, ancillary, _, _ = self.sock.recvmsg(65536, socket.CMSG_SPACE(MAX_FDS * 4), socket.MSG_CMSG_CLOEXEC)
        except BlockingIOError:
            raise
        except OSError as error:
            raise ChannelClosed from error
        came = array.array("i")
        for level, kind, payload in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                came.frombytes(payload[: len(payload) - len(payload) % came.itemsize])
        if not data:
            raise ChannelClosed
        self._buffer += data
        if came:
            self._fds.append((self._taken + len(self._buffer), list(came)))

    def next(self) -> tuple[T, list[int]] | None:
        """The next whole message in the buffer, or None. Descriptors end what one recvmsg gives (unix(7)), so they
        belong to the message of its last byte; those of messages before it are not taken for its."""
        if len(self._buffer) < 4:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        if length > MAX_FRAME:
            raise ChannelClosed
        if len(self._buffer) < 4 + length:
            return None
        message = self._decoder.decode(bytes(self._buffer[4 : 4 + length]))
        del self._buffer[: 4 + length]
        self._taken += 4 + length
        fds: list[int] = []
        while self._fds and self._fds[0][0] <= self._taken:
            fds += self._fds.pop(0)[1]
        return message, fds

    def close(self) -> None:
        self.sock.close()
