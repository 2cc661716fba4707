"""Keeper and gateway of one bottle as the launcher holds them: two exec'd processes, three socketpairs.

They may be started before there is a plan, so that they come up while it is made: without an Open the keeper opens
nothing and the gateway knows nothing, and both end when we do.
"""

import contextlib
import socket
from collections.abc import Mapping

from bot_bottle.base.errors import OurFault
from bot_bottle.base.home import Home
from bot_bottle.bottles.live import GatewayLink, KeeperLink, as_error
from bot_bottle.bottles.spawn import Child, listed, spawn
from bot_bottle.egress.channel import ChannelClosed
from bot_bottle.egress.messages import GatewayToLauncher
from bot_bottle.keeper.messages import KeeperToLauncher, Open, Recover, Recovered, Refused, Survey, Surveyed

SECRET_PREFIX = "BOT_BOTTLE_SECRET_"  # noqa: S105  the prefix of variables that give secrets, see custody
_STORES = (
    "USER",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "GNUPGHOME",
    "GPG_TTY",
    "PASSWORD_STORE_DIR",
    "OP_SERVICE_ACCOUNT_TOKEN",
)
_PATIENCE = 30.0


class Crew:
    """keeper, gateway: the processes. keeper_link, gateway_link: what we say to them.

    terminal: descriptor of the person's terminal, which the keeper may borrow to ask for a passphrase; -1 for none.
    """

    def __init__(self, environ: Mapping[str, str], gateway: bool = True, terminal: int = -1) -> None:
        self._terminal = (terminal,) if terminal >= 0 else ()
        ours, theirs = socket.socketpair()
        self.keeper_link = KeeperLink(ours, KeeperToLauncher)  # pyright: ignore[reportArgumentType]
        with theirs:
            self.keeper = spawn("bot_bottle.keeper.main", [theirs.fileno()], keeper_environment(environ))
        self.gateway: Child | None = None
        self.gateway_link: GatewayLink | None = None
        self._between: socket.socket | None = None
        if gateway:
            self._start_gateway(environ)

    def _start_gateway(self, environ: Mapping[str, str]) -> None:
        ours, theirs = socket.socketpair()
        to_keeper, to_gateway = socket.socketpair()
        with theirs, to_gateway:
            fds = [to_gateway.fileno(), theirs.fileno()]
            self.gateway = spawn("bot_bottle.egress.main", fds, listed(environ))
        self._between = to_keeper
        self.gateway_link = GatewayLink(ours, GatewayToLauncher)  # pyright: ignore[reportArgumentType]

    def survey(self, home: Home) -> tuple[str, ...]:
        """Names of the secrets that exist."""
        answer = self._asked(Survey(home.root, home.runtime))
        assert isinstance(answer, Surveyed)
        return answer.names

    def recover(self, home: Home, runs: tuple[str, ...] = ()) -> Recovered:
        """Seals what dead keepers left open."""
        answer = self._asked(Recover(home.root, home.runtime, runs))
        assert isinstance(answer, Recovered)
        return answer

    def _asked(self, question: Survey | Recover) -> KeeperToLauncher:
        self.keeper_link.sock.settimeout(_PATIENCE)
        try:
            self.keeper_link.send(question, self._terminal)
            answer, _ = self.keeper_link.receive()
        except (ChannelClosed, OSError) as error:
            raise OurFault("keeper.ended", "The keeper did not answer.", "Run bot-bottle doctor.") from error
        finally:
            self.keeper_link.sock.settimeout(None)
        if isinstance(answer, Refused):
            raise as_error(answer)
        return answer

    def open(self, order: Open) -> None:
        """The keeper's order, with its end of the socketpair to the gateway."""
        assert self._between is not None
        with self._between as between, contextlib.suppress(ChannelClosed):
            self.keeper_link.send(order, (between.fileno(), *self._terminal))
        self._between = None

    def close(self, patience: float = 2.0) -> None:
        """Both end: they see our sockets' end, seal, and are killed where they have not ended in time. Idempotent."""
        if self._between is not None:
            self._between.close()
            self._between = None
        for link in (self.keeper_link, self.gateway_link):
            if link is not None:
                link.close()
        for child in (self.gateway, self.keeper):
            if child is not None:
                child.reap(patience)


def session_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a detached launcher needs: all of the keeper's, and where the home, the authorities and the proxy are."""
    also = ("BOT_BOTTLE_HOME", "SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy")
    return keeper_environment(environ) | {name: environ[name] for name in also if name in environ}


def keeper_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The keeper alone also sees what secret stores need: their own variables, and secrets given as variables."""
    given = [name for name in environ if name.startswith(SECRET_PREFIX)]
    return listed(environ, (*_STORES, *given))
