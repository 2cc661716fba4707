"""kill -9 of a keeper at every step of an ask: nothing is let through that is not recorded, nothing waits for ever.

The keeper is the real process; launcher and gateway are the test's own sockets.
"""

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot_bottle.audit import keys
from bot_bottle.audit.encode import decode
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.whole import verify_home
from bot_bottle.base.home import Home
from bot_bottle.egress import messages as g
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper import control, ended
from bot_bottle.keeper.logs import recover
from bot_bottle.keeper.messages.approvals import AnswerAsk, ProposeLeaf
from bot_bottle.keeper.messages.control import KeeperToControl
from bot_bottle.keeper.messages.launcher import KeeperToLauncher, Open, Opened
from bot_bottle.keeper.messages.questions import Survey
from bot_bottle.policy import merge
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import AskKind, AskState, Scope, Wanted
from bot_bottle.supervise.ports import AskQuery
from bot_bottle.supervise.store import SqliteReader
from unit.keeper.stand import IDENTITY, ME

WANTED = Wanted(Target("https", "hooks.example.net", 443), "POST", "/in", body_digest="b" * 64)
PLAIN = Policy("b", (), default="ask")
BARE = msgspec.structs.replace(PLAIN, digest=merge.digest(PLAIN))
ASKING = ("before write:ask", "after write:ask", "before add", "after add", "before tell:askopened")
ANSWERING = (
    "after tell:askopened", "before write:answer", "after write:answer", "after sign", "before settle", "after settle",
    "before write:settled", "after write:settled", "before tell:settled", "after tell:settled", "after tell:grants",
)  # fmt: skip
ALWAYS = ("before leaf", "after leaf", "before tell:reload", "after tell:reload")


class Killed:
    """The keeper's process and both its other ends. settled: what the gateway was told before it died."""

    def __init__(self, home: Home, point: str, leaf: str) -> None:
        self.home = home
        mine, theirs = socket.socketpair()
        gateway, keepers = socket.socketpair()
        script = str(Path(__file__).with_name("killed.py"))
        code = f"import os, sys; os.dup2({theirs.fileno()}, 3); os.execv(sys.executable, [sys.executable, '-I', {script!r}, {point!r}, {str(Path(__file__).resolve().parents[3] / 'src')!r}])"
        self.process = subprocess.Popen([sys.executable, "-I", "-c", code], pass_fds=(theirs.fileno(),), cwd="/")
        theirs.close()
        mine.settimeout(20)
        gateway.settimeout(20)
        self.launcher: Channel[Any, Any] = Channel(mine, KeeperToLauncher)
        self.gateway: Channel[Any, Any] = Channel(gateway, g.KeeperToGateway)
        self.settled: list[g.Settled] = []
        order = Open(IDENTITY, BARE, g.Limits(), home.root, home.runtime, trust=certificates(), leaf=leaf)
        self.launcher.send(Survey(home.root, home.runtime))
        self.launcher.receive()
        self.launcher.send(order, (keepers.fileno(),))
        keepers.close()

    def live(self, scope: Scope) -> None:
        """One ask and one yes, as far as the keeper comes."""
        try:
            _, fds = self.gateway.receive()
            for fd in fds:
                os.close(fd)
            self.gateway.receive()
            self.gateway.send(g.Configured("test"))
            assert isinstance(self.launcher.receive()[0], Opened)
            self.gateway.send(g.Asked(1, AskKind.REQUEST, WANTED, DEFAULT, "r", "h"))
            opened, _ = self.gateway.receive()
            self.say(opened, scope)
            self.hear()
        except (ChannelClosed, ConnectionRefusedError):
            pass

    def say(self, opened: g.AskOpened, scope: Scope) -> None:
        reader = SqliteReader(self.home.approvals)
        ask = reader.ask(opened.ask)
        reader.close()
        assert ask is not None
        link = self.link()
        try:
            shown = ""
            if scope is Scope.ALWAYS:
                link.send(ProposeLeaf(ask.id))
                shown = link.receive()[0].before
                link.close()
                link = self.link()
            link.send(AnswerAsk(ask.id, ask.request, True, ME, scope, shown=shown))
        finally:
            link.close()

    def link(self) -> Channel[Any, Any]:
        return Channel(control.connect(self.home.sockets("one"), "control"), KeeperToControl)

    def hear(self) -> None:
        while True:
            message, _ = self.gateway.receive()
            if isinstance(message, g.Settled):
                self.settled.append(message)
            if isinstance(message, g.StatusQuery):
                self.gateway.send(g.Status(g.Counters()))

    def close(self) -> None:
        self.launcher.close()
        self.gateway.close()
        self.process.wait(20)


def certificates() -> str:
    import certifi

    return certifi.where()


def records(home: Home) -> list[Any]:
    paths = [home.run_log(IDENTITY.run), home.host_log]
    return [decode(line) for path in paths for _, lines in LogReader(path).batches() for line in lines]


@pytest.mark.parametrize(
    ("point", "scope"),
    [*((one, Scope.ONCE) for one in ASKING), *((one, Scope.BOTTLE) for one in ANSWERING), *((one, Scope.ALWAYS) for one in ALWAYS)],
)  # fmt: skip
def test_d25_kill_9_of_the_keeper_at_every_step(tmp_path: Path, point: str, scope: Scope) -> None:
    home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
    leaf = Path(home.bottles, "b.md")
    leaf.parent.mkdir(parents=True)
    leaf.write_text("---\nversion: 1\negress:\n  default: ask\n---\n")
    killed = Killed(home, point, str(leaf))
    try:
        killed.live(scope)
        assert killed.process.wait(20) == -9
    finally:
        killed.close()
    assert recover(home, (IDENTITY.run,)) == ((IDENTITY.run,), {})
    ended.end_left(home)
    found = records(home)
    let_go = [one for one in killed.settled if one.allow]
    allowed = [one for one in found if one.kind == "answer" and one.verdict == "allow"]
    assert bool(allowed) or not let_go, "something was let through without a record"
    if Path(home.approvals).exists():
        reader = SqliteReader(home.approvals)
        assert reader.asks(AskQuery((AskState.WAITING,))) == [], "something waits for ever"
        for grant in reader.grants():
            assert any(one.grant == grant.id for one in allowed), "a grant without a record"
        reader.close()
    assert leaf.read_text().count("hooks.example.net") <= len(allowed), "a rule without a record"
    assert verify_home(home, keys.pinned(home.keys)).ok
