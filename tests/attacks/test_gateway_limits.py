"""Limits before records, and nothing without a record (D17, D18, S12, B78, D25): one bottle's flood stays its own."""

import os
import resource
import socket
import threading
import time
from pathlib import Path

import pytest

from bot_bottle.egress import messages as m
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.verdict import RouteLimits, Timeouts
from gateway_fixtures import Start
from gateway_stand import SECRET, Client, Seen, Stand, Upstream, Wire, get, ok, paths, route


def test_d18_denials_beyond_the_rate_are_counted_not_recorded(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), limits=m.Limits(denials=5))
    statuses = []
    for _ in range(30):
        client = stand.connect("evil.test")
        statuses.append(client.ask(get("/", "evil.test")).status)
        client.close()
    assert statuses.count(403) <= 20 and statuses.count(429) >= 10
    limited = stand.wait_record(1, "limited")
    assert len(stand.records("denied")) == statuses.count(403)
    assert limited[0]["reason"] == "limit.denials"
    assert stand.connect().ask(get()).status == 200


def test_d18_names_beyond_the_rate_get_no_answer_and_no_record(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), limits=m.Limits(names=5))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(100):
            label = b"\x06n%05d" % number
            question = b"\0\1\1\0\0\1\0\0\0\0\0\0" + label + b"\4evil\4test\0\0\1\0\1"
            sock.sendto(question, ("127.0.0.1", stand.port("dns-udp")))
    (limited, *_) = stand.wait_record(1, "limited")
    assert limited["reason"] == "limit.names"
    assert len(stand.records("name")) <= 20


def test_d18_heads_beyond_the_rate_are_answered_without_a_record(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), limits=m.Limits(arrivals=5))
    client = stand.connect()
    client.send(get() * 40)
    answers = [client.reply().status for _ in range(11)]
    assert answers == [200] * 10 + [429]
    assert len(stand.wait_record(10, "outcome")) == 10


def test_d18_s12_connections_beyond_the_limit_are_closed(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), limits=m.Limits(connections=20))
    clients = [stand.plain() for _ in range(40)]
    (limited, *_) = stand.wait_record(1, "limited")
    assert (limited["reason"], limited["count"]) == ("limit.connections", 20)
    assert sum(map(_is_closed, clients)) == 20
    for client in clients:
        client.close()
    stand.status()
    assert stand.connect().ask(get()).status == 200


def _is_closed(client: Client) -> bool:
    client.sock.setblocking(False)
    try:
        return client.sock.recv(1) == b""
    except BlockingIOError:
        return False


@pytest.mark.slow
def test_s12_five_thousand_connections_leave_it_serving(start: Start, upstream: Upstream) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    stand = start(routes=(route(upstream),), limits=m.Limits(connections=300))
    clients = [socket.create_connection(("127.0.0.1", stand.port("forward")), 10) for _ in range(5000)]
    for client in clients:
        client.close()
    assert stand.connect().ask(get()).status == 200


def test_s12_slow_loris_and_an_endless_head_end(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), limits=m.Limits(head_seconds=1))
    slow, silent, hello = stand.plain(), stand.plain(), stand.plain()
    slow.send(b"GET http://api.test/ HTTP/1.1\r\nX: a")
    assert hello.ask(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n", "HEAD").status == 200
    hello.send(b"\x16\x03\x01\x02\x00")
    inner = stand.connect()
    inner.send(b"GET / HTTP/1.1\r\nHost: api.test\r\n")
    assert slow.reply().status == 408
    assert inner.reply().status == 408
    assert silent.rest() == b""
    assert hello.rest() == b""
    assert stand.connect().ask(get()).status == 200


def test_route_limits_hold(start: Start, upstream: Upstream) -> None:
    limits = RouteLimits(request_bytes=100, bottle_bytes=1000, requests_per_minute=6)
    stand = start(routes=(route(upstream, limits=limits),))
    client = stand.connect()
    reply = client.ask(get("/", "api.test", "Content-Length: 101", method="POST") + b"x" * 101)
    assert (reply.status, reply.json["reason"]) == (413, "limit.request-bytes")
    client = stand.connect()
    client.send(get("/", "api.test", "Transfer-Encoding: chunked", method="POST") + b"65\r\n" + b"x" * 101 + b"\r\n")
    assert client.reply().status == 413
    upstream.script = lambda wire, seen: wire.send(ok(b"x" * 600))
    client = stand.connect()
    assert [client.ask(get()).status for _ in range(3)] == [200, 200, 403]
    assert [client.ask(get()).status for _ in range(2)] == [403, 429]


def test_timeouts_idle_and_total(start: Start, upstream: Upstream) -> None:
    stalled = threading.Event()
    upstream.script = lambda wire, seen: stalled.wait(20)
    slow = route(upstream, rule="dev/idle", timeouts=Timeouts(idle=1), matches=paths("/idle"))
    long = route(upstream, rule="dev/total", timeouts=Timeouts(total=1), matches=paths("/total"))
    stand = start(routes=(slow, long))
    for path in ("idle", "total"):
        reply = stand.connect().ask(get(f"/{path}"))
        assert (reply.status, reply.json["reason"]) == (504, f"timeout.{path}")
    stalled.set()


def test_b78_s12_a_dead_upstream_is_one_sentence(start: Start, upstream: Upstream) -> None:
    dead = Upstream(None)
    dead.close()
    stand = start(routes=(route(dead),))
    reply = stand.connect().ask(get())
    assert (reply.status, reply.json["reason"]) == (502, "upstream.refused")
    counters = stand.status()
    assert (counters.allowed, counters.failed, counters.failures) == (1, 1, {"upstream.refused": 1})
    assert (counters.secrets, counters.bytes_up) == ({}, 0)  # nothing of it left


def test_d17_b78_a_full_disk_sends_nothing_unlogged(start: Start, upstream: Upstream) -> None:
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (30000, 30000))"
    stand = start(routes=(route(upstream),), weaken=full)
    client, answered = stand.connect(), 0
    for _ in range(400):
        try:
            answered += client.ask(get()).status == 200
        except (OSError, EOFError):
            break
    failed = stand.messages.get(timeout=10)
    assert isinstance(failed, m.Failed) and failed.slug == "audit.write"
    assert stand.wait_exit() == 4
    assert stand.bottle.wait(10) == -9
    assert len(upstream.seen) <= stand.log.read_bytes().count(b'"kind":"intent"')
    assert 10 < answered < 400


def test_b78_a_read_only_log_sends_nothing(start: Start, upstream: Upstream) -> None:
    closed = "import bot_bottle.egress.gateway as g, os\nreal = g.Journal\n"
    closed += "g.Journal = lambda fd, *rest: real(os.open('/dev/full', os.O_WRONLY), *rest)"
    stand = start(routes=(route(upstream),), weaken=closed)
    client = stand.connect()
    assert client.ask(get()).json["reason"] == "bottle.ended"
    assert stand.wait_exit() == 4
    assert upstream.connections == 0


def test_d18_a_log_over_its_quota_freezes_that_bottle(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), limits=m.Limits(log_bytes=3000))
    client = stand.connect()
    for _ in range(20):
        client.send(get())
    frozen = stand.messages.get(timeout=10)
    assert isinstance(frozen, m.Frozen)
    assert stand.log.stat().st_size < 20_000
    for _ in range(40):
        stand.tell(m.Thaw())
        if len(stand.records("outcome")) >= 20:
            break
        time.sleep(0.05)
    assert len(stand.wait_record(20, "outcome")) == 20


def test_d18_no_field_of_an_agent_makes_a_long_record(stand: Stand) -> None:
    path = "/" + "a" * 30_000 + "?" + "&".join(f"k{number}=v" for number in range(2000))
    stand.connect("evil.test").ask(get(path, "evil.test", *(f"X-{number}: 1" for number in range(150))))
    stand.wait_record(1, "denied")
    assert max(map(len, stand.log.read_bytes().splitlines())) <= 16384


def test_d25_freeze_stops_every_byte_within_a_second(stand: Stand, upstream: Upstream) -> None:
    def drip(wire: Wire, seen: Seen) -> None:
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(200):
            wire.send(b"5\r\ndata\n\r\n")
            time.sleep(0.01)
        wire.send(b"0\r\n\r\n")

    upstream.script = drip
    streaming, waiting = stand.connect(), stand.connect()
    streaming.send(get())
    streaming.until(b"data\n")
    stand.tell(m.Freeze(reason="by hand"), m.Frozen)
    streaming.sock.settimeout(0.4)
    frozen = 0
    with pytest.raises(TimeoutError):
        while streaming.sock.recv(65536):
            frozen += 1
    size = stand.log.stat().st_size
    waiting.send(get("/b"))
    late = stand.plain()
    late.send(get("http://evil.test/", "evil.test"))
    time.sleep(0.3)
    assert stand.log.stat().st_size == size and len(upstream.seen) == 1
    assert stand.status().frozen == "by hand"
    stand.tell(m.Thaw())
    streaming.sock.settimeout(10)
    streaming.until(b"0\r\n\r\n")
    upstream.script = lambda wire, seen: wire.send(ok())
    assert late.reply().status == 403


def test_d25_a_narrower_policy_ends_live_flows(start: Start, upstream: Upstream) -> None:
    upstream.script = lambda wire, seen: wire.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n5\r\ndata\n\r\n"
    )
    kept = route(upstream, rule="dev/keep", matches=paths("/keep"))
    gone = route(upstream, rule="dev/gone", matches=paths("/gone"))
    stand = start(routes=(kept, gone))
    keeps, goes = stand.connect(), stand.connect()
    keeps.send(get("/keep"))
    goes.send(get("/gone"))
    keeps.until(b"data\n")
    goes.until(b"data\n")
    stand.keeper.send(m.Reload(Policy(bottle="dev", routes=(kept,), digest="sha256:narrower")))
    with pytest.raises((EOFError, OSError)):
        goes.until(b"never")
    assert stand.connect().ask(get("/gone")).status == 403
    (outcome,) = stand.wait_record(1, "outcome")
    assert (outcome["reason"], outcome["policy"]) == ("policy.reloaded", "sha256:narrower")
    keeps.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        keeps.sock.recv(1)


def test_d17_b78_a_killed_gateway_leaves_an_intent_for_everything_that_left(stand: Stand, upstream: Upstream) -> None:
    client = stand.connect()
    for _ in range(50):
        client.send(get())
    upstream.wait()
    stand.process.kill()
    stand.process.wait()
    stand.bottle.kill()
    assert stand.log.read_bytes().count(b'"kind":"intent"') >= len(upstream.seen)


def test_new_log_takes_over(stand: Stand, upstream: Upstream, tmp_path: Path) -> None:
    client = stand.connect()
    client.ask(get())
    stand.wait_record(1, "outcome")
    second = tmp_path / "second"
    fd = os.open(second, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    stand.keeper.send(m.NewLog(), (fd,))
    os.close(fd)
    stand.status()
    client.ask(get())
    stand.status()
    assert len(stand.records()) == 3
    assert second.read_bytes().count(b"\n") == 2


def test_bye_ends_with_a_last_status(stand: Stand, upstream: Upstream) -> None:
    stand.connect().ask(get())
    stand.connect("evil.test").ask(get("/", "evil.test"))
    stand.launcher.send(m.Bye())
    status = stand.messages.get(timeout=10)
    assert isinstance(status, m.Status)
    counters = status.counters
    assert (counters.allowed, counters.denied, counters.secrets) == (1, 1, {"example": 1})
    assert (counters.hosts, counters.denied_hosts) == ({"api.test": 1}, {"evil.test": 1})
    assert counters.final
    assert stand.wait_exit() == 0
    assert SECRET not in stand.log.read_bytes()
