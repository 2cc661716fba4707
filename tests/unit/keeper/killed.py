"""`python -I killed.py POINT SITE`: a keeper that kills itself with SIGKILL at one point of an ask's life.

POINT: ``before`` or ``after``, and one of write:KIND, add, sign, settle, leaf, tell:MESSAGE. Its fd 3 is its launcher.
"""

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, sys.argv[2])
from bot_bottle.keeper import main as keeper
from bot_bottle.keeper.gateway_link import GatewayLink
from bot_bottle.keeper.session import Session
from bot_bottle.supervise import leaf
from bot_bottle.supervise.store import SqliteStore

POINT = sys.argv[1]


def dying(name: Callable[..., str], function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, but deadly at our point."""

    def call(*args: Any, **more: Any) -> Any:
        if f"before {name(*args)}" == POINT:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*args, **more)
        if f"after {name(*args)}" == POINT:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    return call


for owner, attribute, name in (
    (Session, "_write", lambda _, fields: f"write:{fields['kind'].value}"),
    (Session, "_sign", lambda *_: "sign"),
    (SqliteStore, "add", lambda *_: "add"),
    (SqliteStore, "settle", lambda *_: "settle"),
    (leaf, "write", lambda *_: "leaf"),
    (GatewayLink, "tell", lambda _, message, *__: f"tell:{type(message).__name__.lower()}"),
):
    setattr(owner, attribute, dying(name, getattr(owner, attribute)))  # type: ignore[arg-type]

os._exit(keeper.main())
