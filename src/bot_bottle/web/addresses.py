"""Where the dashboard is reached, by its listening sockets: told alike by the web process and by the starter, which
shows a person only what its own sockets say (D17)."""

import socket
from collections.abc import Sequence

from bot_bottle.web.messages import Begin, Listen

LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


def urls(begin: Begin, sockets: Sequence[socket.socket]) -> tuple[str, ...]:
    """Of each listener, in order."""
    return tuple(url(place, sock, begin.names) for place, sock in zip(begin.listen, sockets, strict=True))


def url(place: Listen, sock: socket.socket, names: Sequence[str]) -> str:
    """How a browser names this listener; of one on all addresses the first of our names."""
    address, port = sock.getsockname()[:2]
    if address in ("0.0.0.0", "::") or place.tls:  # noqa: S104
        address = next((name for name in names if name not in LOOPBACK_NAMES), address)
    name = f"[{address}]" if ":" in address and not address.startswith("[") else address
    return f"{'https' if place.tls else 'http'}://{name}:{port}"


def local(found: Sequence[str]) -> str:
    """The page for the person at this machine."""
    return next((one for one in found if one.startswith("http://")), found[0])


def link(found: Sequence[str], key: str) -> str:
    """The same with a one-time key."""
    return f"{local(found)}/?key={key}"


def pairs(begin: Begin, found: Sequence[str]) -> str:
    """Where another device types its code; "" where none can reach us."""
    away = begin.public or next((one for one in found if one.startswith("https://")), "")
    return f"{away}/pair" if away else ""
