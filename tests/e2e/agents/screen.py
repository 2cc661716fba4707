"""A terminal with somebody in front of it: `bot-bottle start` in a pty, its screen as text."""

import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte


class Screen:
    """rows, columns: of the terminal. Terminal queries are answered as a real terminal would."""

    def __init__(self, argv: list[str], cwd: Path, env: dict[str, str], rows: int = 40, columns: int = 120) -> None:
        self.child: pexpect.spawn[bytes] = pexpect.spawn(
            argv[0], argv[1:], cwd=str(cwd), env=env, dimensions=(rows, columns), timeout=5
        )
        self.screen = pyte.Screen(columns, rows)
        self.stream = pyte.ByteStream(self.screen)
        self.raw = b""

    def pump(self, seconds: float = 0.2) -> bool:
        """Reads for a while; False at the end of the program."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                data = self.child.read_nonblocking(65536, timeout=left)
            except pexpect.TIMEOUT:
                return True
            except pexpect.EOF:
                return False
            self.raw += data
            self.stream.feed(data)
        return True

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).strip("\n")

    def until(self, true: Callable[[], bool], seconds: float = 30) -> None:
        """Reads until `true` holds; fails with the screen."""
        deadline = time.monotonic() + seconds
        while not true():
            alive = self.pump(0.1)
            if true():
                return
            assert alive and time.monotonic() < deadline, f"not within {seconds} s; the screen:\n{self.text()}"

    def shows(self, *words: str) -> None:
        """Waits until each of the words stands on the screen."""
        self.until(lambda: all(word in self.text() for word in words))

    def type(self, text: str) -> None:
        """Types and presses Enter, as a person: the text is on the screen before the key."""
        self.child.send(text)
        self.shows(text)
        self.child.send("\r")

    def resize(self, rows: int, columns: int) -> None:
        self.child.setwinsize(rows, columns)
        self.screen.resize(rows, columns)

    def ended(self, seconds: float = 30) -> int:
        """The exit status, after the program is gone."""
        deadline = time.monotonic() + seconds
        while self.pump(0.2) and time.monotonic() < deadline:
            pass
        self.child.wait()
        return self.child.exitstatus if self.child.exitstatus is not None else 128 + (self.child.signalstatus or 0)
