"""The host connects in: 127.0.0.1 here to a port inside, connection by connection. Nothing in the bottle leads out.

Each connection is dialled by a short-lived process that enters the bottle's network namespace and only connects.
"""

import os
import signal
import socket
from collections.abc import Callable

from bot_bottle.base.errors import BottleError, BusyFault, HostFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.control import held
from bot_bottle.bottles.relay import Pump
from bot_bottle.bottles.seal import enter
from bot_bottle.bottles.signals import Signals
from bot_bottle.keeper.loop import Loop

_MOST = 64


class Forwarder:
    """Serves until it is stopped or the bottle has ended."""

    def __init__(self, home: Home, label: str, port: int, listener: socket.socket) -> None:
        self._home = home
        self._label = label
        self._port = port
        self._loop = Loop()
        self._listener = listener
        self._open = 0
        self._over = False

    def run(self) -> None:
        """Until SIGINT, SIGTERM or the end of the bottle."""
        self._loop.read(self._listener.fileno(), self._accept)
        self._loop.later(1, self._look)
        with Signals(self._loop, (signal.SIGINT, signal.SIGTERM), lambda _number: self._stop()):
            self._loop.run(lambda: self._over)

    def _stop(self) -> None:
        self._over = True

    def _look(self) -> None:
        if leases.alive(self._home, self._label):
            self._loop.later(1, self._look)
        else:
            self._stop()

    def _accept(self) -> None:
        try:
            outside, _ = self._listener.accept()
        except OSError:
            return
        found = leases.read(self._home, self._label)
        if self._open >= _MOST or found is None or found.handle is None:
            outside.close()
            return
        try:
            inside = socket.socket(fileno=enter.dial(found.handle, self._port))
        except BottleError:
            outside.close()
            return
        self._join(outside, inside)

    def _join(self, outside: socket.socket, inside: socket.socket) -> None:
        self._open += 1
        left = [2]
        for sock in (outside, inside):
            sock.setblocking(False)

        def ended(sink: socket.socket) -> None:
            try:
                sink.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            left[0] -= 1
            if not left[0]:
                for sock in (outside, inside):
                    self._loop.forget(sock.fileno())
                    sock.close()
                self._open -= 1

        Pump(self._loop, outside.fileno(), inside.fileno(), None, lambda: ended(inside))
        Pump(self._loop, inside.fileno(), outside.fileno(), None, lambda: ended(outside))


def serve(home: Home, label: str, port: int, listen: int, ready: Callable[[int], None]) -> None:
    """127.0.0.1:listen of this host (0: any free one; `ready` is told which) to 127.0.0.1:port inside."""
    if not 0 < port < 65536 or not 0 <= listen < 65536:
        raise UsageFault("forward.port", "A port is a number from 1 to 65535.")
    found = held(home, label)
    if found.handle is None:
        raise HostFault("bottle.starting", f"The bottle {label} is still starting.", "Try again.")
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", listen))
        except OSError as error:
            what = f"Port {listen} of this host cannot be used: {os.strerror(error.errno or 0)}."
            raise BusyFault("forward.busy", what, "Give another with --listen.") from error
        listener.listen(16)
        listener.setblocking(False)
        ready(listener.getsockname()[1])
        Forwarder(home, label, port, listener).run()
