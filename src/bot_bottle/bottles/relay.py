"""Moves bytes between the agent's ends and ours. The agent never holds a descriptor that came from outside (D01)."""

import os
import stat
from collections.abc import Callable

from bot_bottle.keeper.loop import Loop

_READ = 65536
_ROOM = 262144

Transform = Callable[[bytes], bytes]


class Pump:
    """From one descriptor to another, with back-pressure.

    source is read when the loop says so; sink gets at most 4096 bytes a turn unless it is a file or is ours
    (a larger write to somebody's pipe or terminal could block us). transform: sees every piece. ended: called once,
    when the source is at its end and all is written, or the sink is gone.
    """

    def __init__(
        self,
        loop: Loop,
        source: int,
        sink: int,
        transform: Transform | None = None,
        ended: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._source = source
        self._sink = sink
        self._transform = transform
        self._ended = ended
        self._buffer = bytearray()
        self._over = False
        self.done = False
        self._step = _READ if stat.S_ISREG(os.fstat(sink).st_mode) or not os.get_blocking(sink) else 4096
        loop.read(source, self._fill)

    def give(self, data: bytes) -> None:
        """Bytes of our own, after what was read so far."""
        self._buffer += data
        self._loop.write(self._sink, self._drain)

    def _fill(self) -> None:
        try:
            data = os.read(self._source, _READ)
        except BlockingIOError:
            return
        except OSError:
            data = b""  # EIO of a pty master: the last process has closed its side
        if not data:
            self._loop.quiet(self._source)
            self._over = True
            self._settle()
            return
        self._buffer += self._transform(data) if self._transform else data
        if self._buffer:
            self._loop.write(self._sink, self._drain)
        if len(self._buffer) >= _ROOM:
            self._loop.quiet(self._source)

    def _drain(self) -> None:
        try:
            sent = os.write(self._sink, self._buffer[: self._step])
        except BlockingIOError:
            return
        except OSError:
            self._broken()
            return
        del self._buffer[:sent]
        if not self._over and len(self._buffer) < _ROOM:
            self._loop.read(self._source, self._fill)
        if not self._buffer:
            self._loop.unwrite(self._sink)
            self._settle()

    def _broken(self) -> None:
        """The reader of the sink is gone: what is left goes nowhere, and the source will notice."""
        self._buffer.clear()
        self._loop.unwrite(self._sink)
        self._loop.quiet(self._source)
        self._over = True
        self._settle()

    def _settle(self) -> None:
        if self._over and not self._buffer and not self.done:
            self.done = True
            if self._ended:
                self._ended()
