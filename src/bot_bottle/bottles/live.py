"""A running bottle: what can end it, and how each of the three processes hears of the others' death (D08, B78)."""

import contextlib
import signal
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from bot_bottle.base import errors
from bot_bottle.base.errors import BottleError, OurFault
from bot_bottle.bottles.leaving import Leaving
from bot_bottle.bottles.ports import Started
from bot_bottle.bottles.signals import Signals
from bot_bottle.bottles.streams import Streams
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.egress.messages import Bye, Doors, GatewayToLauncher, LauncherToGateway, Serving
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.control import FreezeBottle
from bot_bottle.keeper.messages.launcher import (
    AskWaits,
    Close,
    Halt,
    Hold,
    Inspect,
    Inspected,
    KeeperToLauncher,
    LauncherToKeeper,
    Opened,
    Resume,
    Sealed,
)
from bot_bottle.keeper.messages.replies import Refused

DRAIN_SECONDS = 5.0
INSPECT_SECONDS = 30.0
WATCH_SECONDS = 1.0
KeeperLink = Channel[LauncherToKeeper, KeeperToLauncher]
GatewayLink = Channel[LauncherToGateway, GatewayToLauncher]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a bottle ended. status as in Outcome; code: our exit code, or -1 for the agent's own."""

    status: str
    code: int
    reason: str = ""


@dataclass(slots=True)
class Heard:
    """What keeper and gateway have said so far."""

    opened: Opened | None = None
    serving: bool = False
    inspected: Inspected | None = None
    sealed: Sealed | None = None
    refused: Refused | None = None
    keeper_lives: bool = True


class Live:
    """The launcher's ears. `ending` is set once, by whatever comes first; the loop then leaves `serve`."""

    def __init__(self, loop: Loop, keeper: KeeperLink, gateway: GatewayLink) -> None:
        self._loop = loop
        self._keeper = keeper
        self._gateway = gateway
        self._bottle: Started | None = None
        self._leaving: Leaving | None = None
        self._wanted = Ending("ok", -1)
        self.heard = Heard()
        self.ending: Ending | None = None
        self.on_hold: Callable[[str], None] = lambda _: None
        self.on_ask: Callable[[AskWaits], None] = lambda _: None
        self.watch: Callable[[], str] | None = None
        loop.read(keeper.fileno(), self._keeper_spoke)
        loop.read(gateway.fileno(), self._gateway_spoke)

    # ---- before the bottle runs

    def wait_opened(self, seconds: float) -> Opened:
        """The keeper has configured and confined the gateway. Raises what the keeper refused with."""
        self._until(lambda: self.heard.opened is not None, seconds, "keeper")
        assert self.heard.opened is not None
        return self.heard.opened

    def inspect(self, fds: tuple[int, ...]) -> dict[int, str]:
        """Which of these files hold a real secret, number -> its name; the keeper knows, we do not (D07)."""
        self.heard.inspected = None
        with contextlib.suppress(ChannelClosed):
            self._keeper.send(Inspect(), fds)
        self._until(lambda: self.heard.inspected is not None, INSPECT_SECONDS, "keeper")
        assert self.heard.inspected is not None
        return self.heard.inspected.found

    def wait_serving(self, seconds: float) -> None:
        """The gateway accepts on every door (S06, B78)."""
        self._until(lambda: self.heard.serving, seconds, "gateway")

    def _until(self, reached: Callable[[], bool], seconds: float, who: str) -> None:
        self._loop.run(lambda: reached() or self.heard.refused is not None or self.ending is not None, seconds)
        if self.heard.refused is not None:
            raise as_error(self.heard.refused)
        if self.ending is not None:
            raise OurFault(f"{who}.ended", self.ending.reason, "Run bot-bottle doctor.")
        if not reached():
            raise OurFault(f"{who}.silent", f"The {who} did not answer.", "Try again; bot-bottle doctor says more.")

    def send_doors(self, doors: list[tuple[str, int]], pidfd: int) -> None:
        """The listening sockets and the bottle's pidfd go to the gateway."""
        kinds, fds = zip(*doors, strict=True)
        with contextlib.suppress(ChannelClosed):
            self._gateway.send(Doors(tuple(kinds)), (*fds, pidfd))

    # ---- while it runs

    def serve(self, bottle: Started, streams: Streams, wall_clock: float) -> Ending:
        """Until the agent ends or something ends it; then until its output is delivered."""
        self._bottle = bottle
        self._leaving = Leaving(self._loop, bottle, streams.terminal, lambda: self.end(self._wanted))
        self._loop.read(bottle.pidfd, self._bottle_ended)
        if self.watch:
            self._look()
        if wall_clock > 0:
            text = f"The limit of {wall_clock:g} second{'' if wall_clock == 1 else 's'} was reached."
            self._loop.later(wall_clock, lambda: self._leave(signal.SIGTERM, Ending("timeout", 124, text)))
        with Signals(self._loop, (signal.SIGINT, signal.SIGTERM, signal.SIGHUP), self._signalled):
            self._loop.run(lambda: self.ending is not None)
            bottle.stop()
            self._loop.forget(bottle.pidfd)
            self._loop.run(streams.drained, DRAIN_SECONDS)
        assert self.ending is not None
        return self.ending

    def _look(self) -> None:
        """Once a second: what `watch` names freezes the bottle: here at once, the gateway by the keeper (D14)."""
        reason = self.watch() if self.watch and self.ending is None else ""
        if reason and self._bottle is not None:
            self._bottle.freeze()
            with contextlib.suppress(ChannelClosed):
                self._keeper.send(FreezeBottle(reason))
        self._loop.later(WATCH_SECONDS, self._look)

    def end(self, ending: Ending) -> None:
        """The first reason stands."""
        if self.ending is None:
            self.ending = ending

    def _bottle_ended(self) -> None:
        self.end(self._wanted)

    def _signalled(self, number: int) -> None:
        self._leave(number, Ending("stopped", 128 + number, f"Ended by {signal.Signals(number).name}."))

    def _leave(self, number: int, wanted: Ending) -> None:
        """The agent may end by itself first; a second signal ends it at once. The first reason stands."""
        assert self._leaving is not None
        if not self._leaving.asked:
            self._wanted = wanted
        self._leaving.ask(number)

    # ---- afterwards

    def close(self, facts: dict[str, str], seconds: float) -> Sealed | None:
        """Bye to the gateway, Close to the keeper; what the keeper sealed, None where it is gone."""
        with contextlib.suppress(ChannelClosed):
            self._gateway.send(Bye())
        with contextlib.suppress(ChannelClosed):
            self._keeper.send(Close(facts))
        self._loop.run(lambda: self.heard.sealed is not None or not self.heard.keeper_lives, seconds)
        return self.heard.sealed

    # ---- ears

    def _keeper_spoke(self) -> None:
        try:
            self._keeper.fill()
            while (found := self._keeper.next()) is not None:
                self._keeper_said(found[0])
        except (ChannelClosed, msgspec.MsgspecError):
            self._loop.forget(self._keeper.fileno())
            self.heard.keeper_lives = False
            self.end(Ending("broken", 7, "The keeper died, so the bottle was ended; the next start seals its log."))

    def _keeper_said(self, message: KeeperToLauncher) -> None:
        match message:
            case Opened():
                self.heard.opened = message
            case Inspected():
                self.heard.inspected = message
            case Refused():
                self.heard.refused = message
            case Sealed():
                self.heard.sealed = message
            case Halt():
                self.end(halted(message))
            case Hold():
                self._freeze(message.reason or "asked")
            case Resume():
                self._freeze("")
            case AskWaits():
                self.on_ask(message)
            case _:
                pass

    def _freeze(self, reason: str) -> None:
        if self._bottle is not None:
            self._bottle.freeze() if reason else self._bottle.thaw()
        self.on_hold(reason)

    def _gateway_spoke(self) -> None:
        try:
            self._gateway.fill()
            while (found := self._gateway.next()) is not None:
                message = found[0]
                if isinstance(message, Serving):
                    self.heard.serving = True
                else:
                    self.end(Ending("broken", code_of(message.slug), message.what[:500]))
        except (ChannelClosed, msgspec.MsgspecError):
            self._loop.forget(self._gateway.fileno())
            # The keeper knows why, if anybody does: give its word a moment before ours.
            self._loop.later(
                0.5, lambda: self.end(Ending("broken", 70, "The gateway died, so the bottle was ended."))
            )


def as_error(refused: Refused) -> BottleError:
    """The keeper's refusal as the error that it was."""
    kind = getattr(errors, refused.kind, OurFault)
    if not (isinstance(kind, type) and issubclass(kind, BottleError)) or kind is errors.ManifestFault:
        kind = OurFault
    return kind(refused.slug, refused.what, refused.hint)


def halted(message: Halt) -> Ending:
    """A person's stop is no fault; anything else is."""
    if message.slug == "stopped":
        return Ending("stopped", 143, message.what)
    return Ending("broken", code_of(message.slug), message.what)


def code_of(slug: str) -> int:
    """7 for what concerns the log, else 70."""
    return 7 if slug.startswith("audit.") else 70
