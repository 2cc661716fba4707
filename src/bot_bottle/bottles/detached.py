"""The streams of a detached bottle: its output goes to a capped file and to whoever is attached.

The session socket lies beside the control socket: 0600, this user only, in no bottle (B59).
"""

import os
from collections import deque

import msgspec

from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.session_messages import Attach, Ended, FromSession, Input, Output, Resize, ToSession
from bot_bottle.bottles.streams import Stdio
from bot_bottle.bottles.terminal import resize
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper.control import accept, bounded, listen, remove
from bot_bottle.keeper.loop import Loop

NAME = "session"
RECENT = 65536
MOST_OUTPUT = 16_000_000
_VIEWERS = 8
_QUEUED = 1_000_000

Viewer = Channel[FromSession, ToSession]


class Detached:
    """Implements streams.Streams. `place` first, once the label is ours: the label's last owner may still write."""

    def __init__(self, terminal: bool) -> None:
        self.terminal = terminal
        self._directory = ""
        self._output = -1
        self._left = MOST_OUTPUT
        self._recent: deque[bytes] = deque()
        self._recent_size = 0
        self._viewers: dict[int, Viewer] = {}
        self._keys = bytearray()
        self._inner: Stdio | None = None
        self._open = 0
        self._loop: Loop | None = None
        self._listener = None

    def place(self, directory: str, output: str) -> None:
        """directory: of the session socket. output: file that keeps what was written."""
        self._directory = directory
        self._output = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)

    def attach(self, loop: Loop, stdio: Stdio) -> None:
        self._loop = loop
        self._inner = stdio
        for fd in set(stdio):
            os.set_blocking(fd, False)
        outputs = {stdio[1], stdio[2]}
        self._open = len(outputs)
        for fd in outputs:
            loop.read(fd, lambda fd=fd: self._hear(fd))
        if not self.terminal:
            os.close(stdio[0])
        self._listener = listen(self._directory, NAME)
        loop.read(self._listener.fileno(), self._accept)

    def drained(self) -> bool:
        return self._open == 0

    def ring(self, data: bytes) -> bool:  # noqa: ARG002  the shape of streams
        """Nobody is here: notifiers and the dashboard tell people."""
        return True

    def close(self) -> None:
        """The agent's ends are closed; viewers stay until `tell_ended`."""
        if self._inner is None:
            return
        for fd in {self._inner[1], self._inner[2]}:
            if self._loop:
                self._loop.forget(fd)
            os.close(fd)
        self._inner = None

    def tell_ended(self, outcome: Outcome) -> None:
        """The last message to everybody who is attached; then the socket goes."""
        for viewer in list(self._viewers.values()):
            self._send(viewer, Ended(outcome))
            self._end(viewer)
        if self._listener:
            if self._loop:
                self._loop.forget(self._listener.fileno())
            self._listener.close()
            self._listener = None
            remove(self._directory, NAME)
        if self._output >= 0:
            os.close(self._output)
            self._output = -1

    # ---- output

    def _hear(self, fd: int) -> None:
        assert self._loop is not None
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._loop.forget(fd)
            self._open -= 1
            return
        self._keep(data)
        for viewer in list(self._viewers.values()):
            self._send(viewer, Output(data))

    def _keep(self, data: bytes) -> None:
        piece = data[: self._left]
        if piece:
            self._left -= len(piece)
            os.write(self._output, piece)
        self._recent.append(data)
        self._recent_size += len(data)
        while self._recent_size > RECENT and len(self._recent) > 1:
            self._recent_size -= len(self._recent.popleft())

    # ---- viewers

    def _accept(self) -> None:
        assert self._listener is not None and self._loop is not None
        sock = accept(self._listener)
        if sock is None:
            return
        if len(self._viewers) >= _VIEWERS:
            sock.close()
            return
        bounded(sock, 1)
        viewer = Viewer(sock, ToSession)
        self._viewers[sock.fileno()] = viewer
        self._loop.read(sock.fileno(), lambda: self._heard(viewer))

    def _heard(self, viewer: Viewer) -> None:
        try:
            viewer.fill()
            while (found := viewer.next()) is not None:
                self._take(viewer, found[0])
        except (ChannelClosed, msgspec.MsgspecError):
            self._end(viewer)

    def _take(self, viewer: Viewer, message: ToSession) -> None:
        match message:
            case Attach():
                self._size(message.rows, message.columns)
                self._send(viewer, Output(b"".join(self._recent)))
            case Input():
                self._type(message.data)
            case Resize():
                self._size(message.rows, message.columns)

    def _size(self, rows: int, columns: int) -> None:
        if self.terminal and self._inner and 0 < rows < 10000 and 0 < columns < 10000:
            resize(self._inner[0], rows, columns)

    def _type(self, data: bytes) -> None:
        if not self.terminal or self._inner is None or self._loop is None or len(self._keys) > _QUEUED:
            return
        self._keys += data
        self._loop.write(self._inner[0], self._press)

    def _press(self) -> None:
        if self._inner is None or self._loop is None:
            return
        try:
            sent = os.write(self._inner[0], self._keys[:4096])
        except BlockingIOError:
            return
        except OSError:
            sent = len(self._keys)
        del self._keys[:sent]
        if not self._keys:
            self._loop.unwrite(self._inner[0])

    def _send(self, viewer: Viewer, message: FromSession) -> None:
        try:
            viewer.send(message)
        except ChannelClosed:
            self._end(viewer)

    def _end(self, viewer: Viewer) -> None:
        fd = viewer.fileno()
        if fd >= 0:
            if self._loop:
                self._loop.forget(fd)
            self._viewers.pop(fd, None)
            viewer.close()
