"""The web process as the starter holds it: spawned with listening sockets that we keep, so that its ports stay when
it is started again; one link, on which it asks and we answer. It holds no key (D17).
"""

import contextlib
import os
import queue
import socket
import threading
from collections.abc import Callable, Sequence

import msgspec

from bot_bottle.base.errors import BottleError, HostFault
from bot_bottle.base.text import visible
from bot_bottle.bottles.spawn import Child, listed, spawn
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.web import addresses, messages
from bot_bottle.web.messages import Begin, Question, Reply, StarterToWeb, WebToStarter
from bot_bottle.web.pairing import CODE_SECONDS, spoken

_START_SECONDS = 30.0
_ANSWER_SECONDS = 10.0
_LINES, _LINE = 100, 500
Made = messages.KeyMade | messages.CodeMade
Answer = Callable[[Reply, tuple[int, ...]], None]
Handler = Callable[[Question, Answer], None]


class WebProcess:
    """One web process, from its start to its end. handle(question, reply): called in the reading thread."""

    def __init__(
        self, begin: Begin, sockets: list[socket.socket], handle: Handler, say: Callable[[str], None]
    ) -> None:
        """Returns once it serves. Raises BottleError where it does not. say: one line for the person; web's own
        terminal is none, since it could drive it (B73)."""
        ours, theirs = socket.socketpair()
        errors, its_errors = os.pipe()
        with theirs:
            self._child: Child = spawn(
                "bot_bottle.web.main", [theirs.fileno()], listed(os.environ), quiet=True, errors=its_errors
            )
        os.close(its_errors)
        threading.Thread(target=repeat, args=(errors, say), name="web-errors", daemon=True).start()
        self._channel: Channel[StarterToWeb, WebToStarter] = Channel(ours, WebToStarter)
        self._lock = threading.Lock()
        self._asking = threading.Lock()
        self._made: queue.SimpleQueue[Made] = queue.SimpleQueue()
        self._handle = handle
        self._begin = begin
        self.urls = addresses.urls(begin, sockets)
        self.serving = self._begun(begin, tuple(sock.fileno() for sock in sockets))
        threading.Thread(target=self._listen, name="web-link", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._child.pid

    def ended(self, seconds: float) -> bool:
        """Whether it ended within so many seconds."""
        return self._child.ended(seconds)

    def link(self) -> str:
        """A one-time link for the person at this machine. Raises HostFault."""
        made = self._issue(messages.IssueKey())
        assert isinstance(made, messages.KeyMade)
        return addresses.link(self.urls, made.key)

    def code(self) -> messages.CodeIssued:
        """A one-time code for a phone. Raises HostFault."""
        made = self._issue(messages.IssueCode())
        assert isinstance(made, messages.CodeMade)
        return issued(self._begin, self.urls, made.code)

    def renew(self, certificate: messages.Certificate) -> None:
        self._begin = msgspec.structs.replace(self._begin, certificate=certificate)
        self._say(messages.Renew(certificate))

    def close(self) -> None:
        """It ends with our socket; killed where it does not. Idempotent."""
        with contextlib.suppress(OSError):
            self._channel.sock.shutdown(socket.SHUT_RDWR)
        self._child.reap(3)
        self._channel.close()

    def _begun(self, begin: Begin, fds: tuple[int, ...]) -> messages.Serving:
        self._channel.sock.settimeout(_START_SECONDS)
        try:
            self._channel.send(begin, fds)
            message, _ = self._channel.receive()
        except (ChannelClosed, TimeoutError, msgspec.MsgspecError):
            self.close()
            raise HostFault("web.ended", "The web process did not come up.", "Run bot-bottle doctor.") from None
        self._channel.sock.settimeout(None)
        if isinstance(message, messages.Serving):
            return message
        self.close()
        if isinstance(message, messages.Refused):
            raise HostFault(visible(message.slug, 64), visible(message.what), visible(message.hint))
        raise HostFault("web.ended", "The web process did not come up.", "Run bot-bottle doctor.")

    def _issue(self, wish: messages.IssueKey | messages.IssueCode) -> Made:
        with self._asking:
            self._say(wish)
            try:
                return self._made.get(timeout=_ANSWER_SECONDS)
            except queue.Empty:
                raise HostFault("web.silent", "The web process does not answer.", "Try again.") from None

    def _say(self, message: StarterToWeb, fds: tuple[int, ...] = ()) -> None:
        with self._lock, contextlib.suppress(ChannelClosed):
            self._channel.send(message, fds)

    def _listen(self) -> None:
        with contextlib.suppress(ChannelClosed, msgspec.MsgspecError, ValueError, OSError):
            while True:
                message, fds = self._channel.receive()
                for fd in fds:  # there is nothing that it should pass us
                    os.close(fd)
                match message:
                    case messages.KeyMade() | messages.CodeMade():
                        self._made.put(message)
                    case messages.Serving() | messages.Refused():
                        pass
                    case _:
                        self._handle(message, self._say)
        with contextlib.suppress(OSError):  # to which we listen no more, that ends, and is started again
            self._channel.sock.shutdown(socket.SHUT_RDWR)


def repeat(errors: int, say: Callable[[str], None]) -> None:
    """What web complains of, until it ends: each line made visible, and no more of them than somebody reads."""
    with open(errors, "rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(_LINE), b"")):
            if number < _LINES:
                say(f"web: {visible(line.decode('utf-8', 'replace').rstrip(), _LINE)}")


def issued(begin: Begin, urls: Sequence[str], code: str) -> messages.CodeIssued:
    """What a person is shown for a code: address and fingerprint are ours to say, the letters web's (D17)."""
    page = addresses.pairs(begin, urls)
    fingerprint = begin.certificate.fingerprint if begin.certificate else ""
    return messages.CodeIssued(spoken(code), f"{page}#{code}", CODE_SECONDS, fingerprint)


def failed(number: int, error: Exception) -> Reply:
    """What went wrong, for the page; a bug of ours by its class alone."""
    if isinstance(error, BottleError):
        return Reply(number, error=(error.slug, error.what, error.hint))
    if isinstance(error, OSError):
        return Reply(number, error=("host.refused", f"{error.strerror or 'The system refused'}.", ""))
    return Reply(
        number, error=("serve.bug", f"The serve process failed: {type(error).__name__}.", "Please report it.")
    )
