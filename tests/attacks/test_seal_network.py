"""The seal's network: nothing leads out, every address is the gateway's, and its doors cannot be taken."""

import contextlib
import socket
from collections.abc import Iterator

import pytest

from attacks.seal_run import code, inside, no_filter, nothing, opened, outside, running, without
from bot_bottle.bottles.seal import doors, kernel
from bot_bottle.bottles.seal.bottle import readable

pytestmark = pytest.mark.bottle
NAMED = (8443,)


@contextlib.contextmanager
def bait() -> Iterator[tuple[int, str, list[int]]]:
    """Sockets of the host: (port, addresses, descriptors that become readable when something arrives)."""
    with contextlib.ExitStack() as stack:
        tcp = stack.enter_context(socket.create_server(("0.0.0.0", 0)))
        port = tcp.getsockname()[1]
        udp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("0.0.0.0", port))
        stream = stack.enter_context(socket.socket(socket.AF_UNIX))
        stream.bind(f"\0seal-bait-{port}")
        stream.listen()
        datagram = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
        datagram.bind(f"\0seal-bait-{port}-dgram")
        yield port, f"127.0.0.1,{own_address()}", [s.fileno() for s in (tcp, udp, stream, datagram)]


def own_address() -> str:
    """The host's address on its network; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.2"
        return sock.getsockname()[0]


def test_b11_b26_b54_b56_s04_s07_the_hosts_own_sockets_are_unreachable() -> None:
    with bait() as (port, addresses, fds):
        sealed = inside("baits", port, addresses)
        arrived = readable(fds, 0.2)
        control = outside("baits", port, addresses)
        with without(NEWNET=0, loopback=nothing, listeners=lambda named: []):
            shared = inside("baits", port, addresses)
    assert {"abstract", "abstract sendto", "tcp 127.0.0.1", "udp 127.0.0.1"} <= opened(shared)
    assert opened(sealed) == set()
    assert arrived == []
    assert {"abstract", "abstract sendto", "abstract sendmsg", "tcp 127.0.0.1", "udp 127.0.0.1"} <= opened(control)


def test_b12_b18_b22_b24_every_address_and_resolver_is_the_gateway() -> None:
    sealed = inside("to_the_gate", doors=NAMED)
    assert {name for name, answer in sealed.items() if answer != "GATE"} == set()
    with without(every_address_is_local=nothing):
        control = inside("to_the_gate", doors=NAMED)
    assert control["169.254.169.254 80"] == "ENETUNREACH"
    assert control["fd00:ec2::254 80"] == "ENETUNREACH"
    assert control["dns 8.8.8.8 2"] == "ENETUNREACH"
    assert control["127.0.0.1 8443"] == "GATE"


def test_b12_without_v6_listeners_v6_addresses_are_not_answered() -> None:
    real = doors.listener

    def only_v4(family: socket.AddressFamily, kind: socket.SocketKind, port: int) -> socket.socket:
        return real(family, kind, port if family == socket.AF_INET else 0)

    with without(listener=only_v4):
        assert inside("to_the_gate", doors=NAMED)["fd00:ec2::254 80"] != "GATE"


def test_b11_b26_every_other_port_is_refused_at_once() -> None:
    assert set(inside("other_ports").values()) == {"ECONNREFUSED"}
    with without(every_address_is_local=nothing):
        assert set(inside("other_ports").values()) == {"ECONNREFUSED", "ENETUNREACH"}


def test_b63_the_doors_cannot_be_stolen() -> None:
    sealed = inside("steal", doors=NAMED)
    assert opened(sealed) == {"127.0.0.1 9999"}
    real = doors.listener

    def shared(family: socket.AddressFamily, kind: socket.SocketKind, port: int) -> socket.socket:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(doors.socket, "socket", Sharing)
            return real(family, kind, port)

    class Sharing(socket.socket):
        def bind(self, address: object) -> None:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            super().bind(address)

    with without(listener=shared):
        assert len(opened(inside("steal", doors=NAMED))) > 3


def test_b03_a_relay_inside_reaches_nothing_but_the_gateway() -> None:
    with bait() as (port, _, fds):
        sealed = inside("relay", port)
        assert "GATE 127.0.0.1:3128" in sealed["gateway"]
        assert sealed["host"] in ("", "ECONNRESET", "EPIPE")
        assert readable(fds, 0.2) == []
        with without(NEWNET=0, loopback=nothing, listeners=lambda named: []):
            inside("relay", port)
        assert readable(fds, 2) != []


def test_b63_two_bottles_do_not_share_a_network() -> None:
    """A sibling's server on its loopback is not ours."""
    serve = "import socket, time; s = socket.create_server(('', 9999)); print(1, flush=True); time.sleep(30)"
    with running(code(serve)) as sibling:
        assert sibling.line() == 1
        assert inside("baits", 9999, "127.0.0.1")["tcp 127.0.0.1"] == "ECONNREFUSED"


def test_s01_s07_b22_b26_only_tcp_udp_unix_and_route_sockets_open() -> None:
    sealed = inside("families")
    assert opened(sealed["refused"]) == set()
    assert opened(sealed["used"]) == {"unix", "tcp", "udp6", "route"}
    with no_filter():
        control = inside("families")
    assert {"vsock", "mptcp", "udplite", "nl_generic"} <= opened(control["refused"])


def test_b58_b69_the_network_cannot_be_rearranged() -> None:
    assert set(inside("rearrange").values()) == {"EPERM"}
    assert {"lo down", "address add"} <= opened(outside("rearrange", unshare=kernel.NEWUSER | kernel.NEWNET))
