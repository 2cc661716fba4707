"""Another command in a running bottle: same namespaces, filter, limits, environment; pipes or pty of ours (D01)."""

import os
import pty
import signal

from bot_bottle.base.errors import BusyFault, HostFault
from bot_bottle.base.home import Home
from bot_bottle.bottles.control import held
from bot_bottle.bottles.seal import enter
from bot_bottle.bottles.signals import Signals
from bot_bottle.bottles.streams import Pipes, Stdio, Terminal
from bot_bottle.keeper.loop import Loop

_DRAIN_SECONDS = 5.0


def execute(
    home: Home, label: str, argv: tuple[str, ...], terminal: bool, streams: Pipes | Terminal | None = None
) -> int:
    """Runs argv and relays until it ends; its exit status (128+n for a signal, 143 where we were stopped)."""
    found = held(home, label)
    if found.handle is None:
        raise HostFault("bottle.starting", f"The bottle {label} is still starting.", "Try again.")
    if found.frozen:
        raise BusyFault("bottle.frozen", f"The bottle {label} is frozen.", f"First: bot-bottle thaw {label}")
    inner, outer = stdio(terminal)
    try:
        pidfd = enter.enter(found.handle, enter.Entry(argv, found.env, inner, terminal))
    except BaseException:
        close(outer)
        raise
    finally:
        close(inner)
    relay = streams or (Terminal() if terminal else Pipes())
    return _until_end(pidfd, relay, outer)


def stdio(terminal: bool) -> tuple[Stdio, Stdio]:
    """(the command's ends, ours)."""
    if terminal:
        master, slave = pty.openpty()
        return (slave, slave, slave), (master, master, master)
    (in_r, in_w), (out_r, out_w), (err_r, err_w) = os.pipe(), os.pipe(), os.pipe()
    return (in_r, out_w, err_w), (in_w, out_r, err_r)


def close(fds: Stdio) -> None:
    for fd in set(fds):
        os.close(fd)


def _until_end(pidfd: int, relay: Pipes | Terminal, outer: Stdio) -> int:
    loop = Loop()
    ended: list[int] = []
    try:
        relay.attach(loop, outer)
        loop.read(pidfd, lambda: ended.append(-1))
        with Signals(loop, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), lambda number: ended.append(128 + number)):
            loop.run(lambda: bool(ended))
            if ended[0] > 0:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            loop.forget(pidfd)
            loop.run(relay.drained, _DRAIN_SECONDS)
    finally:
        relay.close()
    result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
    os.close(pidfd)
    if ended[0] > 0 or result is None:
        return max(ended[0], 1)
    return result.si_status if result.si_code == os.CLD_EXITED else 128 + result.si_status
