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
from bot_bottle.web import messages
from bot_bottle.web.wish import StartWish

WAIT = 60


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(str(tmp_path / "home"), str(tmp_path / "runtime"))
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
    starter._wish(messages.KillBottle(1, forged), replies.put)  # behind the frame's own check
    assert replies.get(timeout=WAIT).error[0] == "label.unknown"
    assert victim.poll() is None
    monkeypatch.setattr(lease, "is_label", lambda _: True)  # control: this is what held it
    starter._wish(messages.KillBottle(2, forged), replies.put)
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
