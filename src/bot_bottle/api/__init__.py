"""The Python API: the same verbs as the command line, typed. `from bot_bottle import api`."""

from bot_bottle.api.bottles import (
    Listed,
    Prepared,
    bottles,
    cleanup,
    execute,
    forward,
    freeze,
    info,
    prepare,
    run,
    start,
    stop,
    thaw,
    verify,
)
from bot_bottle.api.request import Request
from bot_bottle.api.wiring import Host
from bot_bottle.bottles.outcome import Outcome

__all__ = [
    "Host",
    "Listed",
    "Outcome",
    "Prepared",
    "Request",
    "bottles",
    "cleanup",
    "execute",
    "forward",
    "freeze",
    "info",
    "prepare",
    "run",
    "start",
    "stop",
    "thaw",
    "verify",
]
