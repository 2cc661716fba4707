"""What the kernel tells of sockets: frames and attributes of sock_diag(7) over netlink."""

import socket
import struct
from collections.abc import Iterator

DONE, ERROR = 3, 2
FAMILY = 4  # of netlink
_BY_FAMILY, _REQUEST_DUMP = 20, 0x301
_HEAD = struct.Struct("=IHHII")


def open_link() -> socket.socket:
    """Asks about the network namespace of the caller, for ever. Raises OSError where there is none."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, FAMILY)


def ask(link: socket.socket, about: bytes) -> None:
    """A dump of every socket that a struct unix_diag_req or inet_diag_req_v2 asks for."""
    link.sendto(_HEAD.pack(_HEAD.size + len(about), _BY_FAMILY, _REQUEST_DUMP, 1, 0) + about, (0, 0))


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """(kind, body) of each message of one datagram. kind: DONE, ERROR, or a socket."""
    at = 0
    while at + _HEAD.size <= len(data):
        size, kind = struct.unpack_from("=IH", data, at)
        yield kind, data[at + _HEAD.size : at + size]
        at += max(size + 3 & ~3, _HEAD.size)


def attributes(data: bytes) -> dict[int, bytes]:
    """Kind -> value of what follows the fixed part of a body."""
    at, found = 0, dict[int, bytes]()
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        found[kind] = data[at + 4 : at + size]
        at += max(size + 3 & ~3, 4)
    return found
