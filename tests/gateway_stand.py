"""A real gateway process on loopback, with a stand-in for keeper and launcher, real upstreams and raw clients.

The doors are ordinary listening sockets on 127.0.0.1 (and, for the transparent doors, on any loopback address, so that
the original destination is what getsockname says, as in a bottle).
"""

import contextlib
import datetime
import fcntl
import ipaddress
import os
import queue
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from bot_bottle.egress import messages as m
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.policy.effective import Match, PathMatch, Policy, Route
from bot_bottle.policy.grants import Grant
from bot_bottle.policy.verdict import Auth

SECRET = b"sk-real-0123456789abcdefghijklmnopqrstuvwxyzABCD"
PLACEHOLDER = "sk-real-PLACEHOLDERPLACEHOLDERPLACEHOLDERPLACEHO"


T = TypeVar("T")


class Authority:
    """A certificate authority in memory."""

    def __init__(self, name: str) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, subject, self.key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), False)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.pem = self.certificate.public_bytes(serialization.Encoding.PEM).decode()
        self.leaf = ec.generate_private_key(ec.SECP256R1())
        self.leaf_key = self.leaf.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()

    def _builder(self, subject: x509.Name, issuer: x509.Name, key: object) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2))
        )

    def mint(self, host: str) -> str:
        try:
            name: x509.GeneralName = x509.IPAddress(ipaddress.ip_address(host))
        except ValueError:
            name = x509.DNSName(host)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host[:60])])
        builder = self._builder(subject, self.certificate.subject, self.leaf.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName([name]), False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        builder = builder.add_extension(aki, False)
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    def server_context(self, host: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(self.leaf_key + self.mint(host))
            file.flush()
            context.load_cert_chain(file.name)
        return context


@dataclass
class Seen:
    """One request as the upstream got it: raw head, body (framing taken off), connection number."""

    head: bytes
    body: bytes
    connection: int

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode()

    def header(self, name: str) -> list[str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = [line.partition(":") for line in lines if line]
        return [value.strip() for key, _, value in pairs if key.lower() == name]


class Wire:
    """A socket with a buffer, for upstream scripts and clients alike."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.buffer = bytearray()

    def until(self, mark: bytes) -> bytes:
        """Bytes up to and with the mark. Raises EOFError with what came instead."""
        while (at := self.buffer.find(mark)) < 0:
            self._more()
        return self._take(at + len(mark))

    def exactly(self, count: int) -> bytes:
        while len(self.buffer) < count:
            self._more()
        return self._take(count)

    def rest(self) -> bytes:
        """Everything up to the end."""
        while data := self.sock.recv(65536):
            self.buffer += data
        return self._take(len(self.buffer))

    def _more(self) -> None:
        data = self.sock.recv(262144)
        if not data:
            raise EOFError(bytes(self.buffer))
        self.buffer += data

    def _take(self, count: int) -> bytes:
        found = bytes(self.buffer[:count])
        del self.buffer[:count]
        return found

    def body(self, head: bytes) -> bytes:
        low = head.lower()
        if b"transfer-encoding: chunked" in low:
            whole: list[bytes] = []
            while size := int(self.until(b"\r\n"), 16):
                whole.append(self.exactly(size))
                self.until(b"\r\n")
            while self.until(b"\r\n") != b"\r\n":
                pass
            return b"".join(whole)
        if b"content-length:" in low:
            return self.exactly(int(low.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]))
        return b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def close(self) -> None:
        self.sock.close()


Script = Callable[[Wire, Seen], None]


def ok(body: bytes = b"ok", *fields: bytes) -> bytes:
    return b"\r\n".join([b"HTTP/1.1 200 OK", b"Content-Length: %d" % len(body), *fields, b"", body])


def answer_ok(wire: Wire, _seen: Seen) -> None:
    wire.send(ok())


class Upstream:
    """A threaded server; `script` answers each request. tls False: plain. context: another certificate."""

    def __init__(self, context: ssl.SSLContext | None, script: Script = answer_ok) -> None:
        self.script = script
        self.seen: list[Seen] = []
        self.connections = 0
        self.failures: list[BaseException] = []
        self._context = context
        self._arrived: queue.Queue[Seen] = queue.Queue()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.raw: Callable[[Wire], None] | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def wait(self, timeout: float = 10) -> Seen:
        """The next request that arrived."""
        return self._arrived.get(timeout=timeout)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock, self.connections), daemon=True).start()

    def _serve(self, sock: socket.socket, number: int) -> None:
        try:
            if self._context is not None:
                sock = self._context.wrap_socket(sock, server_side=True, suppress_ragged_eofs=True)
            wire = Wire(sock)
            if self.raw is not None:
                self.raw(wire)
                return
            while True:
                head = wire.until(b"\r\n\r\n")
                if b"100-continue" in head.lower():
                    seen = Seen(head, b"", number)
                else:
                    seen = Seen(head, wire.body(head), number)
                self.seen.append(seen)
                self._arrived.put(seen)
                self.script(wire, seen)
        except (OSError, EOFError, ValueError) as error:
            self.failures.append(error)
        finally:
            sock.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@dataclass
class Reply:
    """A parsed answer."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> list[str]:
        return Seen(self.head, b"", 0).header(name)

    @property
    def json(self) -> dict[str, object]:
        return msgspec.json.decode(self.body)


class Client(Wire):
    """The agent's side."""

    def ask(self, data: bytes, method: str = "GET") -> Reply:
        self.send(data)
        return self.reply(method)

    def reply(self, method: str = "GET") -> Reply:
        head = self.until(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        low = head.lower()
        if method == "HEAD" or status in (204, 304, 101, 100):
            return Reply(status, head, b"")
        if b"content-length:" in low or b"transfer-encoding:" in low:
            return Reply(status, head, self.body(head))
        return Reply(status, head, self.rest())


def get(path: str = "/v1/x", host: str = "api.test", *fields: str, method: str = "GET") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


@dataclass
class Setup:
    """What a test may change before the gateway starts."""

    routes: tuple[Route, ...] = ()
    secrets: dict[str, bytes] = field(default_factory=lambda: {"example": SECRET})
    placeholders: dict[str, str] = field(default_factory=lambda: {"example": PLACEHOLDER})
    limits: m.Limits = field(default_factory=m.Limits)
    model_hosts: dict[str, str] = field(default_factory=dict)
    upstream_proxy: str = ""
    doors: tuple[str, ...] = ("forward", "http", "https", "port", "dns-udp", "dns-tcp")
    log: str = ""
    level: str = "blocks"
    sync: str = "batch"
    trust: str | None = None
    default: str = "deny"
    ask_body: int = 8_000_000
    ask_wait: float = 300
    grants: tuple[Grant, ...] = ()
    spool: str = ""
    weaken: str = ""
    """Python that runs in the gateway before it starts: takes one defence away, or stands in for the outside."""


class Stand:
    """One gateway. `doors`: kind -> listening socket's port."""

    def __init__(self, directory: Path, setup: Setup, upstream_authority: Authority) -> None:
        self.setup = setup
        self.authority = Authority("bottle")
        self.trust = upstream_authority.pem if setup.trust is None else setup.trust
        self.log = Path(setup.log) if setup.log else directory / "log.jsonl"
        self.policy = Policy(
            bottle="dev",
            routes=setup.routes,
            model_hosts=setup.model_hosts,
            log=setup.level,
            sync=setup.sync,
            digest="sha256:test",
            default=setup.default,
            ask_body=setup.ask_body,
            ask_wait=setup.ask_wait,
        )
        self.bottle = subprocess.Popen(["sleep", "600"], stdin=subprocess.DEVNULL)
        self.messages: queue.Queue[object] = queue.Queue()
        self.minted: list[str] = []
        self.clients: list[Client] = []
        self.refuse_mint: set[str] = set()
        self.mint_gate = threading.Event()
        self.mint_gate.set()
        self.listeners: dict[str, socket.socket] = {}
        self.confinement = ""
        ours_keeper, its_keeper = socket.socketpair()
        ours_launcher, its_launcher = socket.socketpair()
        self.errors = directory / "stderr"
        self.spool = Path(setup.spool) if setup.spool else directory / "spool"
        self.process = _spawn(its_keeper, its_launcher, setup.weaken, self.errors)
        its_keeper.close()
        its_launcher.close()
        self.keeper: Channel[m.KeeperToGateway, m.GatewayToKeeper] = Channel(ours_keeper, m.GatewayToKeeper)
        self.launcher: Channel[m.LauncherToGateway, m.GatewayToLauncher] = Channel(ours_launcher, m.GatewayToLauncher)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise

    def _begin(self) -> None:
        log = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        spool = os.open(self.spool, os.O_RDWR | os.O_CREAT, 0o600)
        self.keeper.send(
            m.Configure(
                identity=m.Identity("run-1", "dev", "fixer", "command", "label-1"),
                policy=self.policy,
                limits=self.setup.limits,
                trust=self.trust,
                authority=self.authority.pem,
                leaf_key=self.authority.leaf_key,
                upstream_proxy=self.setup.upstream_proxy,
                grants=self.setup.grants,
            ),
            (log, spool),
        )
        os.close(log)
        os.close(spool)
        self.keeper.send(m.Secrets(self.setup.secrets, self.setup.placeholders))
        answer, _ = self.keeper.receive()
        assert isinstance(answer, m.Configured), answer
        self.confinement = answer.confinement
        threading.Thread(target=self._listen, daemon=True).start()
        for kind in self.setup.doors:
            self.listeners[kind] = _door(kind)
        pidfd = os.pidfd_open(self.bottle.pid)
        fds = (*(sock.fileno() for sock in self.listeners.values()), pidfd)
        self.launcher.send(m.Doors(self.setup.doors), fds)
        os.close(pidfd)
        serving, _ = self.launcher.receive()
        assert isinstance(serving, m.Serving), serving

    def _listen(self) -> None:
        try:
            while True:
                message, _ = self.keeper.receive()
                if isinstance(message, m.Mint):
                    self.mint_gate.wait(20)
                    self.minted.append(message.host)
                    leaf = "" if message.host in self.refuse_mint else self.authority.mint(message.host)
                    self.keeper.send(m.Minted(message.host, leaf))
                else:
                    self.messages.put(message)
        except ChannelClosed:
            self.messages.put(None)

    def tell(self, message: m.KeeperToGateway, expect: type | None = None) -> object:
        """Sends a message of the keeper; waits for an answer of that type."""
        self.keeper.send(message)
        while expect is not None:
            found = self.messages.get(timeout=10)
            if isinstance(found, expect) or found is None:
                return found
        return None

    def asked(self) -> m.Asked:
        """The next question to a person."""
        return self.expect(m.Asked)

    def expect(self, kind: type[T]) -> T:
        """The next message of this type from the gateway; others before it are dropped."""
        while True:
            found = self.messages.get(timeout=10)
            assert found is not None, "the gateway ended"
            if isinstance(found, kind):
                return found

    def quiet(self) -> list[object]:
        """What the gateway said that nobody took, once it has said all that it had to say."""
        self.keeper.send(m.StatusQuery())
        found: list[object] = []
        while not isinstance(message := self.messages.get(timeout=10), m.Status):
            found.append(message)
        return found

    def opened(self, asked: m.Asked, ask: str = "ask-1", seconds: float = 300) -> m.Asked:
        """Gives the question its id and deadline, as the keeper does."""
        self.keeper.send(m.AskOpened(asked.number, ask, time.time_ns() + int(seconds * 1e9)))
        return asked

    def settle(self, asked: m.Asked, allow: bool = True, state: str = "", **more: Any) -> None:
        """Answers it, as the keeper does after a person did."""
        state = state or ("allowed" if allow else "denied")
        ask = more.pop("ask", "ask-1")
        if allow:
            more = {"approver": "os:0:root", "until": time.time_ns() + 60_000_000_000, **more}
        self.keeper.send(m.Settled(asked.number, ask, allow=allow, state=state, **more))

    def status(self) -> m.Counters:
        found = self.tell(m.StatusQuery(), m.Status)
        assert isinstance(found, m.Status)
        return found.counters

    def port(self, kind: str) -> int:
        return self.listeners[kind].getsockname()[1]

    def plain(self, kind: str = "forward", address: str = "127.0.0.1") -> Client:
        sock = socket.create_connection((address, self.port(kind)), timeout=20)
        return self._kept(Client(sock))

    def _kept(self, client: Client) -> Client:
        self.clients.append(client)
        return client

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cadata=self.authority.pem)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def connect(self, host: str = "api.test", port: int = 443, sni: str | None = None) -> Client:
        """CONNECT, then TLS; the client verifies the minted certificate."""
        client = self.plain()
        authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        reply = client.ask(f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n\r\n".encode(), "HEAD")
        assert reply.status == 200, reply
        return self._kept(Client(self.context().wrap_socket(client.sock, server_hostname=sni or host)))

    def secure(self, kind: str, address: str, sni: str) -> Client:
        """TLS at a transparent door."""
        return self._kept(Client(self.context().wrap_socket(self.plain(kind, address).sock, server_hostname=sni)))

    def records(self, *kinds: str) -> list[dict[str, object]]:
        """Whole lines of the log so far, of these kinds."""
        lines = self.log.read_bytes().splitlines()
        found = [msgspec.json.decode(line) for line in lines if line]
        return [record for record in found if not kinds or record["kind"] in kinds]

    def wait_record(self, count: int, *kinds: str) -> list[dict[str, object]]:
        """At least so many records of these kinds; the gateway writes outcomes at the end of its turn."""
        for _ in range(2000):
            found = self.records(*kinds)
            if len(found) >= count:
                return found
            threading.Event().wait(0.005)
        raise AssertionError(f"{len(self.records(*kinds))} of {count} {kinds}: {self.records()}")

    def drop(self, side: str) -> None:
        """The keeper or the launcher dies."""
        channel = self.keeper if side == "keeper" else self.launcher
        channel.sock.shutdown(socket.SHUT_RDWR)

    def wait_exit(self, timeout: float = 10) -> int:
        return self.process.wait(timeout)

    def close(self) -> None:
        for closing in (*self.clients, self.launcher, self.keeper, *self.listeners.values()):
            closing.close()
        try:
            self.process.wait(10)
        finally:
            self.process.kill()
            self.process.wait()
            self.bottle.kill()
            self.bottle.wait()


def _door(kind: str) -> socket.socket:
    if kind == "dns-udp":
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("0.0.0.0", 0))
        return sock
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("0.0.0.0", 0))
    sock.listen(1024)
    return sock


def _spawn(keeper: socket.socket, launcher: socket.socket, weaken: str, errors: Path) -> subprocess.Popen[bytes]:
    high = [fcntl.fcntl(sock.fileno(), fcntl.F_DUPFD_CLOEXEC, 100) for sock in (keeper, launcher)]
    code = f"import sys\n{weaken}\nfrom bot_bottle.egress.main import main\nsys.exit(main())"
    script = f'exec 3<&{high[0]} 4<&{high[1]}; exec "$0" -I -c "$1"'
    env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "BOT_BOTTLE_DEBUG": "1"}
    argv = ["/bin/bash", "-c", script, sys.executable, code]
    try:
        with errors.open("wb") as stderr:
            return subprocess.Popen(
                argv, env=env, cwd="/", pass_fds=high, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr
            )
    finally:
        for fd in high:
            os.close(fd)


def route(upstream: Upstream, host: str = "api.test", **changes: object) -> Route:
    """An allowed route to a test upstream, with the example secret."""
    values: dict[str, object] = {
        "rule": f"dev/{host}",
        "host": host,
        "address": f"127.0.0.1:{upstream.port}",
        "auth": Auth("bearer", "example"),
        **changes,
    }
    return Route(**values)


def paths(*values: str, methods: tuple[str, ...] = ("GET", "POST")) -> tuple[Match, ...]:
    return (Match(paths=tuple(PathMatch("prefix", value) for value in values), methods=methods),)
