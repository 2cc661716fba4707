"""Starts keeper and gateway before anything else is even imported: they come up while files are read and a plan is
made. Light on purpose. Without an order they open nothing, know nothing, and end when our sockets do.
"""

import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from bot_bottle.base.home import Home, locate
from bot_bottle.bottles.spawn import Child, listed, spawn

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


@dataclass(slots=True)
class Hatched:
    """keeper_end, gateway_end: our sockets to them. between: the keeper's end of their own socketpair, to be sent."""

    keeper: Child
    keeper_end: socket.socket
    gateway: Child | None = None
    gateway_end: socket.socket | None = None
    between: socket.socket | None = None


def hatch(environ: Mapping[str, str] = os.environ, gateway: bool = True) -> Hatched:
    """Both processes (or the keeper alone)."""
    ours, theirs = socket.socketpair()
    with theirs:
        hatched = Hatched(spawn("bot_bottle.keeper.main", [theirs.fileno()], keeper_environment(environ)), ours)
    if not gateway:
        return hatched
    hatched.gateway_end, theirs = socket.socketpair()
    hatched.between, to_gateway = socket.socketpair()
    with theirs, to_gateway:
        fds = [to_gateway.fileno(), theirs.fileno()]
        hatched.gateway = spawn("bot_bottle.egress.main", fds, listed(environ))
    return hatched


def keeper_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """The keeper alone also sees what secret stores need: their own variables, and secrets given as variables."""
    given = [name for name in environ if name.startswith(SECRET_PREFIX)]
    return listed(environ, (*_STORES, *given, *mapped(environ)))


def mapped(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Variables that ``[environment]`` of the person's ``secrets/config.toml`` names; most people have none.

    Raises OperatorFault where that file cannot be read: the keeper would refuse, too.
    """
    root = os.path.abspath(locate(environ).root)
    home = Home(root, root)
    if not os.path.exists(f"{home.secrets}/config.toml"):
        return ()
    from bot_bottle.custody.settings import needed_variables

    return needed_variables(home, environ)


def session_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What a detached launcher needs: all of the keeper's, and where the home, the authorities and the proxy are."""
    also = ("SSL_CERT_FILE", "HTTPS_PROXY", "https_proxy")
    more = {name: environ[name] for name in also if name in environ}
    if "BOT_BOTTLE_HOME" in environ:
        more["BOT_BOTTLE_HOME"] = os.path.abspath(environ["BOT_BOTTLE_HOME"])  # a session works in /
    return keeper_environment(environ) | more
