"""Starts our own Python processes: keeper, gateway, session. Stops D06 (shadow modules) and D01 (inherited fds).

Each is exec'd, so that it shares neither address layout nor heap with its parent (D19): `-I`, cwd `/`, a listed
environment, the descriptors 3.. as given and nothing else above 2, a session of its own (ctrl-C is the agent's).
"""

import os
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


@dataclass(slots=True)
class Child:
    """A process of ours. pidfd: readable once it has ended; closed by `reap`."""

    name: str
    pid: int
    pidfd: int

    def kill(self) -> None:
        if self.pidfd >= 0:
            try:
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def ended(self, timeout: float) -> bool:
        """Whether it ended within `timeout` seconds."""
        if self.pidfd < 0:
            return True
        poll = select.poll()
        poll.register(self.pidfd, select.POLLIN)
        return bool(poll.poll(max(0, int(timeout * 1000))))

    def reap(self, timeout: float = 0) -> int:
        """Exit status (negative for a signal); killed where it has not ended by then. Idempotent: 0 afterwards."""
        if self.pidfd < 0:
            return 0
        if not self.ended(timeout):
            self.kill()
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:
            status = 0
        os.close(self.pidfd)
        self.pidfd = -1
        return os.waitstatus_to_exitcode(status)


def listed(environ: Mapping[str, str], also: Sequence[str] = ()) -> dict[str, str]:
    """The environment that a process of ours gets: a short list, no PYTHON*, no LD_*."""
    return {name: environ[name] for name in (*_KEPT, *also) if name in environ}


def spawn(module: str, fds: Sequence[int], env: Mapping[str, str], quiet: bool = False, errors: int = -1) -> Child:
    """`python -I -m module` with `fds` as 3, 4, ... ; standard input is /dev/null, output and errors are ours.

    quiet: output and errors are /dev/null, too; or errors are this descriptor.
    """
    argv = [sys.executable, "-I", "-m", module]
    pid = os.fork()
    if pid == 0:
        try:
            _become(argv, fds, env, quiet, errors)
        finally:
            os._exit(127)
    return Child(module, pid, os.pidfd_open(pid))


def _become(argv: list[str], fds: Sequence[int], env: Mapping[str, str], quiet: bool, errors: int) -> None:
    os.setsid()
    wrong = _above(errors, 64 + len(fds)) if errors >= 0 else -1
    high = [_above(fd, 64 + len(fds)) for fd in fds]
    null = _above(os.open(os.devnull, os.O_RDWR), 64 + len(fds))
    os.dup2(null, 0)
    for number in (1, 2):
        if quiet:
            os.dup2(null, number)
        else:
            _ensure(number, null)
    if wrong >= 0:
        os.dup2(wrong, 2)
    for place, fd in enumerate(high):
        os.dup2(fd, 3 + place)
    os.closerange(3 + len(fds), 1 << 20)
    os.chdir("/")
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.execve(argv[0], argv, dict(env))  # noqa: S606  an argument list, no shell


def _above(fd: int, floor: int) -> int:
    import fcntl

    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, floor)


def _ensure(number: int, null: int) -> None:
    """Somebody may have started us without standard output: then it is /dev/null."""
    try:
        os.fstat(number)
    except OSError:
        os.dup2(null, number)
