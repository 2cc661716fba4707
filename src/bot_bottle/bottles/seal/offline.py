"""A sealed helper run without a door: git on an agent-written tree and the like (D05). It reaches nothing.

The same seal, filter, ids and limits as a bottle, but no listener at all: every connection is refused.
"""

import os
import select
import time
from dataclasses import dataclass, field

from bot_bottle.bottles.plan import Mount
from bot_bottle.bottles.seal.bottle import Bottle
from bot_bottle.bottles.seal.spec import Bind, Ceilings, Content, Spec
from bot_bottle.bottles.seal.start import close_all, start

PATH = "/usr/local/bin:/usr/bin:/bin"
CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Finished:
    """status: exit status, 128+n for signal n. stdout, stderr: at most the given caps (see `run_sealed`).

    ended: "" | "timeout" | "output" - why we killed it.
    """

    status: int
    stdout: bytes
    stderr: bytes
    ended: str = ""


def run_sealed(
    argv: tuple[str, ...],
    mounts: tuple[Mount, ...] = (),
    stdin: bytes = b"",
    timeout: float = 60.0,
    *,
    env: dict[str, str] | None = None,
    cwd: str = "/",
    stdout_limit: int = 64_000_000,
    stderr_limit: int = 64_000,
    tmp_bytes: int = 256_000_000,
    contents: tuple[Content, ...] = (),
) -> Finished:
    """Runs argv (absolute program path) in a fresh bottle with no door and waits for its end.

    mounts: host directories or files; `rw` ones keep the host's owner also as root. HOME is an empty tmpfs.
    contents: files that exist only inside. More than stdout_limit bytes end the run with `ended="output"`; more
    than stderr_limit are dropped. Raises SealFault or HostFault.
    """
    ours = {"PATH": PATH, "HOME": "/home/agent", "LANG": "C.UTF-8", **(env or {})}
    binds = tuple(Bind(mount.source, mount.target, mount.mode == "rw", ours=mount.ours) for mount in mounts)
    ceilings = Ceilings(tmp=tmp_bytes)
    spec = Spec(argv=argv, env=ours, cwd=cwd, doors=None, binds=binds, contents=contents, ceilings=ceilings)
    bottle = Bottle(start(spec))
    exchange = Exchange(bottle, stdin, {1: stdout_limit, 2: stderr_limit}, bottle.stdio[0])
    try:
        bottle.wait_ready()
        bottle.go()
        ended = exchange.run(time.monotonic() + timeout)
        bottle.stop()
        exchange.rest()
        return Finished(bottle.wait() or 0, bytes(exchange.heard[1]), bytes(exchange.heard[2]), ended)
    finally:
        bottle.stop()
        bottle.close()
        close_all(fd for fd in (exchange.stdin_fd, *bottle.stdio[1:], bottle.pidfd) if fd >= 0)


@dataclass(slots=True)
class Exchange:
    """Feeds stdin and collects the two outputs, bounded, until the bottle ends."""

    bottle: Bottle
    stdin: bytes
    limits: dict[int, int]
    stdin_fd: int
    heard: dict[int, bytearray] = field(default_factory=lambda: {1: bytearray(), 2: bytearray()})

    def run(self, deadline: float) -> str:
        """ "" when it ended by itself, else the reason why it must be stopped."""
        for fd in (self.stdin_fd, *self.bottle.stdio[1:]):
            os.set_blocking(fd, False)
        poll = select.poll()
        names = {self.bottle.stdio[n]: n for n in (1, 2)}
        for fd in names:
            poll.register(fd, select.POLLIN)
        poll.register(self.bottle.pidfd, select.POLLIN)
        poll.register(self.stdin_fd, select.POLLOUT)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                return "timeout"
            for fd, _ in poll.poll(left * 1000):
                if fd == self.bottle.pidfd:
                    self.bottle.wait()
                    return ""
                if fd == self.stdin_fd:
                    if not self.feed():
                        poll.unregister(fd)
                elif not self.hear(names[fd]):
                    poll.unregister(fd)
            if len(self.heard[1]) > self.limits[1]:
                del self.heard[1][self.limits[1] :]
                return "output"

    def feed(self) -> bool:
        """False when all is written or nobody reads; the pipe is then closed."""
        try:
            self.stdin = self.stdin[os.write(self.stdin_fd, self.stdin[:CHUNK]) :] if self.stdin else b""
        except BlockingIOError:
            return True
        except BrokenPipeError:
            self.stdin = b""
        if self.stdin:
            return True
        os.close(self.stdin_fd)
        self.stdin_fd = -1
        return False

    def hear(self, n: int) -> bool:
        try:
            part = os.read(self.bottle.stdio[n], CHUNK)
        except BlockingIOError:
            return True
        room = self.limits[2] - len(self.heard[2]) if n == 2 else len(part)
        self.heard[n] += part[: max(room, 0)]
        return bool(part)

    def rest(self) -> None:
        """What lay in the pipes at the end."""
        for n in (1, 2):
            while len(self.heard[n]) <= self.limits[n] and self.hear_now(n):
                pass
            del self.heard[n][self.limits[n] :]

    def hear_now(self, n: int) -> bool:
        try:
            part = os.read(self.bottle.stdio[n], CHUNK)
        except BlockingIOError:
            return False
        self.heard[n] += part
        return bool(part)
