"""The seal's listening sockets: accepted here, counted, and given to the entry of their kind."""

import socket

from bot_bottle.egress.entries.dns import DnsDoor
from bot_bottle.egress.entries.forward import Forward
from bot_bottle.egress.entries.transparent import transparent
from bot_bottle.egress.gateway import Gateway
from bot_bottle.egress.leg import Leg
from bot_bottle.egress.loop import IN

_REST = 0.1


class Doors:
    """All doors of one bottle."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def open(self, kinds: tuple[str, ...], fds: list[int]) -> None:
        """Serves the sockets, which are in the order of their kinds."""
        for kind, fd in zip(kinds, fds, strict=True):
            door = socket.socket(fileno=fd)
            door.setblocking(False)
            self._gateway.own(door)
            if kind.startswith("dns"):
                DnsDoor(self._gateway, door, stream=kind == "dns-tcp")
            else:
                self._gateway.loop.watch(fd, IN, lambda _mask, d=door, k=kind: self._accept(d, k))

    def _accept(self, door: socket.socket, kind: str) -> None:
        """One connection a turn: the loop is level-triggered, and a second accept would mostly find nothing."""
        gateway = self._gateway
        try:
            sock, _ = door.accept()
        except BlockingIOError:
            return
        except OSError:  # no descriptor is left: the door stays readable, so it rests instead of spinning
            gateway.gauges.refuse("accept")
            fd = door.fileno()
            gateway.loop.change(fd, 0)
            gateway.loop.later(_REST, lambda: gateway.loop.resume(fd))
            return
        if len(gateway.clients) >= gateway.limits.connections:
            gateway.gauges.refuse("connections")
            gateway.counters.limited += 1
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._admit(sock, kind)

    def _admit(self, sock: socket.socket, kind: str) -> None:
        """The bottle is known by the door; the destination by the socket's own name."""
        leg = Leg(self._gateway.loop, sock, _NOBODY)
        if kind == "forward":
            Forward(self._gateway, leg)
            return
        address, port = sock.getsockname()[:2]
        transparent(self._gateway, leg, kind, address.removeprefix("::ffff:"), port)


class _Nobody:
    """Owner of a leg in the moment before its door takes it."""

    def received(self, _data: bytes, /) -> None:
        raise AssertionError("a leg without an owner")

    def ended(self, _clean: bool, /) -> None:
        """Nothing to end."""

    def drained(self) -> None:
        """Nothing was written."""


_NOBODY = _Nobody()
