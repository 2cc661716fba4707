"""Web's end of its one link to the starter: asks with a number, waits for the reply of the same number.

The starter and the warm keeper decide whether they do it; web only asks (it holds no key and can start nothing).
"""

import itertools
import os
import socket
import threading
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as TooLate
from typing import Protocol

from bot_bottle.base import errors
from bot_bottle.base.errors import BottleError, HostFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import control
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, RevokeGrant
from bot_bottle.web import messages
from bot_bottle.web.messages import Question, Reply, StarterToWeb, WebToStarter
from bot_bottle.web.wish import StartWish

_SECONDS = 30.0
_START_SECONDS = 1800.0
"""A start may fetch what it is made of; who waits for it waits as long as they like (web.starts)."""


class Starter(Protocol):
    """What only the `serve` process can have done. Each raises BottleError where it was refused."""

    def start(self, request: StartWish) -> str:
        """The label of the bottle that was started, detached."""
        ...

    def answer_ended(self, answer: AnswerAsk) -> Answered: ...

    def revoke_ended(self, revoke: RevokeGrant) -> None: ...

    def control(self, what: str, approver: str, detail: dict[str, str]) -> None:
        """Writes a CONTROL record; raises where it could not be written."""
        ...

    def kill(self, label: str) -> None: ...

    def reach(self, home: Home, label: str) -> socket.socket:
        """A connection to the keeper of this bottle."""
        ...

    def test_notice(self, notifier: str) -> str: ...

    def settings(self) -> str:
        """The text of settings.toml."""
        ...


class ChannelStarter:
    """Over fd 3. `listen` reads in the calling thread until the starter is gone; questions come from any thread."""

    def __init__(self, sock: socket.socket) -> None:
        self.channel: Channel[WebToStarter, StarterToWeb] = Channel(sock, StarterToWeb)
        self._numbers = itertools.count(1)
        self._open: dict[int, Future[tuple[Reply, list[int]]]] = {}
        self._lock = threading.Lock()

    def listen(self, other: Callable[[StarterToWeb], None]) -> None:
        """Returns at end of file: the starter is gone, so must we be."""
        try:
            while True:
                message, fds = self.channel.receive()
                future = self._open.pop(message.number, None) if isinstance(message, Reply) else None
                if future is not None and isinstance(message, Reply):
                    future.set_result((message, fds))
                    continue
                for fd in fds:  # nobody waits for it any more
                    os.close(fd)
                if not isinstance(message, Reply):
                    other(message)
        except ChannelClosed:
            for future in list(self._open.values()):
                future.set_exception(HostFault("serve.gone", "The serve process has ended.", "Start it again."))

    def say(self, message: WebToStarter) -> None:
        with self._lock:
            self.channel.send(message)

    def start(self, request: StartWish) -> str:
        return self._ask(messages.StartBottle(next(self._numbers), request), _START_SECONDS).text

    def answer_ended(self, answer: AnswerAsk) -> Answered:
        reply = self._ask(messages.AnswerEnded(next(self._numbers), answer))
        assert reply.answered is not None
        return reply.answered

    def revoke_ended(self, revoke: RevokeGrant) -> None:
        self._ask(messages.RevokeEnded(next(self._numbers), revoke))

    def control(self, what: str, approver: str, detail: dict[str, str]) -> None:
        self._ask(messages.Control(next(self._numbers), what, approver, detail))

    def kill(self, label: str) -> None:
        self._ask(messages.KillBottle(next(self._numbers), label))

    def reach(self, home: Home, label: str) -> socket.socket:
        _, fds = self._asked(messages.ReachKeeper(next(self._numbers), label), _SECONDS)
        if len(fds) != 1:
            raise HostFault("keeper.unreachable", f"The keeper of {label} cannot be reached.", "Try again.")
        return socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fds[0])

    def test_notice(self, notifier: str) -> str:
        return self._ask(messages.TestNotice(next(self._numbers), notifier)).text

    def settings(self) -> str:
        return self._ask(messages.ReadSettings(next(self._numbers))).text

    def _ask(self, question: Question, seconds: float = _SECONDS) -> Reply:
        return self._asked(question, seconds)[0]

    def _asked(self, question: Question, seconds: float) -> tuple[Reply, list[int]]:
        future: Future[tuple[Reply, list[int]]] = Future()
        self._open[question.number] = future
        try:
            self.say(question)
            reply, fds = future.result(seconds)
        except (ChannelClosed, TooLate):
            raise HostFault("serve.silent", "The serve process does not answer.", "Try again.") from None
        finally:
            self._open.pop(question.number, None)
        if reply.error[0]:
            raise refused(*reply.error)
        return reply, fds


# ruff: noqa: ARG002 - the shape of a starter
class NoStarter:
    """Where web runs by itself (`--dev`, tests): what needs the serve process is refused; controls are remembered."""

    def __init__(self) -> None:
        self.controls: list[tuple[str, str, dict[str, str]]] = []

    def start(self, request: StartWish) -> str:
        raise _alone()

    def answer_ended(self, answer: AnswerAsk) -> Answered:
        raise _alone()

    def revoke_ended(self, revoke: RevokeGrant) -> None:
        raise _alone()

    def control(self, what: str, approver: str, detail: dict[str, str]) -> None:
        self.controls.append((what, approver, detail))

    def kill(self, label: str) -> None:
        raise _alone()

    def reach(self, home: Home, label: str) -> socket.socket:
        return control.dial_for_web(home, label)

    def test_notice(self, notifier: str) -> str:
        raise _alone()

    def settings(self) -> str:
        return ""


def _alone() -> BottleError:
    return errors.UsageFault(
        "serve.alone", "This web process runs without bot-bottle serve.", "Run bot-bottle serve."
    )


def refused(slug: str, what: str, hint: str) -> BottleError:
    """An error that another process of ours reported; its class is told by the slug's room where we know it."""
    if slug == "keeper.unreachable":
        return HostFault(slug, what, hint)
    kind = errors.BusyFault if slug.endswith((".busy", ".kept")) else errors.UsageFault
    return kind(slug, what, hint)
