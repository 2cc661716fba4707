"""One `serve` per home: a lock, and a socket where a second one asks the first for a new link or a phone's code.

The socket lies in the runtime directory, 0600 and for this user only; no bottle sees it (B59).
"""

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable

import msgspec

from bot_bottle.base.errors import BottleError, BusyFault, HostFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper.control import accept, bounded, connect, listen, remove
from bot_bottle.web.messages import CodeIssued, IssueCode, IssueKey, KeyIssued, Refused

NAME = ".serve"
_SECONDS = 15.0
Wish = IssueKey | IssueCode
Given = KeyIssued | CodeIssued | Refused
_Server = Channel[Given, Wish]
_Client = Channel[Wish, Given]


class Only:
    """Held by the serving starter until its end, however it ends. Raises BusyFault where another one serves."""

    def __init__(self, home: Home) -> None:
        os.makedirs(home.root, 0o700, exist_ok=True)
        self._lock = os.open(f"{home.root}/serve.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise BusyFault(
                "serve.busy", "bot-bottle serve runs here already.", "A new link to it: bot-bottle serve --link"
            ) from None

    def close(self) -> None:
        os.close(self._lock)


class Desk:
    """Answers at the socket, in a thread. give(wish): what is asked for; raises BottleError."""

    def __init__(self, home: Home, give: Callable[[Wish], Given]) -> None:
        self._home = home
        self._give = give
        self._listener = listen(home.runtime, NAME)
        self._listener.settimeout(0.5)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, name="serve-socket", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(2)
        self._listener.close()
        remove(self._home.runtime, NAME)

    def _serve(self) -> None:
        while not self._over.is_set():
            sock = accept(self._listener)
            if sock is not None:
                sock.settimeout(_SECONDS)
                with contextlib.suppress(ChannelClosed, TimeoutError, msgspec.MsgspecError):
                    self._answer(_Server(sock, Wish))

    def _answer(self, link: _Server) -> None:
        try:
            wish, _ = link.receive()
            try:
                given = self._give(wish)
            except BottleError as error:
                given = Refused(error.slug, error.what, error.hint)
            link.send(given)
        finally:
            link.close()


def ask(home: Home, wish: Wish) -> KeyIssued | CodeIssued:
    """Asks the `serve` that runs here. Raises UsageFault where none does."""
    try:
        sock = connect(home.runtime, NAME)
    except OSError:
        raise UsageFault("serve.none", "No bot-bottle serve runs here.", "Start it: bot-bottle serve") from None
    bounded(sock)
    sock.settimeout(_SECONDS)
    link = _Client(sock, Given)
    try:
        link.send(wish)
        given, _ = link.receive()
    except (ChannelClosed, TimeoutError):
        raise HostFault("serve.silent", "bot-bottle serve does not answer.", "Start it again.") from None
    finally:
        link.close()
    if isinstance(given, Refused):
        raise HostFault(given.slug, given.what, given.hint)
    return given
