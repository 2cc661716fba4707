"""Held requests: memory of each, time until a person is asked, time from the answer to the request's end.

usage: hold.py [COUNT]      default 1,000. Goals: <= 50 KB of the gateway's memory each, asked <= 1 s after the last
byte, <= 1 s from the answer to the reply (p99). The baseline in the same run: as many idle connections of the same
kind, which is what a held request costs anyway.
"""

import resource
import socket
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from gateway_measure import pss_kib

from bot_bottle.egress import messages as m
from gateway_stand import Authority, Setup, Stand, Upstream, get, route

BODY = 2000
LIMITS = m.Limits(connections=4000, arrivals=100_000, held=4000, asks=0, idle_seconds=3600)


def request(number: int) -> bytes:
    """What a harness sends: a few fields and a small body."""
    fields = ("Authorization: Bearer placeholder", "User-Agent: bench/1", "Accept: application/json")
    head = get(f"/v1/items/{number}", "api.test", *fields, f"Content-Length: {BODY}", method="POST")
    return head + b"x" * BODY


def percentile(values: list[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


class Bench:
    """One gateway whose only route asks, and its clients."""

    def __init__(self, secure: bool, count: int, upstream: Upstream, authority: Authority) -> None:
        self.secure, self.count, self.upstream = secure, count, upstream
        changes = {} if secure else {"scheme": "http", "ports": (80,), "auth": None}
        asking = route(upstream, action="ask", **changes)
        setup = Setup(routes=(asking,), limits=LIMITS, doors=("forward",), ask_wait=3600)
        self.stand = Stand(Path(tempfile.mkdtemp(prefix="bench-hold-")), setup, authority)
        self.context = self.stand.context()
        self.socks: list[socket.socket] = []

    def pss(self) -> int:
        time.sleep(1.5)
        return pss_kib(self.stand.process.pid)

    def connect(self) -> None:
        for _ in range(self.count):
            sock = socket.create_connection(("127.0.0.1", self.stand.port("forward")))
            if self.secure:
                sock.sendall(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n")
                while b"\r\n\r\n" not in sock.recv(4096):
                    pass
                sock = self.context.wrap_socket(sock, server_hostname="api.test")
            self.socks.append(sock)

    def ask(self) -> tuple[list[float], list[int]]:
        """Sends all requests one after the other; seconds until each was asked about."""
        took, numbers = [], []
        for number, sock in enumerate(self.socks):
            data = request(number)
            if not self.secure:
                data = data.replace(b"POST /", b"POST http://api.test/", 1)
            started = time.monotonic()
            sock.sendall(data)
            asked = self.stand.messages.get(timeout=30)
            took.append(time.monotonic() - started)
            assert isinstance(asked, m.Asked), asked
            numbers.append(asked.number)
            self.stand.keeper.send(m.AskOpened(asked.number, f"ask-{number}", time.time_ns() + 3600 * 10**9))
        return took, numbers

    def answer(self, numbers: list[int]) -> list[float]:
        """Says yes to one after the other; seconds until its client has the reply."""
        took = []
        until = time.time_ns() + 3600 * 10**9
        for at, (number, sock) in enumerate(zip(numbers, self.socks, strict=True)):
            started = time.monotonic()
            self.stand.keeper.send(m.Settled(number, f"ask-{at}", True, "allowed", approver="os:0:root", until=until))
            assert sock.recv(65536).startswith(b"HTTP/1.1 200")
            took.append(time.monotonic() - started)
        return took

    def close(self) -> None:
        for sock in self.socks:
            sock.close()
        self.stand.close()


def measure(secure: bool, count: int) -> None:
    authority = Authority("upstream")
    upstream = Upstream(authority.server_context("api.test") if secure else None)
    bench = Bench(secure, count, upstream, authority)
    try:
        idle = bench.pss()
        bench.connect()
        connected = bench.pss()
        asked, numbers = bench.ask()
        held = bench.pss()
        shown = bench.stand.status()
        assert shown.held == count
        answered = bench.answer(numbers)
    finally:
        bench.close()
        upstream.close()
    kind = "TLS" if secure else "plain"
    each, own = (held - idle) / count, (held - connected) / count
    asked_ms, answered_ms = (percentile(values, 0.99) * 1000 for values in (asked, answered))
    print(f"| {kind} | {idle / 1024:.1f} | {each:.1f} | {own:.1f} | {asked_ms:.1f} | {answered_ms:.1f} |", flush=True)
    print(
        f"goals, {kind}: memory {verdict(each <= 50)}, asked {verdict(asked_ms <= 1000)}, "
        f"answered {verdict(answered_ms <= 1000)}",
        file=sys.stderr,
    )


def verdict(met: bool) -> str:
    return "met" if met else "MISSED"


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, max(8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1])))
    print(f"{count:,} held requests with {BODY:,} bytes of body each; the body lies encrypted in the spool.\n")
    print(
        "| connections | gateway idle, MB | KB for each held | of it beyond an idle connection | asked p99, ms | answered p99, ms |"
    )
    print("|---|---|---|---|---|---|")
    for secure in (False, True):
        measure(secure, count)


if __name__ == "__main__":
    main()
