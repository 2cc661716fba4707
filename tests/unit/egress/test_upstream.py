"""The other side: bulk with back-pressure, the host's own proxy, stale and several connections, half-open agents."""

import hashlib
import os
import socket
import threading
from pathlib import Path

import pytest

from bot_bottle.policy.effective import Route
from bot_bottle.policy.verdict import Auth
from gateway_fixtures import Start
from gateway_stand import Seen, Stand, Upstream, Wire, get, ok, route

PUBLIC = """
import bot_bottle.egress.resolve as r, bot_bottle.egress.flow as fl
r.lookup = lambda host: (["127.0.0.1"], "")
fl.public_only = lambda found: (found, None)
"""


def peak(stand: Stand) -> int:
    """KB of the gateway's largest resident size."""
    lines = Path(f"/proc/{stand.process.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize("guarded", [True, False])
@pytest.mark.parametrize("chunked", [True, False])
def test_a_large_download_is_identical_and_takes_no_memory(
    start: Start, upstream: Upstream, guarded: bool, chunked: bool
) -> None:
    block = os.urandom(1 << 20)
    count = 40

    def script(wire: Wire, _seen: Seen) -> None:
        framing = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: %d" % (count << 20)
        wire.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        for _ in range(count):
            wire.send(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
        wire.send(b"0\r\n\r\n" if chunked else b"")

    upstream.script = script
    auth = Auth("bearer", "example") if guarded else None
    stand = start(routes=(route(upstream, auth=auth),), **({} if guarded else {"secrets": {}}))
    client = stand.connect()
    client.send(get())
    head = client.until(b"\r\n\r\n")
    threading.Event().wait(0.3)
    assert hashlib.sha256(client.body(head)).digest() == hashlib.sha256(block * count).digest()
    assert peak(stand) < 80_000
    assert stand.wait_record(1, "outcome")[0]["down"] == count << 20


def test_a_large_upload_is_identical_and_waits_for_a_slow_upstream(stand: Stand, upstream: Upstream) -> None:
    go = threading.Event()
    digest = hashlib.sha256()
    total = 30 << 20

    def raw(wire: Wire) -> None:
        wire.until(b"\r\n\r\n")
        go.wait(20)
        left = total
        while left:
            data = wire.exactly(min(left, 65536))
            digest.update(data)
            left -= len(data)
        wire.send(ok(b"stored"))

    upstream.raw = raw
    body = os.urandom(1 << 20) * 30
    client = stand.connect()
    client.send(get("/", "api.test", f"Content-Length: {total}", method="PUT"))
    threading.Timer(0.5, go.set).start()
    client.send(body)
    assert client.reply().body == b"stored"
    assert digest.digest() == hashlib.sha256(body).digest()
    assert peak(stand) < 80_000


def test_an_agent_that_goes_away_ends_the_stream(stand: Stand, upstream: Upstream) -> None:
    gone = threading.Event()

    def script(wire: Wire, _seen: Seen) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: one\n\n")
        wire.rest()
        gone.set()
        raise EOFError

    upstream.script = script
    client = stand.connect()
    client.send(get())
    client.until(b"data: one\n\n")
    client.close()
    assert gone.wait(10)
    assert stand.wait_record(1, "outcome")[0]["reason"] == "client.gone"


def test_a_stale_connection_is_retried_once_for_a_repeatable_request(stand: Stand, upstream: Upstream) -> None:
    def raw(wire: Wire) -> None:
        wire.until(b"\r\n\r\n")
        wire.send(ok(b"first"))
        wire.until(b"\r\n\r\n")

    upstream.raw = raw
    client = stand.connect()
    assert client.ask(get()).body == b"first"
    assert client.ask(get()).body == b"first"
    assert upstream.connections == 2
    assert client.ask(get("/", "api.test", "Content-Length: 1", method="POST") + b"x").status == 502


def test_http_1_0_clients_get_what_they_can_read(start: Start, plain_upstream: Upstream) -> None:
    plain_upstream.script = lambda wire, seen: wire.send(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n" + b"3\r\ndef\r\n0\r\n\r\n"
    )
    stand = start(routes=(route(plain_upstream, scheme="http", ports=(80,), auth=None),))
    client = stand.plain()
    client.send(b"GET http://api.test/ HTTP/1.0\r\nHost: api.test\r\n\r\n")
    raw = client.rest()
    assert raw.endswith(b"abcdef") and b"chunked" not in raw.lower()


def test_head_keeps_the_length_and_has_no_body(stand: Stand, upstream: Upstream) -> None:
    upstream.script = lambda wire, seen: wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n")
    client = stand.connect()
    reply = client.ask(get(method="HEAD"), "HEAD")
    assert reply.header("content-length") == ["1234"]
    upstream.script = lambda wire, seen: wire.send(b"HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n")
    assert client.ask(get()).status == 304
    upstream.script = lambda wire, seen: wire.send(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert client.ask(get()).status == 204
    upstream.script = lambda wire, seen: wire.send(ok(b""))
    assert client.ask(get()).body == b""


class Proxy:
    """A CONNECT proxy that notes what it was asked for and tunnels to one port."""

    def __init__(self, port: int, answer: bytes = b"HTTP/1.1 200 OK\r\n\r\n") -> None:
        self.heads: list[bytes] = []
        self._port, self._answer = port, answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://user:pass@127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            wire = Wire(sock)
            self.heads.append(wire.until(b"\r\n\r\n"))
            wire.send(self._answer)
            if b" 200 " in self._answer:
                other = socket.create_connection(("127.0.0.1", self._port))
                for a, b in ((sock, other), (other, sock)):
                    threading.Thread(target=_pipe, args=(a, b), daemon=True).start()
            else:
                sock.close()

    def close(self) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def _pipe(source: socket.socket, target: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            target.sendall(data)
    except OSError:
        pass
    finally:
        source.close()
        target.close()


def test_the_hosts_own_proxy_is_chained_by_connect(start: Start, upstream: Upstream) -> None:
    proxy = Proxy(upstream.port)
    unpinned = Route(rule="dev/api", host="api.test", auth=Auth("bearer", "example"))
    stand = start(routes=(unpinned,), upstream_proxy=proxy.url, weaken=PUBLIC)
    assert stand.connect().ask(get()).status == 200
    assert proxy.heads[0].startswith(b"CONNECT api.test:443 HTTP/1.1\r\n")
    assert b"Proxy-Authorization: Basic dXNlcjpwYXNz\r\n" in proxy.heads[0]
    pinned = start(routes=(route(upstream),), upstream_proxy=proxy.url)
    assert pinned.connect().ask(get()).status == 200
    assert len(proxy.heads) == 1
    proxy.close()


def test_b18_the_proxy_is_never_asked_for_a_private_address(start: Start, upstream: Upstream) -> None:
    proxy = Proxy(upstream.port)
    private = "import bot_bottle.egress.resolve as r\nr.lookup = lambda host: (['10.0.0.1'], '')"
    stand = start(routes=(Route(rule="dev/api", host="api.test"),), upstream_proxy=proxy.url, weaken=private)
    assert stand.connect().ask(get()).json["reason"] == "address.private"
    assert proxy.heads == []
    proxy.close()


def test_a_proxy_that_refuses_is_one_sentence(start: Start, upstream: Upstream) -> None:
    proxy = Proxy(upstream.port, b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
    stand = start(routes=(Route(rule="dev/api", host="api.test"),), upstream_proxy=proxy.url, weaken=PUBLIC)
    reply = stand.connect().ask(get())
    assert (reply.status, reply.json["reason"]) == (502, "upstream.proxy")
    proxy.close()


def test_a_denied_upload_is_drained_and_the_connection_goes_on(stand: Stand, upstream: Upstream) -> None:
    client = stand.connect("evil.test")
    body = b"x" * 300_000
    head = get("/", "evil.test", f"Content-Length: {len(body)}", method="POST")
    for _ in range(2):
        assert client.ask(head + body).status == 403
    assert upstream.connections == 0


def test_a_model_host_is_denied_in_its_own_shape(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), model_hosts={"api.anthropic.com": "anthropic"})
    reply = stand.connect("api.anthropic.com").ask(get("/v1/messages", "api.anthropic.com"))
    assert reply.status == 403
    assert reply.json["type"] == "error"
