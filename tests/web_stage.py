"""A seeded home for tests of the dashboard and the API: ended runs with real sealed logs, asks in every state, grants,
and running bottles whose keeper is a stand-in behind a real control socket (real lease, real store, real rules).

    with Stage(tmp_path) as stage:
        stage.ended("fix-login", records=40)
        bottle = stage.running("docs-typo")
        ask = stage.ask(bottle)
        web = stage.web()              # the real web process, confined; web.get("/inbox"), web.api("GET", "/asks")
"""

import contextlib
import http.client
import itertools
import json
import os
import secrets
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from bot_bottle.audit.record import VERSION, Record
from bot_bottle.base.errors import BottleError, BusyFault
from bot_bottle.base.home import Home
from bot_bottle.base.ids import run_id
from bot_bottle.bottles import control
from bot_bottle.bottles import lease as leases
from bot_bottle.cli.serve_web import issued
from bot_bottle.egress.channel import Channel
from bot_bottle.egress.messages import Counters, Identity, Limits
from bot_bottle.keeper.control import ControlServer
from bot_bottle.keeper.judging import propose
from bot_bottle.keeper.logs import HostedLog, open_log
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.approvals import AnswerAsk, AskShown, LeafProposed, ProposeLeaf, RevokeGrant, ShowAsk
from bot_bottle.keeper.messages.approvals import Answered as AskAnswered
from bot_bottle.keeper.messages.control import (
    ControlToKeeper,
    Facts,
    FactsQuery,
    FreezeBottle,
    KeeperToControl,
    LearnPolicy,
    Stop,
    ThawBottle,
)
from bot_bottle.keeper.messages.launcher import Open
from bot_bottle.keeper.messages.replies import Done, Refused
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise import leaf as leaf_file
from bot_bottle.supervise import rules
from bot_bottle.supervise.charter import LOCAL
from bot_bottle.supervise.digest import request_digest, scope_digest
from bot_bottle.supervise.granting import grant_for
from bot_bottle.supervise.model import Answer, Approver, Ask, AskKind, AskState, Scope, StoredGrant, Wanted
from bot_bottle.supervise.ports import AskQuery
from bot_bottle.supervise.store import SqliteStore
from bot_bottle.web import addresses, messages
from bot_bottle.web.main import prepare
from bot_bottle.web.messages import Begin, Listen
from bot_bottle.web.security import Defences
from bot_bottle.web.sessions import Sessions, csrf
from bot_bottle.web.starter import NoStarter

SECOND = 1_000_000_000
PERSON = Approver("os", "1000", "ann", "web")
POLICY = Policy(
    "web", (Route("web/docs", "docs.example.org"), Route("web/hooks", "hooks.example.net", action="ask")),
    digest="d" * 64, default="ask",
)  # fmt: skip
LEAF = """---
# what the site may reach
version: 1
egress:
  default: ask
  routes:
    - {name: docs, host: docs.example.org}
    - {name: hooks, host: hooks.example.net, action: ask}
---
"""
DIALOGUE: tuple[dict[str, Any], ...] = (
    {"kind": "intent", "target": "https://docs.example.org:443", "method": "GET", "path": "/guide", "verdict": "allow", "rule": "web/docs", "reason": "route"},
    {"kind": "outcome", "target": "https://docs.example.org:443", "method": "GET", "path": "/guide", "verdict": "allow", "rule": "web/docs", "status": 200, "up": 120, "down": 5300, "ms": 41.5, "address": "203.0.113.7:443"},
    {"kind": "denied", "target": "https://evil.example:443", "method": "POST", "path": "/collect", "verdict": "deny", "rule": "", "reason": "no-route", "up": 0},
    {"kind": "name", "target": "evil.example", "verdict": "deny", "reason": "no-route"},
)  # fmt: skip


def wanted(host: str = "hooks.example.net", path: str = "/in", method: str = "POST", **more: Any) -> Wanted:
    """What an ask is about."""
    values: dict[str, Any] = {
        "headers": ("accept", "content-type"), "body_bytes": 27, "body_digest": "b" * 64,
        "content_type": "application/json",
    }  # fmt: skip
    return Wanted(Target("https", host, 443), method, path, **(values | more))


@dataclass
class Bottle:
    """A running bottle: its lease is held by this process, its keeper is a thread. said: what it was told."""

    stage: "Stage"
    identity: Identity
    project: str
    lease: leases.Lease
    log: HostedLog
    counters: Counters = field(
        default_factory=lambda: Counters(
            allowed=12,
            denied=3,
            asked=1,
            bytes_up=4096,
            bytes_down=90_000,
            hosts={"docs.example.org": 12},
            denied_hosts={"evil.example": 3},
        )
    )
    frozen: str = ""
    said: list[Any] = field(default_factory=list)
    held: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    delay: float = 0.0
    learn_until: int = 0

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._started = threading.Event()
        self._loop = Loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    @property
    def label(self) -> str:
        return self.identity.label

    @property
    def ending(self) -> bool:
        return self._over.is_set()

    @property
    def leaf(self) -> str:
        return f"{self.stage.home.bottles}/{self.identity.bottle}.md"

    def _proposed(self, store: SqliteStore, name: str) -> KeeperToControl:
        ask = store.ask(name)
        if ask is None:
            return Refused("UsageFault", "ask.unknown", "There is no such ask.")
        try:
            found = propose(self.leaf, POLICY, ask)
        except BottleError as error:
            return Refused(type(error).__name__, error.slug, error.what, error.hint)
        return LeafProposed(self.leaf, found.before, found.diff)

    def record(self, **fields: Any) -> None:
        """One record in its live log, under a checkpoint at once."""
        self.log.append(self.stage.record(self.identity, **fields))
        self.log.checkpoint()

    def end(self) -> None:
        """As when its launcher has ended: no socket, no lease, a sealed log."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join(10)
        self.log.seal(self.stage.record(self.identity, kind="stop", detail={"status": "0"}))
        self.lease.release()

    def _serve(self) -> None:
        store = SqliteStore(self.stage.home.approvals)
        server = ControlServer(
            self._loop,
            self.stage.home.sockets(self.label),
            lambda message, reply: reply(self._answer(store, message)),
        )
        self._started.set()
        self._loop.later(0.02, self._tick)
        self._loop.run(self._over.is_set)
        server.close()
        store.close()

    def _tick(self) -> None:
        self._loop.later(0.02, self._tick)

    def _answer(self, store: SqliteStore, message: ControlToKeeper) -> KeeperToControl:
        if not isinstance(message, FactsQuery):
            self.said.append(message)
        if self.delay:
            time.sleep(self.delay)
        match message:
            case FactsQuery():
                held = self.lease.held
                return Facts(
                    self.identity, self.counters, POLICY.digest, 1, self.frozen, "landlock-7 seccomp",
                    self.log.directory, self.log.records, self.log.newest, held.started, self.project,
                    self.leaf, store.count(AskQuery((AskState.WAITING,), run=self.identity.run)), self.learn_until,
                )  # fmt: skip
            case FreezeBottle(reason=reason):
                self.frozen = reason
                self.lease.update(frozen=reason)
            case ThawBottle():
                self.frozen = ""
                self.lease.update(frozen="")
            case Stop():
                threading.Thread(target=self.end, daemon=True).start()
            case ShowAsk(ask=name):
                if name not in self.held:
                    return AskShown(False)
                head, body = self.held[name]
                return AskShown(True, head, body[:65536], len(body))
            case RevokeGrant(grant=name):
                if not store.revoke(name, time.time_ns()):
                    return Refused("UsageFault", "grant.over", "This grant has ended before.")
            case AnswerAsk():
                return settle(store, message, POLICY, self.leaf)
            case ProposeLeaf(ask=name):
                return self._proposed(store, name)
            case LearnPolicy(seconds=seconds):
                self.learn_until = time.time_ns() + seconds * SECOND if seconds else 0
            case _:
                pass
        return Done()


def settle(store: SqliteStore, order: AnswerAsk, policy: Policy, leaf: str = "") -> KeeperToControl:
    """What a keeper does with an answer, by the same rules and the same writer of bottle files, without a gateway."""
    ask = store.ask(order.ask)
    if ask is None:
        return Refused("UsageFault", "ask.unknown", "There is no such ask.")
    now = time.time_ns()
    name = f"n-{secrets.token_hex(6)}"
    answer = Answer(
        name, ask.id, order.request, order.allow, order.scope, order.approver, now, order.seconds, order.reason,
        order.break_glass, order.late,
    )  # fmt: skip
    case = rules.Case(ask, now, tuple(store.answers(ask.id)), policy.digest, ask.revision, "", leaf)
    ruling = rules.may_answer(LOCAL, case, answer)
    if isinstance(ruling, rules.Refused):
        return Refused("UsageFault", ruling.slug, ruling.what, ruling.hint)
    assert isinstance(ruling, rules.Settles)
    grant = grant_for(ask, answer, ruling, f"g-{secrets.token_hex(6)}", leaf)
    wrote = ""
    try:
        if grant is not None and grant.scope is Scope.ALWAYS:
            proposal = propose(leaf, policy, ask)
            if order.shown and order.shown != proposal.before:
                raise BusyFault("leaf.changed", "The bottle file changed since the rule was shown.")
            leaf_file.write(proposal)
            wrote = leaf
    except BottleError as error:
        return Refused(type(error).__name__, error.slug, error.what, error.hint)
    state = AskState.ALLOWED if ruling.allow else AskState.DENIED
    if not store.settle(ask.id, ask.version, state, now, answer, grant):
        return Refused("BusyFault", "ask.faster", "Somebody else was faster.")
    return AskAnswered(state, grant.id if grant else "", wrote)


class Stage:
    """One home. Everything that it started ends with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.home = Home(str(directory / "home"), str(directory / "home" / "run"))
        os.makedirs(self.home.root, 0o700, exist_ok=True)
        self.store = SqliteStore(self.home.approvals)
        os.makedirs(self.home.bottles, 0o700, exist_ok=True)
        Path(self.home.bottles, "web.md").write_text(LEAF)
        self._numbers = itertools.count(1)
        self._runs = itertools.count()
        self._open = contextlib.ExitStack()
        self.bottles: list[Bottle] = []

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        for bottle in self.bottles:
            bottle.end()
        self.store.close()

    def new_run(self, ago: int = 0) -> str:
        return run_id(int(time.time()) - ago - next(self._runs), secrets.token_bytes(6))

    def record(self, identity: Identity, **fields: Any) -> Record:
        values: dict[str, Any] = {
            "kind": "intent",
            "time": time.time_ns(),
            "mono": time.monotonic_ns(),
            "policy": POLICY.digest,
        }
        return Record(v=VERSION, **(values | msgspec.structs.asdict(identity) | fields))

    def identity(self, label: str, agent: str = "claude", bottle: str = "web", ago: int = 0) -> Identity:
        return Identity(self.new_run(ago), bottle, agent, "claude", label)

    def log(self, identity: Identity) -> HostedLog:
        limits = Limits()
        return open_log(Open(identity, POLICY, limits, self.home.root, self.home.runtime))

    def ended(
        self,
        label: str = "fix-login",
        rows: tuple[dict[str, Any], ...] = DIALOGUE,
        ago: int = 3600,
        agent: str = "claude",
    ) -> Identity:
        """A run that is over, with its log sealed and countersigned."""
        identity = self.identity(label, agent, ago=ago)
        at = time.time_ns() - ago * SECOND
        log = self.log(identity)
        log.append(self.record(identity, kind="start", time=at, detail={"workspace": "/work/site"}))
        for number, row in enumerate(rows, 1):
            log.append(self.record(identity, **({"request": number, "time": at + number * SECOND} | row)))
        log.seal(self.record(identity, kind="stop", time=at + (len(rows) + 1) * SECOND, detail={"status": "0"}))
        return identity

    def running(
        self,
        label: str = "docs-typo",
        agent: str = "claude",
        bottle: str = "web",
        rows: tuple[dict[str, Any], ...] = DIALOGUE,
        ago: int = 0,
    ) -> Bottle:
        """A bottle that runs: real lease, real log, a keeper that answers. ago: seconds since its start."""
        identity = self.identity(label, agent, bottle, ago)
        started = time.time_ns() - ago * SECOND
        lease = leases.take(
            self.home,
            leases.Held(label, identity.run, bottle, agent, "claude", "/work/site", started, "running"),
        )
        log = self.log(identity)
        log.append(self.record(identity, kind="start", time=started, detail={"workspace": "/work/site"}))
        for number, row in enumerate(rows, 1):
            log.append(self.record(identity, **({"request": number} | row)))
        log.checkpoint()
        lease.update(log=log.directory)
        found = Bottle(self, identity, "/work/site", lease, log)
        self.bottles.append(found)
        return found

    def ask(
        self, bottle: Bottle | Identity, state: AskState = AskState.WAITING, what: Wanted | None = None, says: str = "",
        wait: float = 300, ago: float = 1, body: bytes = b'{"text": "the build is red"}', kind: AskKind = AskKind.REQUEST, rule: str = DEFAULT,
    ) -> Ask:  # fmt: skip
        """An ask; of a running bottle its bytes are held."""
        identity = bottle.identity if isinstance(bottle, Bottle) else bottle
        what = what or wanted(path=f"/in/{next(self._numbers)}")
        asked = time.time_ns() - int(ago * SECOND)
        found = Ask(
            id=f"a-{secrets.token_hex(6)}", run=identity.run, bottle=identity.bottle, label=identity.label,
            agent=identity.agent, harness=identity.harness, project="/work/site", kind=kind, number=next(self._numbers),
            wanted=what, rule=rule, reason="no-route", hint="Nothing in the bottle file names this host.",
            request=request_digest(identity.bottle, kind, what), scope=scope_digest(identity.bottle, kind, what),
            policy=POLICY.digest, revision=1, asked=asked, deadline=asked + int(wait * SECOND), says=says,
        )  # fmt: skip
        self.store.add(found)
        if isinstance(bottle, Bottle) and state is AskState.WAITING:
            head = f"{what.method} {what.path} HTTP/1.1\r\nhost: {what.target.host}\r\n\r\n".encode(
                "utf-8", "replace"
            )
            bottle.held[found.id] = (head, body)
        if state is not AskState.WAITING:
            answer = None
            if state in (AskState.ALLOWED, AskState.DENIED):
                answer = Answer(
                    f"n-{found.id}",
                    found.id,
                    found.request,
                    state is AskState.ALLOWED,
                    Scope.ONCE,
                    PERSON,
                    time.time_ns(),
                )
            assert self.store.settle(found.id, 1, state, time.time_ns(), answer)
        return self.store.ask(found.id) or found

    def grant(self, bottle: Bottle | Identity, scope: Scope = Scope.BOTTLE) -> StoredGrant:
        """A yes that outlives its request."""
        ask = self.ask(bottle)
        order = AnswerAsk(ask.id, ask.request, True, PERSON, scope)
        reply = settle(self.store, order, POLICY, f"{self.home.bottles}/{ask.bottle}.md")
        assert isinstance(reply, AskAnswered), reply
        found = self.store.grant(reply.grant)
        assert found is not None
        return found

    def every_state(self, bottle: Bottle) -> dict[AskState, Ask]:
        """One ask in each state."""
        return {state: self.ask(bottle, state) for state in AskState}

    def web(self, **begin: Any) -> "Web":
        """The real web process with this home; a starter that plays along."""
        return self._open.enter_context(Web(self, **begin))


class Inside:
    """The same server inside this process, unconfined: for tests that take one defence away. No starter."""

    def __init__(self, stage: "Stage", defences: Defences | None = None, **begin: Any) -> None:
        given = Begin(stage.home.root, stage.home.runtime, user="ann", uid=1000, **begin)
        self.starter = NoStarter()
        self.web = prepare(given, [], self.starter, defences)
        self.web.office.watch.patience = 30  # so that a busy machine does not show half a page
        self.url = self.web.local
        self.port = int(self.url.rpartition(":")[2])
        self.thread = threading.Thread(target=self.web.front.run, daemon=True)
        self.thread.start()
        until(lambda: self.web.front.started)

    def __enter__(self) -> "Inside":
        return self

    def __exit__(self, *_: object) -> None:
        self.web.front.end()
        self.thread.join(10)
        assert not self.thread.is_alive()

    @property
    def reports(self) -> list[str]:
        """What browsers reported against the Content-Security-Policy."""
        app: Any = self.web.front._gate.app
        return list(app.state.reports)

    def forget_reports(self) -> None:
        app: Any = self.web.front._gate.app
        app.state.reports.clear()

    def session(self, kind: str = "local") -> dict[str, str]:
        """Headers of a signed-in person's browser, without the CSRF token."""
        sessions = Sessions(self.web.office.store)
        session = sessions.open("ann", kind, "test", time.time_ns())
        return {"cookie": f"bot-bottle-{self.port}={session}", "origin": self.url, "sec-fetch-site": "same-origin"}

    def raw(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> "Answered":
        return fetch(
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=20), method, path, headers or {}, body
        )


class Web:
    """A web process, its starter (a thread) and a plain HTTP client that is signed in as the local person."""

    def __init__(
        self,
        stage: Stage,
        listen: tuple[Listen, ...] = (Listen(),),
        sockets: tuple[socket.socket, ...] = (),
        **more: Any,
    ) -> None:
        self.stage = stage
        self.controls: list[messages.Control] = []
        self.started: list[messages.StartBottle] = []
        self.killed: list[str] = []
        self.codes: list[messages.CodeIssued] = []
        self.links: list[str] = []
        self._heard = threading.Condition()
        mine, theirs = socket.socketpair()
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-c", "import os,sys; os.dup2(int(sys.argv[1]), 3); os.execv(sys.executable, [sys.executable, '-I', '-m', 'bot_bottle.web.main'])", str(theirs.fileno())],
            pass_fds=(theirs.fileno(),), cwd="/", stdin=subprocess.DEVNULL,
        )  # fmt: skip
        theirs.close()
        self.channel: Channel[Any, Any] = Channel(mine, messages.WebToStarter)
        self.begin = Begin(stage.home.root, stage.home.runtime, listen, user="ann", uid=1000, **more)
        self.channel.send(self.begin, tuple(sock.fileno() for sock in sockets))
        self.serving, _ = self.channel.receive()
        if isinstance(self.serving, messages.Refused):
            self.close()
            raise RuntimeError(f"{self.serving.slug}: {self.serving.what}")
        self.url = self.serving.url
        self.thread = threading.Thread(target=self._play, daemon=True)
        self.thread.start()
        self.cookie = ""
        self.csrf = ""

    def __enter__(self) -> "Web":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self.channel.fileno() < 0:
            return
        with contextlib.suppress(OSError):
            self.channel.sock.shutdown(socket.SHUT_RDWR)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(5)
            raise
        finally:
            self.channel.close()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def link(self) -> str:
        """A one-time link for a browser: each call makes a new one."""
        before = len(self.links)
        self.channel.send(messages.IssueKey())
        with self._heard:
            assert self._heard.wait_for(lambda: len(self.links) > before, 10)
        return self.links[-1]

    def code(self) -> messages.CodeIssued:
        before = len(self.codes)
        self.channel.send(messages.IssueCode())
        with self._heard:
            assert self._heard.wait_for(lambda: len(self.codes) > before, 10)
        return self.codes[-1]

    def sign_in(self) -> "Web":
        """As the local person."""
        reply = self.raw("GET", self.link.removeprefix(self.url), {})
        assert reply.status == 303, (reply.status, reply.body)
        self.cookie = reply.headers["set-cookie"].partition(";")[0]
        self.csrf = csrf(self.cookie.partition("=")[2])
        return self

    def raw(
        self, method: str, path: str, headers: dict[str, str], body: bytes | None = None, port: int = 0
    ) -> "Answered":
        """Exactly this request, over plain loopback."""
        link = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=20)
        return fetch(link, method, path, headers, body)

    def get(self, path: str, **headers: str) -> "Answered":
        """As the signed-in person's browser would."""
        return self.raw("GET", path, self._browser() | headers)

    def post(self, path: str, values: dict[str, str], **headers: str) -> "Answered":
        """A form."""
        body = urllib.parse.urlencode(values | {"csrf": self.csrf}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded"}
        return self.raw("POST", path, self._browser() | kind | headers, body)

    def api(self, method: str, path: str, body: Any = None, token: str = "", **headers: str) -> "Answered":
        """An operation below /api/v1, by cookie or token."""
        given = {"authorization": f"Bearer {token}"} if token else self._browser() | {"x-bot-bottle-csrf": self.csrf}
        if body is not None:
            given["content-type"] = "application/json"
        raw = json.dumps(body).encode() if body is not None else None
        return self.raw(method, f"/api/v1{path}", given | headers, raw)

    def token(self, *scopes: str) -> str:
        """A new API token."""
        if not self.cookie:
            self.sign_in()
        reply = self.api(
            "POST", "/tokens", {"name": "test", "scopes": scopes or ("read", "answer", "control", "admin")}
        )
        assert reply.status == 201, reply.body
        return str(reply.json()["token"])

    def _browser(self) -> dict[str, str]:
        return {"cookie": self.cookie, "origin": self.url, "sec-fetch-site": "same-origin"}

    def _play(self) -> None:
        """The starter's part."""
        from bot_bottle.egress.channel import ChannelClosed

        with contextlib.suppress(ChannelClosed):
            while True:
                message, _ = self.channel.receive()
                with self._heard:
                    self._hear(message)
                    self._heard.notify_all()

    def _hear(self, message: Any) -> None:
        match message:
            case messages.KeyMade(key=key):
                self.links.append(addresses.link(self.serving.urls, key))
            case messages.CodeMade(code=code):
                self.codes.append(issued(self.begin, self.serving.urls, code))
            case messages.Control():
                self.controls.append(message)
                self.channel.send(messages.Reply(message.number))
            case messages.StartBottle():
                self.started.append(message)
                self.channel.send(messages.Reply(message.number, message.request.label or message.request.agent))
            case messages.ReachKeeper():
                self._reached(message)
            case messages.KillBottle():
                self.killed.append(message.label)
                self.channel.send(messages.Reply(message.number))
            case messages.AnswerEnded():
                store = SqliteStore(self.stage.home.approvals)
                reply = settle(store, message.answer, POLICY)
                store.close()
                if isinstance(reply, AskAnswered):
                    self.channel.send(messages.Reply(message.number, answered=reply))
                else:
                    assert isinstance(reply, Refused)
                    self.channel.send(messages.Reply(message.number, error=(reply.slug, reply.what, reply.hint)))
            case messages.RevokeEnded():
                store = SqliteStore(self.stage.home.approvals)
                store.revoke(message.revoke.grant, time.time_ns())
                store.close()
                self.channel.send(messages.Reply(message.number))
            case messages.ReadSettings():
                path = Path(self.stage.home.settings)
                text = path.read_text() if path.exists() else ""
                self.channel.send(messages.Reply(message.number, text))
            case messages.TestNotice():
                self.channel.send(messages.Reply(message.number, "sent"))
            case _:
                raise AssertionError(message)

    def _reached(self, message: messages.ReachKeeper) -> None:
        try:
            with control.dial_for_web(self.stage.home, message.label) as sock:
                self.channel.send(messages.Reply(message.number), (sock.fileno(),))
        except BottleError as error:
            self.channel.send(messages.Reply(message.number, error=(error.slug, error.what, error.hint)))


@dataclass
class Answered:
    """One HTTP answer. headers: lower-case names; of one that comes twice the last."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


def fetch(
    link: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str], body: bytes | None = None
) -> Answered:
    """One request on this connection, which is closed after it."""
    try:
        link.request(method, path, body, headers)
        reply = link.getresponse()
        return Answered(reply.status, {name.lower(): value for name, value in reply.getheaders()}, reply.read())
    finally:
        link.close()


def tls(authority: str) -> ssl.SSLContext:
    """A client's context that trusts this CA (PEM) and nothing else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=authority)
    return context


def until(done: Callable[[], bool], seconds: float = 30) -> None:
    """Waits for something that another process or thread does."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.01)
