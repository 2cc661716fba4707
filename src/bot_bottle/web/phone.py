"""What `serve --phone` needs of this host: its addresses on local networks, its names, and a QR code of a link."""

import contextlib
import fcntl
import io
import ipaddress
import socket
import struct

import segno

_SIOCGIFADDR = 0x8915
_LOCAL = tuple(
    ipaddress.ip_network(net) for net in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
_OURS = ("docker", "podman", "virbr", "veth", "br-", "lxc", "cni")
"""Interfaces that lead to containers, not to a phone: last in the list."""


def addresses() -> list[str]:
    """IPv4 addresses of this host on private networks, likely ones first. Empty where there is none."""
    found: list[tuple[bool, str]] = []
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        for _, name in socket.if_nameindex():
            with contextlib.suppress(OSError):
                raw = fcntl.ioctl(sock.fileno(), _SIOCGIFADDR, struct.pack("256s", name.encode()[:15]))
                address = ipaddress.IPv4Address(raw[20:24])
                if any(address in network for network in _LOCAL):
                    found.append((name.startswith(_OURS), str(address)))
    return [address for _, address in sorted(found, key=lambda one: one[0])]


def names() -> list[str]:
    """How a phone may call this host: its single label, and that label under .local (multicast DNS)."""
    label = socket.gethostname().partition(".")[0].lower()
    good = label and label.replace("-", "").isalnum() and label.isascii() and label != "localhost"
    return [label, f"{label}.local"] if good else []


def qr_text(link: str) -> str:
    """A QR code for a terminal, in half blocks, with its quiet zone."""
    out = io.StringIO()
    segno.make(link, error="m", micro=False).terminal(out, border=2, compact=True)
    return out.getvalue()


def qr_image(link: str) -> str:
    """The same as a data: URI (SVG) for a page; dark on white in both themes, as cameras want it."""
    return segno.make(link, error="m", micro=False).svg_data_uri(scale=6, border=3, dark="#000", light="#fff")
