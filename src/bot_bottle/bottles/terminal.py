"""The person's terminal while an agent has a pty of its own (D15): raw mode, size, reset and flush at the end.

The agent cannot write to this terminal but through `TerminalFilter`, and cannot push input into it at all.
"""

import contextlib
import fcntl
import os
import re
import select
import signal
import struct
import termios
import time
import tty

from bot_bottle.bottles.terminal_filter import Allowed, TerminalFilter

RESET = (
    b"\x18\x1b\\\x0f\x1b(B\x1b[!p\x1b[m\x1b[?1049l\x1b[?1047l\x1b[?47l\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1004l\x1b[?1006l"
    b"\x1b[?1015l\x1b[?1016l\x1b[?2004l\x1b[?2026l\x1b[?2027l\x1b[?1l\x1b[?5l\x1b[?7h\x1b[?66l\x1b[?25h\x1b7\x1b[r\x1b8"
    b"\x1b[=0u\x1b[<99u\x1b[>4m\x1b[4l\x1b[0 q\x1b]8;;\x1b\\\r\n"
)
"""All that an agent may have left on. The margins stand between saving and restoring the cursor: setting them moves
it to the top, and what comes next would overwrite the agent's last lines."""
_CURSOR = re.compile(rb"\x1b\[\d{1,5};\d{1,5}R")
_ANSWERS = {"status": b"\x1b[0n", "identity": b"\x1b[?62;22c"}


def is_terminal(*fds: int) -> bool:
    """Whether all of them are terminals."""
    return all(os.isatty(fd) for fd in fds)


def size(fd: int) -> tuple[int, int]:
    """Rows and columns; 24 x 80 where the terminal does not know."""
    try:
        rows, columns = struct.unpack("HHHH", fcntl.ioctl(fd, termios.TIOCGWINSZ, bytes(8)))[:2]
    except OSError:
        return 24, 80
    return rows or 24, columns or 80


def resize(fd: int, rows: int, columns: int) -> None:
    """Tells a pty its new size; the kernel signals the agent."""
    try:
        fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    except OSError:
        pass


class Screen:
    """One person's terminal in raw mode, from `__enter__` to `__exit__`.

    master: the agent's pty, or a callable sink for its input (attach). Output of the agent goes through `show`,
    keys through `keys`.
    """

    def __init__(self, keyboard: int, display: int, allowed: Allowed | None = None) -> None:
        self.keyboard = keyboard
        self.display = display
        self._filter = TerminalFilter(allowed)
        self._before: list[object] = []
        self._waiting = 0
        self.answers = bytearray()

    def __enter__(self) -> "Screen":
        self._before = termios.tcgetattr(self.keyboard)
        tty.setraw(self.keyboard, termios.TCSANOW)
        return self

    def __exit__(self, *_: object) -> None:
        """Reset, wait for answers that are under way, throw away typed and answered input, cooked mode.

        A terminal that is gone (window closed, connection lost) needs none of it, and the run's end goes on.
        """
        _write(self.display, self._filter.finish() + RESET)
        with contextlib.suppress(OSError, termios.error):
            self._drain()
            termios.tcflush(self.keyboard, termios.TCIFLUSH)
            termios.tcsetattr(self.keyboard, termios.TCSAFLUSH, self._before)  # pyright: ignore[reportArgumentType]

    def show(self, data: bytes) -> bytes:
        """What of the agent's output the terminal gets; answers to its harmless requests lie in `answers`."""
        out = self._filter.feed(data)
        for request in self._filter.asked:
            if request in _ANSWERS:
                self.answers += _ANSWERS[request]
            elif self._waiting < 4:
                self._waiting += 1
                out += b"\x1b[6n"  # our question, one of at most four under way
        self._filter.asked.clear()
        return out

    def keys(self, data: bytes) -> bytes:
        """What the agent gets of the keyboard; counts the cursor positions that our own questions brought."""
        if self._waiting:
            self._waiting = max(0, self._waiting - len(_CURSOR.findall(data)))
        return data

    def _drain(self) -> None:
        """An answer that comes after us would be typed into the shell: wait for it, at most 0.3 s."""
        end = time.monotonic() + (0.3 if self._waiting else 0.02)
        seen = b""
        while (left := end - time.monotonic()) > 0 and (self._waiting > len(_CURSOR.findall(seen)) or not seen):
            if not select.select([self.keyboard], [], [], left)[0]:
                break
            piece = os.read(self.keyboard, 4096)
            if not piece:
                break
            seen = (seen + piece)[-4096:]


class Resized:
    """SIGWINCH as a readable descriptor, for the loop."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        os.set_blocking(self._write, False)
        os.set_blocking(self.fd, False)
        self._before = signal.signal(signal.SIGWINCH, self._note)

    def _note(self, *_: object) -> None:
        try:
            os.write(self._write, b"w")
        except BlockingIOError:
            pass

    def clear(self) -> None:
        try:
            os.read(self.fd, 4096)
        except BlockingIOError:
            pass

    def close(self) -> None:
        signal.signal(signal.SIGWINCH, self._before)
        os.close(self.fd)
        os.close(self._write)


def _write(fd: int, data: bytes) -> None:
    while data:
        try:
            data = data[os.write(fd, data) :]
        except BlockingIOError:
            select.select([], [fd], [], 1)
        except OSError:
            return
