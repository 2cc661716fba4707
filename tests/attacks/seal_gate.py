"""The smallest gateway for the seal's tests: says GATE to any TCP client, 198.18/15 to any A question."""

import contextlib
import os
import select
import socket
import struct

from bot_bottle.bottles.limits_watch import close_but
from bot_bottle.bottles.seal.bottle import Bottle, kill


def dns_answer(query: bytes) -> bytes:
    """Synthetic, never resolved (D09): A gives 198.18.1.x, all else an empty NOERROR."""
    end = 12
    while query[end]:
        end += query[end] + 1
    question = query[12 : end + 5]
    is_a = struct.unpack("!H", query[end + 1 : end + 3])[0] == 1
    head = query[:2] + struct.pack("!HHHHH", 0x8580, 1, is_a, 0, 0)
    record = struct.pack("!HHHIH4B", 0xC00C, 1, 1, 60, 4, 198, 18, 1, sum(question) & 0xFF) if is_a else b""
    return head + question + record


def serve_udp(sock: socket.socket) -> None:
    query, control, _, peer = sock.recvmsg(4096, 256)
    if sock.family == socket.AF_INET:
        source = [(0, 8, struct.pack("I", 0) + data[8:12] + data[8:12]) for _, _, data in control]
    else:
        source = [(41, 50, data[:16] + struct.pack("I", 0)) for _, _, data in control]
    sock.sendmsg([dns_answer(query)], source, 0, peer)


def serve_tcp(door: socket.socket) -> None:
    client, _ = door.accept()
    with client:
        client.settimeout(2)
        asked = client.getsockname()
        head = client.recv(65536)
        if asked[1] == 53:
            reply = dns_answer(head[2:])
            client.sendall(struct.pack("!H", len(reply)) + reply)
        else:
            body = f"GATE {asked[0]}:{asked[1]}\n".encode()
            client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


def serve(doors: list[int], bottle: int, lifeline: int) -> None:
    """Ends with the bottle (pidfd) or the launcher (EOF on the lifeline), taking the bottle along."""
    by_fd = {fd: socket.socket(fileno=fd) for fd in doors}
    poll = select.poll()
    for fd in (bottle, lifeline, *by_fd):
        poll.register(fd, select.POLLIN)
    while True:
        for fd, _ in poll.poll():
            if fd in (bottle, lifeline):
                kill(bottle)
                return
            sock = by_fd[fd]
            with contextlib.suppress(OSError, IndexError, struct.error):
                serve_udp(sock) if sock.type == socket.SOCK_DGRAM else serve_tcp(sock)


def fork(bottle: Bottle) -> tuple[int, int, int]:
    """The gateway's pid, its pidfd, and our end of its lifeline. The doors are then its own."""
    lifeline_r, lifeline_w = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            close_but({bottle.pidfd, lifeline_r, *(fd for _, fd in bottle.doors)})
            serve([fd for _, fd in bottle.doors], bottle.pidfd, lifeline_r)
        finally:
            os._exit(0)
    os.close(lifeline_r)
    for _, fd in bottle.doors:
        os.close(fd)
    return pid, os.pidfd_open(pid), lifeline_w
