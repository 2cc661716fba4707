"""The seal probe: our own file, run by our own interpreter inside the bottle before the agent, under the same filter.

The launcher lays bait outside (a TCP, a UDP and an abstract socket) and a canary into its own environment; the probe
tries to reach and to find them. If it finds one way out, nothing starts. D01, D03, S01-S09, B18, B22, B26, B57.
"""

import os
import secrets
import select
import socket
from dataclasses import dataclass, field
from importlib import resources

from bot_bottle.base.errors import SealFault
from bot_bottle.bottles.seal.bottle import Bottle
from bot_bottle.bottles.seal.layout import PROBE
from bot_bottle.bottles.seal.spec import Content
from bot_bottle.bottles.seal.start import ADVICE

CANARY = "BOT_BOTTLE_CANARY"
SECONDS = 20.0


def content() -> Content:
    """The probe's file, as it lies beside this module."""
    source = resources.files("bot_bottle.bottles.seal").joinpath("probe_inside.py")
    return Content(PROBE, source.read_bytes())


def run(bottle: Bottle, bait: "Bait") -> list[str]:
    """The ways out that were found, inside and at the bait. Raises SealFault when the probe did not end well."""
    bottle.say(f"probe {bait.words()}")
    ways: list[str] = []
    try:
        while (line := bottle.read_line(SECONDS)) != "end":
            if line == "failed":
                raise EOFError
            ways.append(line)
    except (EOFError, TimeoutError) as error:
        raise SealFault("seal.no-probe", "The seal probe did not run to its end.", ADVICE) from error
    ways += bait.taken()
    bait.close()
    return ways


@dataclass(slots=True)
class Bait:
    """What must stay out of reach. Made before the helper is forked, so that everything could be inherited.

    canary: hex text that stands in the launcher's environment while the helper forks.
    """

    canary: str = field(default_factory=lambda: secrets.token_hex(16))
    sockets: list[socket.socket] = field(default_factory=list[socket.socket])
    port: int = 0

    def lay(self, avoid: tuple[int, ...] = ()) -> None:
        """Listens on loopback on a free port that no door uses, TCP and UDP, and on an abstract name."""
        while not self.port or self.port in avoid:
            self.close()
            tcp = socket.create_server(("127.0.0.1", 0), backlog=4)
            self.port = tcp.getsockname()[1]
            self.sockets.append(tcp)
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sockets.append(udp)
        udp.bind(("127.0.0.1", 0))
        abstract = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sockets.append(abstract)
        abstract.bind(b"\0" + self.name().encode())
        abstract.listen(4)
        os.environ[CANARY] = self.canary

    def name(self) -> str:
        return f"bot-bottle-bait-{self.port}"

    def words(self) -> str:
        """What the probe is told. The canary is complemented: the init's memory must not hold it."""
        hidden = bytes(byte ^ 0xFF for byte in bytes.fromhex(self.canary)).hex()
        udp_port = self.sockets[1].getsockname()[1]
        return f"{self.port} {udp_port} {self.name()} {hidden} {os.readlink('/proc/self/ns/net')}"

    def taken(self) -> list[str]:
        """Ways out that show on our side: something arrived."""
        poll = select.poll()
        for sock in self.sockets:
            poll.register(sock, select.POLLIN)
        return [f"something in the bottle reached the host's socket {fd}" for fd, _ in poll.poll(0)]

    def forget(self) -> None:
        """The canary leaves our environment again; the bait stays until the probe has run."""
        os.environ.pop(CANARY, None)

    def close(self) -> None:
        for sock in self.sockets:
            sock.close()
        self.sockets.clear()
        self.port = 0
