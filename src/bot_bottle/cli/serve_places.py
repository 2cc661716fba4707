"""Where the dashboard listens: the sockets that the starter keeps, and under which names it is reached.

Loopback always. All else is one of two: TLS by our own authority, for paired devices (`--phone`), or a reverse proxy
that the settings state.
"""

import contextlib
import errno
import os
import pwd
import socket
from dataclasses import dataclass, field

from bot_bottle.api.settings import Serve
from bot_bottle.api.warm import WarmKeeper
from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home
from bot_bottle.web import messages, phone
from bot_bottle.web.messages import Listen

PORT, PHONE_PORT = 4747, 4748
"""Tried first where nobody chose one, so that a bookmark stays good."""


@dataclass(slots=True)
class Places:
    """sockets: in the order of `listen`. names: for the Host header and the certificate."""

    listen: tuple[Listen, ...]
    sockets: list[socket.socket]
    names: tuple[str, ...] = ()
    serve: Serve = field(default_factory=Serve)

    @property
    def tls(self) -> bool:
        return any(one.tls for one in self.listen)

    def begin(self, home: Home, certificate: messages.Certificate | None, push_key: str) -> messages.Begin:
        """The web process's first frame."""
        uid = os.getuid()
        return messages.Begin(
            home.root, home.runtime, self.listen, self.names, self.serve.proxies, self.serve.public, certificate,
            user=user(uid), uid=uid, push_key=push_key,
        )  # fmt: skip

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()


def choose(serve: Serve, port: int | None, with_phone: bool) -> Places:
    """Binds all of them. port: of the loopback page, None for the settings'. Raises HostFault."""
    wanted = serve.port if port is None else port
    opened = contextlib.ExitStack()
    with opened:
        sockets = [opened.enter_context(bound("127.0.0.1", wanted, PORT if port is None else 0))]
        listen = [Listen("127.0.0.1", sockets[0].getsockname()[1], proxied=bool(serve.proxies), passed=True)]
        names = list(serve.names)
        if with_phone:
            names += [*phone.addresses(), *phone.names()]
            sockets.append(opened.enter_context(bound(serve.address, serve.phone_port, PHONE_PORT)))
            listen.append(Listen(serve.address, sockets[1].getsockname()[1], tls=True, passed=True))
        opened.pop_all()
    return Places(tuple(listen), sockets, tuple(dict.fromkeys(names)), serve)


def certificate(warm: WarmKeeper, home: Home, places: Places) -> messages.Certificate | None:
    """A fresh one for these names; None where nothing is served over TLS. Raises BottleError."""
    if not places.tls:
        return None
    names = (*places.names, "localhost", "127.0.0.1")
    made = warm.ask(lambda crew: crew.issue_leaf(home, names, socket.gethostname().partition(".")[0].lower()))
    return messages.Certificate(made.leaf, made.key, made.authority, made.fingerprint)


def bound(address: str, port: int, first: int) -> socket.socket:
    """A listening socket. port 0: `first` where it is free (0: none is tried), else any."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for one in (port,) if port else (first, 0) if first else (0,):
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((address, one))
            sock.listen(64)
        except OSError as error:
            sock.close()
            if one and not port and error.errno in (errno.EADDRINUSE, errno.EACCES):
                continue
            what = f"The port {one} of {address} cannot be used: {error.strerror}."
            raise HostFault("web.port", what, "Choose another with --port.") from None
        return sock
    raise HostFault("web.port", f"No port of {address} can be used.", "Choose one with --port.")


def user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
