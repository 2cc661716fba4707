"""Requests that are held: whatever the bytes and their cuts, what a person is asked about is what would be sent."""

import hashlib
import os
from typing import Any, cast

from bot_bottle.egress.gateway import Gateway
from bot_bottle.egress.limits import Wildcards
from bot_bottle.egress.loop import Loop
from bot_bottle.egress.messages import Asked, Configure, HeldBytes, Identity, Limits, Secrets, Settled, ShowHeld
from bot_bottle.egress.session import WAIT, Session
from bot_bottle.egress.target import Site
from bot_bottle.policy.effective import Policy

SECRET = b"sk-real-0123456789abcdefghijklmnop"
MOST = 2000


class Leg:
    """As much of a connection as a session touches; `sent` is what the agent would get."""

    def __init__(self) -> None:
        self.sent, self.queued, self.active = b"", 0, 0.0
        self.closed = self.paused = False
        self.failure, self.owner = "", None

    def write(self, data: bytes) -> None:
        self.sent += data

    def pause(self) -> None:
        self.paused = True

    def resume(self) -> None:
        self.paused = False

    def half_close(self) -> None:
        self.closed = True

    finish = close = half_close


def _gateway() -> tuple[Gateway, list[object]]:
    told: list[object] = []
    limits = Limits(arrivals=0, denials=0, asks=0)
    policy = Policy(bottle="dev", routes=(), default="ask", ask_body=MOST)
    config = Configure(Identity("r", "dev", "a", "h", "l"), policy, limits, trust="", authority="", leaf_key="")
    log, spool = os.memfd_create("log"), os.memfd_create("spool")
    secrets = Secrets({"key": SECRET}, {"key": "sk-fake-0123456789abcdefghijklmnop"})
    return Gateway(Loop(), config, secrets, log, told.append, spool), told


GATEWAY, TOLD = _gateway()


def _asked(pieces: list[bytes]) -> list[str]:
    """What is asked about when the bytes come in these pieces; each ask is denied, so that the next one may come."""
    GATEWAY.thaw()  # the third secret freezes
    GATEWAY.wildcards = Wildcards()
    session, found = Session(GATEWAY, Site("forward", "http", "", 80)), list[str]()
    leg = Leg()
    session.attach(cast("Any", leg))
    for piece in pieces:
        if leg.closed:
            break
        session.received(piece)
        GATEWAY.journal.flush()
        while TOLD:
            found += _checked(TOLD.pop(0))
            GATEWAY.journal.flush()
        assert session.state != WAIT or GATEWAY.flow.holding or leg.closed or session.exchange is None
    session.ended(True)
    GATEWAY.journal.flush()
    TOLD.clear()
    assert not GATEWAY.flow.holding and not len(GATEWAY.asks)
    return found


def _checked(message: object) -> list[str]:
    if not isinstance(message, Asked):
        return []
    want = message.wanted
    shown = GATEWAY.asks.show(ShowHeld(message.number, MOST))
    assert isinstance(shown, HeldBytes) and shown.size == len(shown.body) == want.body_bytes <= MOST
    assert want.body_digest == (hashlib.sha256(shown.body).hexdigest() if shown.body else "")
    assert shown.head.startswith(f"{want.method} {want.path}".encode("latin-1")) and SECRET not in shown.head
    assert SECRET not in shown.body
    GATEWAY.asks.hear(Settled(message.number, "ask", allow=False, state="denied"))
    return [f"{want.target.host} {want.method} {want.path} {want.body_digest}"]


def test_one_input(data: bytes) -> None:
    """Whole, and byte by byte."""
    assert _asked([data]) == _asked([data[at : at + 1] for at in range(len(data))])


if __name__ == "__main__":
    import sys

    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, test_one_input)
    atheris.Fuzz()
