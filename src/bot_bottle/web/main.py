"""`python -I -m bot_bottle.web.main`, started by `serve` with fd 3 as its channel: numbered start-up.

Parses what browsers and API clients send, so it gets nothing worth stealing: no key, no secret store, no log to write
(D17). For tests: ``--dev --home DIR [--port N]`` runs without a starter; what needs one is refused.
"""

import argparse
import getpass
import json
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from bot_bottle.base.errors import BottleError, HostFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.supervise.model import Approver
from bot_bottle.supervise.notify.subscriptions import keep_only
from bot_bottle.web import addresses, confine, messages
from bot_bottle.web.app import build
from bot_bottle.web.desk import Door, Office
from bot_bottle.web.forwarded import Origins, is_loopback
from bot_bottle.web.messages import Begin, Listen, StarterToWeb
from bot_bottle.web.security import Defences, Gate
from bot_bottle.web.serving import Front, Listener, context, load, quiet
from bot_bottle.web.sessions import Sessions
from bot_bottle.web.starter import ChannelStarter, NoStarter, Starter
from bot_bottle.web.store import Store


class System:
    """The real clock."""

    def wall(self) -> int:
        return time.time_ns()

    def monotonic(self) -> int:
        return time.monotonic_ns()


@dataclass(slots=True)
class Web:
    """A web process that is about to serve. urls: in the order of the listeners."""

    begin: Begin
    office: Office
    gate: Gate
    front: Front
    listeners: list[Listener]
    urls: tuple[str, ...]
    confinement: str = ""

    @property
    def local(self) -> str:
        """The page for the person at this machine."""
        return addresses.local(self.urls)

    def key(self) -> str:
        """A new one-time key for them."""
        return self.office.door.keys.issue()

    def link(self) -> str:
        """Their page with one."""
        return addresses.link(self.urls, self.key())

    def renew(self, order: messages.Renew) -> None:
        """From the next connection and request on."""
        for listener in self.listeners:
            if listener.context is not None:
                load(listener.context, order.certificate)
        if order.names:
            self.begin = msgspec.structs.replace(self.begin, names=order.names)
            self.gate.origins = origins(self.begin)
            self.urls = places(self.begin, self.listeners)
            self.office.door.pairs = addresses.pairs(self.begin, self.urls)


def main() -> int:
    """Exit status of the process."""
    os.umask(0o077)
    quiet()
    if "--dev" in sys.argv:
        return alone()
    starter = ChannelStarter(socket.socket(fileno=3))  # 1 the one who started us
    begin, fds = starter.channel.receive()
    assert isinstance(begin, Begin)
    try:
        web = prepare(begin, fds, starter)
        web.confinement = confine.confine(web.office.home)  # 4 nothing is parsed before this
    except (BottleError, OSError) as error:
        slug = error.slug if isinstance(error, BottleError) else "host.refused"
        starter.say(messages.Refused(slug, str(error)))
        return 1
    serve(web, starter)
    return 0


def prepare(begin: Begin, fds: list[int], starter: Starter, defences: Defences | None = None) -> Web:
    """2 sockets, before we may no longer bind; 3 the application. defences: fewer of them, for tests only."""
    allowed(begin)
    home = Home(begin.home, begin.runtime)
    passed = iter(fds)
    listeners = [listener(place, begin, passed) for place in begin.listen]
    urls = places(begin, listeners)
    door = Door(pairs=addresses.pairs(begin, urls), push_key=begin.push_key)
    if begin.certificate:
        door.fingerprint, door.authority = begin.certificate.fingerprint, begin.certificate.authority
    local = Approver("os", str(begin.uid), begin.user or str(begin.uid), "web")
    office = Office(home, System(), starter, Store(home), local, door)
    gate = build(office, origins(begin), defences)
    keep_only(home.web, Sessions(office.store).signed_in(office.clock.wall()))  # sessions end while we are away, too
    os.makedirs(os.path.dirname(home.index), 0o700, exist_ok=True)
    return Web(begin, office, gate, Front(gate, listeners), listeners, urls)


def origins(begin: Begin) -> Origins:
    return Origins(frozenset(begin.names), frozenset(begin.proxies), begin.public)


def allowed(begin: Begin) -> None:
    """Loopback only, unless with TLS (devices pair) or behind a reverse proxy that was stated. Raises UsageFault."""
    for place in begin.listen:
        if not place.passed:
            permitted(place, place.address, begin)
    if any(place.tls for place in begin.listen) and begin.certificate is None:
        raise UsageFault("web.no-certificate", "There is no certificate for the TLS listener.")


def permitted(place: Listen, address: str, begin: Begin) -> None:
    """As `allowed`, for one place; of a passed socket the address is what the kernel says."""
    if place.tls or is_loopback(address):
        return
    if not (place.proxied and begin.proxies and begin.public.startswith("https://")):
        raise UsageFault(
            "web.open", f"The dashboard does not listen on {address} without TLS.",
            "Use serve --phone, or state the reverse proxy in front of it.",
        )  # fmt: skip


def listener(place: Listen, begin: Begin, passed: Iterator[int]) -> Listener:
    """A listening socket with its TLS context."""
    if place.passed:
        sock = socket.socket(fileno=next(passed))
        permitted(place, str(sock.getsockname()[0]), begin)
    else:
        family = socket.AF_INET6 if ":" in place.address else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((place.address, place.port))
        except OSError as error:
            what = f"The port {place.port} of {place.address} cannot be used: {error.strerror}."
            raise HostFault("web.port", what, "Choose another with --port.") from None
        sock.listen(64)
    sock.setblocking(False)
    return Listener(sock, context(begin.certificate) if place.tls and begin.certificate else None)


def places(begin: Begin, listeners: list[Listener]) -> tuple[str, ...]:
    """URL of each listener, in order."""
    return addresses.urls(begin, [one.sock for one in listeners])


def serve(web: Web, starter: ChannelStarter) -> None:
    """5 says where, 6 serves until the starter is gone or asks us to end."""
    ends_on_term(web)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    starter.say(messages.Serving(web.local, web.urls, web.key(), web.confinement))
    thread = threading.Thread(target=hear, args=(web, starter), daemon=True)
    thread.start()
    web.front.run()


def ends_on_term(web: Web) -> None:
    """SIGTERM is a wish to end, with a bounded farewell to open streams."""

    def end(_number: int, _frame: object) -> None:
        web.front.end()

    signal.signal(signal.SIGTERM, end)


def hear(web: Web, starter: ChannelStarter) -> None:
    """What the starter asks of us; its end is ours."""

    def heard(message: StarterToWeb) -> None:
        match message:
            case messages.Renew():
                web.renew(message)
            case messages.IssueKey():
                starter.say(messages.KeyMade(web.key()))
            case messages.IssueCode():
                starter.say(messages.CodeMade(web.office.door.codes.issue()))
            case _:
                pass

    try:
        starter.listen(heard)
    finally:
        web.front.end()


def alone() -> int:
    """``--dev``: one line of JSON with url and link, then serves until SIGTERM."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--dev", action="store_true")
    parser.add_argument("--home", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--open", action="store_true", help="without confinement")
    given = parser.parse_args()
    begin = Begin(
        given.home, f"{given.home}/run", (Listen(port=given.port),), user=getpass.getuser(), uid=os.getuid()
    )
    web = prepare(begin, [], NoStarter())
    if not given.open:
        web.confinement = confine.confine(web.office.home)
    ends_on_term(web)
    said = {"url": web.local, "link": web.link(), "confinement": web.confinement}
    print(json.dumps(said), flush=True)
    web.front.run()
    return 0


if __name__ == "__main__":
    os._exit(main())
