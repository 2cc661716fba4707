"""Memory in the socket buffers of one network namespace, which is in no process's memory (S12, D16): sock_diag(7).

The helper opens the link while it is in the bottle's namespace; whoever holds it may ask from anywhere.
"""

import contextlib
import errno
import socket
import struct

from bot_bottle.bottles import sock_diag

_UNIX_QUEUE, _UNIX_MEMORY = 4, 5  # attributes of unix_diag, the flags being 1 << 4 and 1 << 5
_INET_MEMORY = 7  # attribute of inet_diag, its flag 1 << 6
_UNIX_HEAD, _INET_HEAD = 16, 72  # bytes of struct unix_diag_msg and inet_diag_msg
_RECEIVED, _SENT, _QUEUED = 0, 2, 5  # words of SK_MEMINFO
_ANY = 0xFFFFFFFF
_ASK_UNIX = struct.pack("=BBHIIIII", socket.AF_UNIX, 0, 0, _ANY, 0, 1 << 4 | 1 << 5, _ANY, _ANY)
MOST_BYTES = 16_000_000


def held_bytes(link: int) -> int:
    """Bytes that wait in unix, TCP and UDP sockets there; 0 of those that the kernel does not tell."""
    with socket.socket(fileno=link) as sock:
        try:
            sock.settimeout(1)
            return _unix(sock) + sum(_inet(sock, f, p) for f in (socket.AF_INET, socket.AF_INET6) for p in (6, 17))
        finally:
            sock.detach()


def _unix(sock: socket.socket) -> int:
    """Charged to who sends; where that one is closed, only the length of the receiver's queue tells."""
    sent = queued = 0
    for found in _dump(sock, _ASK_UNIX, _UNIX_HEAD):
        sent += _word(found, _UNIX_MEMORY, _SENT)
        queued += _word(found, _UNIX_QUEUE, 0)
    return max(sent, queued)


def _inet(sock: socket.socket, family: int, protocol: int) -> int:
    ask = struct.pack("=BBBBI48x", family, protocol, 1 << _INET_MEMORY - 1, 0, _ANY)
    found = list(_dump(sock, ask, _INET_HEAD))
    return sum(_word(one, _INET_MEMORY, _RECEIVED) + _word(one, _INET_MEMORY, _QUEUED) for one in found)


def _word(attributes: dict[int, bytes], kind: int, position: int) -> int:
    data = attributes.get(kind, b"")
    return struct.unpack_from("=I", data, position * 4)[0] if len(data) >= position * 4 + 4 else 0


def _dump(sock: socket.socket, ask: bytes, head: int) -> list[dict[int, bytes]]:
    """The attributes of every socket that the kernel tells of; nothing more after an error or `MOST_BYTES`."""
    rows: list[dict[int, bytes]] = []
    with contextlib.suppress(OSError):
        sock_diag.ask(sock, ask)
        read, ended = 0, False
        while not ended:
            data = sock.recv(1 << 16)
            read += len(data)
            ended = _take(data, head, rows if read < MOST_BYTES else [])
    return rows


def _take(data: bytes, head: int, rows: list[dict[int, bytes]]) -> bool:
    """Adds the rows of one datagram; whether it is the last one."""
    for kind, body in sock_diag.messages(data):
        if kind == sock_diag.DONE:
            return True
        if kind == sock_diag.ERROR:
            raise OSError(errno.EPROTO, "sock_diag")
        rows.append(sock_diag.attributes(body[head:]))
    return False
