"""A web process that was taken over and asks the starter for what no page has: the starter does what a person at the
page can have done, and nothing else (D17). Its frames are written by hand here, as an exploit would.
"""

import os
import queue
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot_bottle.api.request import Request
from bot_bottle.api.settings import Settings
from bot_bottle.api.wiring import Host
from bot_bottle.base.errors import UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import lease
from bot_bottle.cli import serve_starter
from bot_bottle.cli.serve_places import Places
from bot_bottle.egress.channel import Channel
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, RevokeGrant
from bot_bottle.keeper.messages.control import KeeperToControl, LearnPolicy, ReloadPolicy, RenewSecret
from bot_bottle.keeper.messages.replies import Done
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Approver, Scope, Wanted
from bot_bottle.web import messages
from bot_bottle.web.wish import StartWish
from unit.keeper.stand import IDENTITY, POLICY, Stand

WAIT = 60


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(str(tmp_path / "home"), str(tmp_path / "home/run"))
    for place in (made.web, f"{made.root}/leases"):
        os.makedirs(place)
    return made


@pytest.fixture
def starter(home: Home) -> Iterator[Any]:
    host = Host({"BOT_BOTTLE_HOME": home.root})
    made = serve_starter.Starter(host, Settings(), Places((), []), lambda _: None)
    yield made
    made.close()


def heard(frame: dict[str, Any]) -> Any:
    """What the starter's end of the link makes of a frame."""
    web, ours = socket.socketpair()
    with web, ours:
        body = msgspec.msgpack.encode(frame)
        web.sendall(len(body).to_bytes(4, "big") + body)
        link: Channel[Any, Any] = Channel(ours, messages.WebToStarter)  # type: ignore[arg-type]
        return link.receive()[0]


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process of the person that is no bottle."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


@pytest.fixture
def forged(home: Home, victim: subprocess.Popen[bytes]) -> Iterator[str]:
    """A lease that web wrote into its own directory, and a lock that another process holds; its label as a path."""
    facts = lease.Held("x", "r", "b", "a", "h", "", 0, state="running")
    facts.processes = (lease.process("launcher", victim.pid),)
    Path(home.web, "x.json").write_bytes(msgspec.json.encode(facts))
    holds = (
        "import fcntl, os, struct, sys\n"
        "lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "fcntl.fcntl(lock, fcntl.F_OFD_SETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))\n"
        "print(flush=True); input()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", holds, f"{home.web}/x.lock"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        yield "../web/x"
        holder.kill()


def test_d17_a_label_that_is_a_path_kills_nothing(
    starter: Any, home: Home, victim: subprocess.Popen[bytes], forged: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(msgspec.ValidationError):
        heard({"type": "killbottle", "number": 1, "label": forged})
    replies: queue.SimpleQueue[messages.Reply] = queue.SimpleQueue()

    def told(reply: messages.Reply, _fds: tuple[int, ...]) -> None:
        replies.put(reply)

    starter._wish(messages.KillBottle(1, forged), told)  # behind the frame's own check
    assert replies.get(timeout=WAIT).error[0] == "label.unknown"
    assert victim.poll() is None
    monkeypatch.setattr(lease, "is_label", lambda _: True)  # control: this is what held it
    starter._wish(messages.KillBottle(2, forged), told)
    assert replies.get(timeout=WAIT).error[0] == ""
    assert victim.wait(WAIT) == -9


def test_d17_no_lease_is_looked_for_outside_the_leases(home: Home, forged: str) -> None:
    assert lease.read(home, forged) is None and not lease.alive(home, forged)
    for of in (
        lambda: lease.forget(home, forged),
        lambda: lease.take(home, lease.Held(forged, "r", "b", "a", "h", "", 0)),
    ):
        with pytest.raises(UsageFault, match="no label"):
            of()
    assert Path(home.web, "x.json").exists()


@pytest.mark.parametrize(
    "wish",
    [
        {"at_end": "apply"}, {"at_end": "ask"}, {"mode": "interactive"}, {"terminal": True}, {"base": "../x"},
        {"agent": "../agent"}, {"agent": "a\x1b[2J"}, {"bottles": ["../../b"]}, {"label": "../web/x"},
        {"workspace": "relative"}, {"argv": ["x\0"]}, {"prompt": "x" * 100_001}, {"wall_clock": -1},
    ],
)  # fmt: skip
def test_d17_what_web_may_have_started_has_no_word_for_more(wish: dict[str, Any]) -> None:
    """Above all none for changes that are applied: they would be written into the person's files."""
    fine = {"agent": "claude", "prompt": "mend it", "workspace": "/work/site", "at_end": "keep"}
    assert heard({"type": "startbottle", "number": 1, "request": fine}).request.at_end == "keep"
    with pytest.raises(msgspec.ValidationError):
        heard({"type": "startbottle", "number": 1, "request": fine | wish})


def test_d17_what_is_begun_for_web_is_headless_and_applies_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[Request] = []

    class Prepared:
        def __init__(self, request: Request, _host: Host) -> None:
            begun.append(request)

        def detach(self) -> str:
            return "x"

    monkeypatch.setattr(serve_starter, "prepare", Prepared)
    assert serve_starter.start(Host({}), StartWish("claude", prompt="mend it")) == "x"
    (request,) = begun
    assert (request.mode, request.terminal, request.at_end) == ("headless", False, "keep")


# ---- the sockets of keepers: web cannot connect, the starter hands them over


@pytest.fixture
def keeper(home: Home) -> Iterator[Stand]:
    """A real keeper, and the lease of its bottle."""
    held = lease.take(home, lease.Held(IDENTITY.label, IDENTITY.run, "b", "a", "h", "", 0, "running"))
    made = Stand(home)
    made.start()
    yield made
    made.close()
    held.release()


def reached(starter: Any, label: str) -> tuple[messages.Reply, list[int]]:
    """What web gets for it, by a link like its own."""
    ours, web = socket.socketpair()
    sender: Channel[Any, Any] = Channel(ours, messages.Reply)
    receiver: Channel[Any, Any] = Channel(web, messages.Reply)
    with ours, web:
        starter._wish(messages.ReachKeeper(1, label), sender.send)
        web.settimeout(WAIT)
        return receiver.receive()


def said(fd: int, *words: Any) -> list[Any]:
    """Answers of the keeper at a connection that web got."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, 0, fd) as sock:
        link: Channel[Any, Any] = Channel(sock, KeeperToControl)  # type: ignore[arg-type]
        sock.settimeout(WAIT)
        answers: list[Any] = []
        for word in words:
            link.send(word)
            answers.append(link.receive()[0])
        return answers


def test_d17_the_starter_hands_over_living_keepers_and_nothing_else(
    starter: Any, home: Home, keeper: Stand, forged: str
) -> None:
    reply, fds = reached(starter, IDENTITY.label)
    assert reply.error[0] == "" and len(fds) == 1
    os.close(fds[0])
    listener = socket.socket(socket.AF_UNIX)
    os.makedirs(home.sockets("other"))
    with listener:
        listener.bind(f"{home.sockets('other')}/control")
        listener.listen()
        for label in ("other", forged, "../../one"):  # no lease; a lease by web; no label
            reply, fds = reached(starter, label)
            assert (reply.error[0], fds) == ("label.unknown", [])
        with pytest.raises(msgspec.ValidationError):
            heard({"type": "reachkeeper", "number": 1, "label": forged})


def test_d17_a_keeper_takes_no_policy_and_no_secret_from_web(starter: Any, keeper: Stand) -> None:
    """What a person may say at the command line, and no page has."""
    orders = (ReloadPolicy(msgspec.structs.replace(POLICY, default="allow")), RenewSecret("key"))
    _, (fd,) = reached(starter, IDENTITY.label)
    assert [answer.slug for answer in said(fd, *orders)] == ["web.control"] * 2
    assert keeper.ask(orders[1]) == Done()  # control: where the starter did not say so


def test_d17_what_web_vouches_for_is_recorded_as_that(starter: Any, keeper: Stand) -> None:
    """It may name any session as the approver; that web named it is in the record, whatever it says of the way."""
    opened = keeper.asks(1, Wanted(Target("https", "hooks.example.net", 443), "POST", "/in"))
    ask = keeper.store().ask(opened.ask)
    assert ask is not None
    forged = Approver("os", str(os.getuid()), "me", "terminal")
    _, (fd,) = reached(starter, IDENTITY.label)
    answer, *_ = said(fd, AnswerAsk(ask.id, ask.request, True, forged, Scope.RUN), LearnPolicy(60, forged))
    assert isinstance(answer, Answered)
    _, (fd,) = reached(starter, IDENTITY.label)
    assert said(fd, RevokeGrant(answer.grant, forged)) == [Done()]
    keeper.finish()
    kinds = {"answer": None, "learn": None, "grant": None}
    for record in keeper.records():
        if record.kind in kinds and record.verdict in ("allow", "begun", "revoked"):
            kinds[record.kind] = record.detail["via"]
    assert kinds == dict.fromkeys(kinds, "web")
