"""The gateway process: ``python -I -m bot_bottle.egress.main``, fd 3 = keeper, fd 4 = launcher. Numbered start-up.

1 its own descriptors, undumpable, no core; 2 Configure and Secrets from the keeper; 3 confined, or it does not start;
4 Configured; 5 the doors from the launcher; 6 Serving. EOF on either channel ends it: everything is closed, the
bottle is killed through its pidfd, the process exits (D08, B78).
"""

import contextlib
import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import cast

from bot_bottle.base.errors import BottleError
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.egress.confine import confine, harden
from bot_bottle.egress.doors import Doors as OpenDoors
from bot_bottle.egress.gateway import Gateway
from bot_bottle.egress.loop import IN, Loop
from bot_bottle.egress.messages import (
    AskOpened,
    Bye,
    Configure,
    Configured,
    Doors,
    Failed,
    Freeze,
    Frozen,
    GatewayToKeeper,
    GatewayToLauncher,
    Grants,
    KeeperToGateway,
    LauncherToGateway,
    Minted,
    NewLog,
    Reload,
    Secrets,
    Serving,
    Settled,
    ShowHeld,
    Status,
    StatusQuery,
    Thaw,
)

KEEPER_FD, LAUNCHER_FD = 3, 4
Keeper = Channel[GatewayToKeeper, KeeperToGateway]
Launcher = Channel[GatewayToLauncher, LauncherToGateway]


class Process:
    """What the gateway does with its two channels."""

    def __init__(self, keeper: Keeper, launcher: Launcher) -> None:
        self.keeper = keeper
        self.launcher = launcher
        self.loop = Loop()
        self.gateway: Gateway | None = None
        self.pidfd = -1
        self.status = 0
        self._ending = False

    def start(self) -> None:
        """Steps 2 to 4."""
        config, fds = self.keeper.receive()
        secrets, _ = self.keeper.receive()
        if not isinstance(config, Configure) or not isinstance(secrets, Secrets) or not fds:
            raise ValueError("the keeper did not begin with Configure, its log, a spool and Secrets")
        self.gateway = Gateway(self.loop, config, secrets, fds[0], self.tell, fds[1] if len(fds) > 1 else -1)
        self.gateway.journal.on_failure = self.log_failed
        confinement = confine()
        self.gateway.resolver.start()
        gc.freeze()
        gc.set_threshold(1000, 10, 20)
        self.tell(Configured(confinement=confinement))

    def serve(self) -> None:
        """Steps 5 and 6, until the end."""
        for channel, handler in ((self.keeper, self._from_keeper), (self.launcher, self._from_launcher)):
            channel.sock.setblocking(False)
            self.loop.watch(channel.fileno(), IN, _reader(channel, handler, self.lifeline), control=True)
        self.loop.run()

    def tell(self, message: GatewayToKeeper) -> None:
        """To the keeper; its death is a lifeline event."""
        self._send(self.keeper, message)

    def _send(self, channel: Keeper | Launcher, message: object) -> None:
        channel.sock.setblocking(True)
        try:
            channel.send(message)  # pyright: ignore[reportArgumentType]
        except ChannelClosed:
            self.lifeline()
        finally:
            with contextlib.suppress(OSError):
                channel.sock.setblocking(False)

    def _from_keeper(self, message: KeeperToGateway, fds: list[int]) -> None:
        gateway = self.gateway
        assert gateway is not None
        match message:
            case Minted(host=host, leaf=leaf):
                gateway.leaves.minted(host, leaf)
            case Freeze(reason=reason):
                gateway.freeze(reason)
                self.tell(Frozen(reason=reason))
            case Thaw():
                gateway.thaw()
            case Reload(policy=policy):
                gateway.reload(policy)
            case Grants(grants=grants):
                gateway.grants.replace(grants)
            case Secrets():
                gateway.new_secrets(message)
            case NewLog():
                gateway.journal.flush()
                gateway.journal.replace(fds[0])
            case StatusQuery():
                self.tell(Status(counters=gateway.status()))
            case AskOpened() | Settled():
                gateway.asks.hear(message)
            case ShowHeld():
                self.tell(gateway.asks.show(message))
            case Configure():
                raise ValueError("Configure came twice")

    def _from_launcher(self, message: LauncherToGateway, fds: list[int]) -> None:
        gateway = self.gateway
        assert gateway is not None
        match message:
            case Doors(kinds=kinds):
                self.pidfd = fds[-1] if len(fds) > len(kinds) else -1
                OpenDoors(gateway).open(kinds, fds[: len(kinds)])
                self._send(self.launcher, Serving())
            case Bye():
                gateway.close()
                gateway.counters.final = True
                self.tell(Status(counters=gateway.status()))
                self.loop.stop()

    def lifeline(self) -> None:
        """Keeper or launcher is gone: no agent is left with an open door."""
        if self._ending:  # what ends is told to a keeper that is gone, too
            return
        self._ending = True
        self._kill_bottle()
        if self.gateway is not None:
            self.gateway.close()
        self.status = 1
        self.loop.stop()

    def log_failed(self, what: str) -> None:
        """No record, no request: everything is closed first, then it is said."""
        self.fail("audit.write", what)

    def fail(self, slug: str, what: str) -> None:
        """The bottle ends, closed; both sides are told why."""
        self._kill_bottle()
        if self.gateway is not None:
            self.gateway.close()
        self.status = 4
        self.loop.stop()
        for channel in (self.keeper, self.launcher):
            with contextlib.suppress(ChannelClosed, OSError):
                channel.sock.settimeout(1)
                channel.send(Failed(slug=slug, what=what))

    def _kill_bottle(self) -> None:
        if self.pidfd >= 0:
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.pidfd, signal.SIGKILL)


def _reader(
    channel: Keeper | Launcher, handler: Callable[..., None], lost: Callable[[], None]
) -> Callable[[int], None]:
    def read(_mask: int) -> None:
        try:
            channel.fill()
            while (found := channel.next()) is not None:
                handler(*found)
        except BlockingIOError:
            return
        except ChannelClosed:
            lost()

    return read


def channels() -> tuple[Keeper, Launcher]:
    """The two inherited channels."""
    keeper = cast("Keeper", Channel(socket.socket(fileno=KEEPER_FD), cast("type", KeeperToGateway)))
    return keeper, cast("Launcher", Channel(socket.socket(fileno=LAUNCHER_FD), cast("type", LauncherToGateway)))


def main() -> int:
    """Exit status: 0 after Bye, 1 when a lifeline ended, 4 when the log failed, 70 for a bug."""
    harden(keep=LAUNCHER_FD)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    process = Process(*channels())
    try:
        process.start()
        process.serve()
    except ChannelClosed:
        process.lifeline()
    except BottleError as error:
        process.fail(error.slug, str(error))
        return error.exit_code
    except Exception as error:
        if os.environ.get("BOT_BOTTLE_DEBUG"):
            raise
        process.fail("gateway.bug", f"The gateway stopped on an internal error ({type(error).__name__}).")
        return 70
    return process.status


if __name__ == "__main__":
    os._exit(main())  # the keeper waits for our end, which seals the log: no interpreter is taken apart first
