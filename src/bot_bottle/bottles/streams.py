"""Where the agent's input comes from and where its output goes: pipes, a person's terminal, a recorder.

The agent's ends are always made by us (D01). Output that reaches somebody's terminal passes the filter of D15,
also in pipe mode; into a file or a pipe it goes byte for byte.
"""

import os
from collections.abc import Callable
from typing import Protocol

from bot_bottle.bottles.relay import Pump
from bot_bottle.bottles.terminal import Resized, Screen, is_terminal, resize, size
from bot_bottle.bottles.terminal_filter import Allowed, TerminalFilter
from bot_bottle.keeper.loop import Loop

Stdio = tuple[int, int, int]


class Streams(Protocol):
    """One way to be connected to an agent."""

    terminal: bool

    def attach(self, loop: Loop, stdio: Stdio) -> None:
        """Starts moving bytes. stdio: our ends of the agent's 0, 1, 2; they belong to the streams from now on."""
        ...

    def drained(self) -> bool:
        """Whether everything the agent wrote has been delivered (or nobody takes it any more)."""
        ...

    def close(self) -> None:
        """Gives the terminal back and closes all descriptors of `stdio`. Idempotent."""
        ...

    def ring(self, data: bytes) -> bool:
        """Gives the person's terminal bytes of ours that set no cell of the agent's screen; False where the agent
        has no terminal, and then nothing was written."""
        ...


class Pipes:
    """The command's own input, output and errors."""

    terminal = False

    def __init__(self, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> None:
        self._outer = (stdin, stdout, stderr)
        self._inner: Stdio | None = None
        self._pumps: list[Pump] = []
        self._filters: list[tuple[int, TerminalFilter]] = []

    def attach(self, loop: Loop, stdio: Stdio) -> None:
        self._inner = stdio
        for fd in stdio:
            os.set_blocking(fd, False)
        self._feed(loop, stdio[0])
        for inner, outer in zip(stdio[1:], self._outer[1:], strict=True):
            self._pumps.append(
                Pump(loop, inner, outer, self._transform(outer), lambda fd=inner: self._shut(loop, fd))
            )

    def _feed(self, loop: Loop, inner: int) -> None:
        """Standard input; its end is the agent's end of file."""
        try:
            os.fstat(self._outer[0])
        except OSError:
            self._shut(loop, inner)
            return
        Pump(loop, self._outer[0], inner, None, lambda: self._shut(loop, inner))

    def _transform(self, outer: int) -> Callable[[bytes], bytes] | None:
        if not os.isatty(outer):
            return None
        one = TerminalFilter()
        self._filters.append((outer, one))
        return one.feed

    def _shut(self, loop: Loop, fd: int) -> None:
        loop.forget(fd)
        if self._inner and fd in self._inner:
            self._inner = tuple(-1 if one == fd else one for one in self._inner)  # pyright: ignore[reportAttributeAccessIssue]
            os.close(fd)

    def drained(self) -> bool:
        return all(pump.done for pump in self._pumps)

    def ring(self, data: bytes) -> bool:  # noqa: ARG002  the shape of streams
        return False

    def close(self) -> None:
        for outer, one in self._filters:
            put(outer, one.finish() + (b"\x1b[m" if one.removed else b""))
        self._filters.clear()
        for fd in set(self._inner or ()) - {-1}:
            os.close(fd)
        self._inner = None


class Terminal:
    """A person at a terminal: raw mode, resize, reset (D15). allowed: what this person lets through."""

    terminal = True

    def __init__(self, keyboard: int = 0, display: int = 1, allowed: Allowed | None = None) -> None:
        self._screen = Screen(keyboard, display, allowed)
        self._resized: Resized | None = None
        self._master = -1
        self._shown: Pump | None = None
        self._typed: Pump | None = None

    def attach(self, loop: Loop, stdio: Stdio) -> None:
        self._master = stdio[0]
        os.set_blocking(self._master, False)
        resize(self._master, *size(self._screen.display))
        self._screen.__enter__()
        self._resized = Resized()
        loop.read(self._resized.fd, self._follow)
        self._typed = Pump(loop, self._screen.keyboard, self._master, self._screen.keys)
        self._shown = Pump(loop, self._master, self._screen.display, self._show)

    def _show(self, data: bytes) -> bytes:
        out = self._screen.show(data)
        if self._screen.answers and self._typed:
            self._typed.give(bytes(self._screen.answers))
            self._screen.answers.clear()
        return out

    def _follow(self) -> None:
        if self._resized:
            self._resized.clear()
            resize(self._master, *size(self._screen.display))

    def drained(self) -> bool:
        return self._shown is None or self._shown.done

    def ring(self, data: bytes) -> bool:
        """Behind what the agent wrote: the filter passes sequences whole, so ours is never inside one of them."""
        if self._shown is not None and data:
            self._shown.give(data)
        return True

    def close(self) -> None:
        if self._resized:
            self._resized.close()
            self._resized = None
            self._screen.__exit__()
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


class Recorder:
    """Headless: no input, output to a callback (events), errors to a descriptor of ours."""

    terminal = False

    def __init__(self, take: Callable[[bytes], None], stderr: int = 2) -> None:
        self._take = take
        self._stderr = stderr
        self._inner: Stdio | None = None
        self._open = 0
        self._filter = TerminalFilter() if is_terminal(stderr) else None

    def attach(self, loop: Loop, stdio: Stdio) -> None:
        os.close(stdio[0])
        self._inner = stdio
        self._open = 2
        for fd, take in ((stdio[1], self._take), (stdio[2], self._complain)):
            os.set_blocking(fd, False)
            loop.read(fd, lambda fd=fd, take=take: self._hear(loop, fd, take))

    def _hear(self, loop: Loop, fd: int, take: Callable[[bytes], None]) -> None:
        try:
            data = os.read(fd, 65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            take(data)
            return
        loop.forget(fd)
        self._open -= 1

    def _complain(self, data: bytes) -> None:
        put(self._stderr, self._filter.feed(data) if self._filter else data)

    def drained(self) -> bool:
        return self._open == 0

    def ring(self, data: bytes) -> bool:  # noqa: ARG002  the shape of streams
        return False

    def close(self) -> None:
        for fd in (self._inner or ())[1:]:
            os.close(fd)
        self._inner = None


def choose(interactive: bool, allowed: Allowed | None = None) -> Streams:
    """The person's terminal where all three descriptors are one (or `interactive`), else pipes."""
    if interactive or is_terminal(0, 1, 2):
        return Terminal(0, 1, allowed)
    return Pipes()


def put(fd: int, data: bytes) -> None:
    """All of it, or as much as the reader takes before it goes."""
    while data:
        try:
            data = data[os.write(fd, data) :]
        except OSError:
            return
