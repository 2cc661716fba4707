"""How soon an ask shows, and how soon an answer wakes it, with many bottles of one home (issue 5, Figures).

    .venv/bin/python bench/approvals.py [--bottles 50] [--rounds 6]

Each bottle is a real keeper process with its own log and control socket, and the one store that they share; the
gateway's end of each is ours, so that only the keeper's side is measured. `shown`: from Asked to the ask standing in
the store for a reader (what the dashboard polls). `woken`: from the person's answer entering the control socket to
Settled leaving the keeper; all bottles are answered at once. One line of JSON for each.
"""

import argparse
import json
import os
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

import certifi
import msgspec

from bot_bottle.base.home import Home
from bot_bottle.bottles.spawn import listed, spawn
from bot_bottle.egress import messages as g
from bot_bottle.egress.channel import Channel
from bot_bottle.keeper import control
from bot_bottle.keeper.messages.approvals import AnswerAsk
from bot_bottle.keeper.messages.control import KeeperToControl
from bot_bottle.keeper.messages.launcher import KeeperToLauncher, Open, Opened
from bot_bottle.policy import merge
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Approver, AskKind, Scope, Wanted
from bot_bottle.supervise.store import SqliteReader

PLAIN = Policy("b", (), default="ask", ask_wait=600)
POLICY = msgspec.structs.replace(PLAIN, digest=merge.digest(PLAIN))
ME = Approver("os", str(os.getuid()), "bench", "api")


class Bottle:
    """One keeper and the other ends of its sockets."""

    def __init__(self, home: Home, number: int) -> None:
        self.home = home
        self.label = f"bottle-{number}"
        mine, theirs = socket.socketpair()
        gateway, keepers = socket.socketpair()
        with theirs:
            self.child = spawn("bot_bottle.keeper.main", [theirs.fileno()], listed(os.environ))
        self.launcher: Channel[Any, Any] = Channel(mine, KeeperToLauncher)  # type: ignore[arg-type]
        self.gateway: Channel[Any, Any] = Channel(gateway, g.KeeperToGateway)  # type: ignore[arg-type]
        identity = g.Identity(f"20261125t000000-{number:012x}", "b", "a", "h", self.label)
        limits = g.Limits(asks=1000)
        order = Open(identity, POLICY, limits, home.root, home.runtime, trust=certifi.where())
        self.launcher.send(order, (keepers.fileno(),))
        keepers.close()

    def open(self) -> None:
        _, fds = self.gateway.receive()
        for fd in fds:
            os.close(fd)
        self.gateway.receive()
        self.gateway.send(g.Configured("bench"))
        message, _ = self.launcher.receive()
        assert isinstance(message, Opened), message

    def asks(self, number: int) -> str:
        wanted = Wanted(
            Target("https", f"h{number}.example.net", 443), "POST", f"/{self.label}", body_digest="b" * 64
        )
        self.gateway.send(g.Asked(number, AskKind.REQUEST, wanted, DEFAULT, "r", "h"))
        return str(self.heard(g.AskOpened).ask)

    def answers(self, ask: str, request: str) -> None:
        link: Channel[Any, Any] = Channel(control.connect(self.home.sockets(self.label), "control"), KeeperToControl)  # type: ignore[arg-type]
        link.send(AnswerAsk(ask, request, True, ME, Scope.ONCE))
        self.heard(g.Settled)
        link.close()

    def heard(self, kind: type[Any]) -> Any:
        while True:
            message, _ = self.gateway.receive()
            if isinstance(message, kind):
                return message

    def close(self) -> None:
        self.launcher.close()
        self.gateway.close()
        self.child.reap(10)


def together(count: int, work: Callable[[int], None]) -> None:
    """All at once, each in a thread."""
    threads = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def measure(home: Home, bottles: list[Bottle], rounds: int) -> tuple[list[float], list[float]]:
    shown: list[float] = []
    woken: list[float] = []
    for turn in range(1, rounds + 1):
        found: dict[int, tuple[str, str]] = {}

        def ask(number: int, turn: int = turn, found: dict[int, tuple[str, str]] = found) -> None:
            begun = time.monotonic()
            ident = bottles[number].asks(turn)
            reader = SqliteReader(home.approvals)
            one = reader.ask(ident)
            reader.close()
            shown.append(time.monotonic() - begun)
            assert one is not None
            found[number] = (ident, one.request)

        def answer(number: int, found: dict[int, tuple[str, str]] = found) -> None:
            begun = time.monotonic()
            bottles[number].answers(*found[number])
            woken.append(time.monotonic() - begun)

        together(len(bottles), ask)
        together(len(bottles), answer)
    return shown, woken


def said(what: str, times: list[float], bottles: int) -> str:
    times = sorted(times)
    facts = {"p50": statistics.median(times), "p99": times[int(len(times) * 0.99)], "most": times[-1]}
    return json.dumps(
        {"what": what, "bottles": bottles, "count": len(times)} | {k: round(v, 4) for k, v in facts.items()}
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bottles", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=6)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        home = Home(f"{place}/home", f"{place}/run")
        bottles: list[Bottle] = []
        try:
            for number in range(given.bottles):
                bottles.append(Bottle(home, number))
                bottles[-1].open()
            shown, woken = measure(home, bottles, given.rounds)
            print(said("shown", shown, given.bottles))
            print(said("woken", woken, given.bottles))
        finally:
            for bottle in bottles:
                bottle.close()


if __name__ == "__main__":
    main()
