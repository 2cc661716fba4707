"""A started bottle as the run sees it: words to its init, its end, its certain stop. Implements `ports.Started`."""

import contextlib
import os
import select
import signal
import time

from bot_bottle.base.errors import SealFault
from bot_bottle.bottles.seal.start import Opened, close_all

READY_SECONDS = 20.0
STOP_SECONDS = 20.0
SIGNALLED = 128


class Bottle:
    """One sealed bottle. `doors`, `stdio` and `pidfd` belong to the caller; the rest closes at `close`."""

    def __init__(self, opened: Opened) -> None:
        self.pid = opened.pid
        self.pidfd = opened.pidfd
        self.doors = opened.doors
        self.stdio = opened.stdio
        self.ids = opened.ids
        self.meters = opened.meters
        self._ready = opened.ready
        self._release = opened.release
        self._helper = opened.helper
        self._status: int | None = None
        self._text = b""

    def wait_ready(self, timeout: float = READY_SECONDS) -> None:
        """Until the init inside runs. Raises SealFault, with everything ended, when it does not."""
        try:
            if self.read_line(timeout) == "ready":
                self._reap_helper()
                return
        except (EOFError, TimeoutError):
            pass
        complaint = self.complaint()
        self.stop()
        raise SealFault("seal.not-up", f"The sandbox did not come up: {complaint}.", "Run `bot-bottle doctor`.")

    def _reap_helper(self) -> None:
        if self._helper:
            os.waitpid(self._helper, 0)
        self._helper = 0

    def complaint(self) -> str:
        """What bubblewrap said on the agent's stderr before the agent existed."""
        source = self.stdio[2]
        if not readable([source], 0.5):
            return "no reason given"
        with contextlib.suppress(OSError):
            return os.read(source, 2000).decode("utf-8", "replace").strip() or "no reason given"
        return "no reason given"

    def say(self, words: str) -> None:
        try:
            os.write(self._release, words.encode() + b"\n")
        except BrokenPipeError as error:
            raise SealFault("seal.ended", "The bottle ended before its agent started.", "Look at its log.") from error

    def read_line(self, timeout: float) -> str:
        """The next line of the init or probe. Raises EOFError or TimeoutError."""
        deadline = time.monotonic() + timeout
        while b"\n" not in self._text:
            left = deadline - time.monotonic()
            if left <= 0 or not readable([self._ready], left):
                raise TimeoutError
            part = os.read(self._ready, 65536)
            if not part:
                raise EOFError
            self._text += part
        line, _, self._text = self._text.partition(b"\n")
        return line.decode("utf-8", "replace")

    def go(self) -> None:
        """Releases the agent (S06)."""
        self.say("go")
        close_all((self._release, self._ready))
        self._release = self._ready = -1

    def wait(self, timeout: float | None = None) -> int | None:
        if self._status is None and readable([self.pidfd], timeout):
            self._status = exit_status(self.pidfd)
        return self._status

    def stop(self) -> None:
        """S11. Certain: a killed namespace init is not reported dead before all of its processes are."""
        if self._status is None:
            kill(self.pidfd)
            if self.wait(STOP_SECONDS) is None:
                raise SealFault("seal.undead", "The bottle does not die.", "Look at `ps` for processes in state D.")
        self._reap_helper()
        self.ids.release()

    def close(self) -> None:
        """Closes what only we use; the caller's descriptors stay open."""
        close_all(fd for fd in (self._ready, self._release, *self.meters) if fd >= 0)
        self._ready = self._release = -1
        self.meters = []


def readable(fds: list[int], timeout: float | None) -> list[int]:
    """poll, not epoll or select: any descriptor number, and no per-user budget (D16)."""
    poll = select.poll()
    for fd in fds:
        poll.register(fd, select.POLLIN)
    return [fd for fd, _ in poll.poll(None if timeout is None else max(int(timeout * 1000), 0))]


def kill(pidfd: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def exit_status(pidfd: int) -> int:
    """Reaps the child behind the pidfd: its exit status, or 128+n for a signal."""
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    if result is None:
        raise ChildProcessError
    return result.si_status if result.si_code == os.CLD_EXITED else SIGNALLED + result.si_status
