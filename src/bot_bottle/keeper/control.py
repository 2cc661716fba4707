"""The control socket of one bottle: 0600, this user only, and never inside a directory that a bottle can see (B59).

The peer is checked by SO_PEERCRED, not by the file mode alone: a socket may have been bound into somewhere by
mistake. Answers are typed; a frame that does not decode ends that connection and nothing else.
"""

import os
import socket
import struct
from collections.abc import Callable

import msgspec

from bot_bottle.base.errors import BottleError
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.control import ControlToKeeper, KeeperToControl, OfWeb
from bot_bottle.keeper.messages.replies import Refused
from bot_bottle.keeper.vouching import by_web

_PEERS = 16
_CREDENTIALS = struct.Struct("3i")

Link = Channel[KeeperToControl, ControlToKeeper]


class Caller:
    """Who asked, at the socket: call it with the reply, once, now or later. uid: what the kernel says of the peer."""

    __slots__ = ("_reply", "uid")

    def __init__(self, reply: Callable[[KeeperToControl], None], uid: int) -> None:
        self._reply = reply
        self.uid = uid

    def __call__(self, reply: KeeperToControl) -> None:
        self._reply(reply)


Answer = Callable[[ControlToKeeper, Caller], None]


class ControlServer:
    """Listens below `directory` (made 0700). answer(message, caller): replies to the caller."""

    def __init__(self, loop: Loop, directory: str, answer: Answer, name: str = "control") -> None:
        self._loop = loop
        self._answer = answer
        self._directory = directory
        self._name = name
        self._peers: dict[int, Link] = {}
        self._of_web: set[int] = set()
        self._listener = listen(directory, name)
        loop.read(self._listener.fileno(), self._accept)

    def close(self) -> None:
        """Nobody reaches this keeper any more."""
        self._loop.forget(self._listener.fileno())
        self._listener.close()
        for link in list(self._peers.values()):
            self._end(link)
        remove(self._directory, self._name)

    def _accept(self) -> None:
        sock = accept(self._listener)
        if sock is None:
            return
        if len(self._peers) >= _PEERS:
            sock.close()
            return
        link = Link(sock, ControlToKeeper)
        self._peers[sock.fileno()] = link
        self._loop.read(sock.fileno(), lambda: self._heard(link))

    def _heard(self, link: Link) -> None:
        try:
            link.fill()
            while (found := link.next()) is not None:
                message, fds = found
                for fd in fds:
                    os.close(fd)
                self._hear(link, message)
        except (ChannelClosed, msgspec.MsgspecError):
            self._end(link)

    def _hear(self, link: Link, message: ControlToKeeper) -> None:
        if isinstance(message, OfWeb):
            self._of_web.add(link.fileno())
            return
        if link.fileno() in self._of_web:
            try:
                message = by_web(message)
            except BottleError as error:
                self._reply(link, Refused(type(error).__name__, error.slug, error.what, error.hint))
                return
        self._answer(message, Caller(lambda reply: self._reply(link, reply), peer(link.sock)))

    def _reply(self, link: Link, reply: KeeperToControl) -> None:
        try:
            if link.fileno() >= 0:
                link.send(reply)
        except ChannelClosed:
            self._end(link)

    def _end(self, link: Link) -> None:
        fd = link.fileno()
        if fd >= 0:
            self._loop.forget(fd)
            self._peers.pop(fd, None)
            self._of_web.discard(fd)
            link.close()


def listen(directory: str, name: str) -> socket.socket:
    """A listening socket `directory`/`name`, mode 0600 from its first moment; the path may exceed 108 bytes."""
    os.makedirs(directory, 0o700, exist_ok=True)
    remove(directory, name)
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(f"/proc/self/fd/{held}/{name}")
    finally:
        os.umask(before)
        os.close(held)
    sock.listen(_PEERS)
    sock.setblocking(False)
    return sock


def accept(listener: socket.socket) -> socket.socket | None:
    """The next connection of this user (or of root); None where it is somebody else's, or gone."""
    try:
        sock, _ = listener.accept()
    except OSError:
        return None
    if not is_ours(sock):
        sock.close()
        return None
    bounded(sock)
    return sock


def is_ours(sock: socket.socket) -> bool:
    """Same uid as ours, or root; asked of the kernel."""
    return peer(sock) in (0, os.geteuid())


def peer(sock: socket.socket) -> int:
    """The uid of the process that connected, or that made the pair."""
    return _CREDENTIALS.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))[1]


def bounded(sock: socket.socket, seconds: int = 5) -> None:
    """A peer that does not read cannot hold us: a send fails after `seconds`."""
    sock.setblocking(True)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", seconds, 0))


def connect(directory: str, name: str, seconds: int = 0) -> socket.socket:
    """The client's end. Raises FileNotFoundError or ConnectionRefusedError where nobody listens, BlockingIOError
    where nobody takes it for so many seconds (0: it is waited for)."""
    held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    bounded(sock, seconds)
    try:
        sock.connect(f"/proc/self/fd/{held}/{name}")
    except OSError:
        sock.close()
        raise
    finally:
        os.close(held)
    return sock


def remove(directory: str, name: str) -> None:
    try:
        os.unlink(f"{directory}/{name}")
    except FileNotFoundError:
        pass
