"""How an agent is asked to go before it is made to (S11): the signal a terminal would send, a few seconds, the end.

Only to the agent: the two inits of a bottle are the first of their pid namespaces, and the kernel drops a signal to
such a process that has no handler for it.
"""

import contextlib
import os
import signal
from collections.abc import Callable

from bot_bottle.bottles.ports import Started
from bot_bottle.bottles.seal import processes
from bot_bottle.keeper.loop import Loop

GRACE_SECONDS = 3.0


class Leaving:
    """ask: once; `over` is called when the time is up. Asking again is `over` at once."""

    def __init__(self, loop: Loop, bottle: Started, terminal: bool, over: Callable[[], None]) -> None:
        self._loop = loop
        self._bottle = bottle
        self._terminal = terminal
        self._over = over
        self.asked = False

    def ask(self, number: int) -> None:
        if self.asked:
            self._over()
            return
        self.asked = True
        tell(self._bottle, number, self._terminal)
        self._loop.later(GRACE_SECONDS, self._over)


def tell(bottle: Started, number: int, terminal: bool) -> None:
    """Signals the agent: with pipes its process group, as ctrl-C does; at a terminal the leader of its session.

    The group has the number of the bottle's first process, which is a child of ours and not yet reaped, so it is
    nobody else's; the leader is signalled by descriptor for the same reason.
    """
    with contextlib.suppress(OSError):
        if not terminal:
            os.killpg(bottle.pid, number)
            return
        agent = processes.inner_init(processes.inner_init(bottle.pid))
        leader = os.pidfd_open(agent)
        try:
            if processes.namespace(agent) == processes.namespace(processes.inner_init(bottle.pid)):
                signal.pidfd_send_signal(leader, number)
        finally:
            os.close(leader)
