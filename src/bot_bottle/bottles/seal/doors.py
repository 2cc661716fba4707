"""The sealed namespace's network: loopback only, every address local, and the listeners that we keep.

A socket belongs to the namespace it was made in, not to the process that holds it: the gateway accepts on these from
outside. Nothing in the namespace leads out, so a mistake in a rule cannot leak. Stops B11, B12, B18, B22, B24, B63.
"""

import fcntl
import os
import socket
import struct

FORWARD, HTTP, HTTPS, DNS = 3128, 80, 443, 53
KINDS = {FORWARD: "forward", HTTP: "http", HTTPS: "https", DNS: "dns-tcp"}
BACKLOG = 1024
SIOCSIFFLAGS, IFF_UP_RUNNING = 0x8914, 0x41
RTM_NEWROUTE, NLM_CREATE_EXCL_ACK = 24, 0x605
TABLE_MAIN, PROTO_STATIC, TYPE_LOCAL, SCOPE_HOST = 254, 4, 2, 254
RTA_OIF = 4
LO_INDEX = 1  # of every network namespace
IP_PKTINFO, IPV6_RECVPKTINFO, IPV6_FREEBIND = 8, 49, 78


def loopback() -> None:
    """`lo` up, and every address of both families local to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", IFF_UP_RUNNING))
    for family in families():
        every_address_is_local(family)


def families() -> tuple[socket.AddressFamily, ...]:
    """B12: both, wherever the kernel has both. Asked by a socket: /proc may be another process's view by now."""
    try:
        socket.socket(socket.AF_INET6, socket.SOCK_STREAM).close()
    except OSError:
        return (socket.AF_INET,)
    return (socket.AF_INET, socket.AF_INET6)


def every_address_is_local(family: socket.AddressFamily) -> None:
    """`ip route add local default dev lo` as one netlink message (rtnetlink(7))."""
    scope = SCOPE_HOST if family == socket.AF_INET else 0
    body = struct.pack("BBBBBBBBI", family, 0, 0, 0, TABLE_MAIN, PROTO_STATIC, scope, TYPE_LOCAL, 0)
    body += struct.pack("HHI", 8, RTA_OIF, LO_INDEX)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0) as sock:
        sock.bind((0, 0))
        sock.send(struct.pack("IHHII", 16 + len(body), RTM_NEWROUTE, NLM_CREATE_EXCL_ACK, 1, 0) + body)
        error = struct.unpack("i", sock.recv(4096)[16:20])[0]
    if error:
        raise OSError(-error, "local default route: " + os.strerror(-error))


def listener(family: socket.AddressFamily, kind: socket.SocketKind, port: int) -> socket.socket:
    """One door. Never SO_REUSEADDR or SO_REUSEPORT: both invite a thief (B63)."""
    sock = socket.socket(family, kind)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    if kind == socket.SOCK_DGRAM:
        answer_from_the_asked_address(sock)
    sock.bind(("", port))
    if kind == socket.SOCK_STREAM:
        sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def answer_from_the_asked_address(sock: socket.socket) -> None:
    """The gateway learns which address was asked, and may answer from it though it is only routed (v6)."""
    if sock.family == socket.AF_INET:
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_FREEBIND, 1)


def listeners(named: tuple[int, ...]) -> list[tuple[str, socket.socket]]:
    """(kind, socket) of every door, kinds as in egress.messages.Doors; v4 and v6 of each."""
    ports = [*KINDS, *sorted(set(named) - set(KINDS))]
    doors: list[tuple[str, socket.socket]] = []
    for family in families():
        doors += [(KINDS.get(p, "port"), listener(family, socket.SOCK_STREAM, p)) for p in ports]
        doors.append(("dns-udp", listener(family, socket.SOCK_DGRAM, DNS)))
    return doors
