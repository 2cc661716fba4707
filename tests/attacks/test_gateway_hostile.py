"""What a red team found: answers nobody reads (S12, D18), a storm of interim answers (S12), a header that a rule wants
and `Connection` takes away (P10, D24), framing fields under another spelling (B29)."""

import socket
import struct
from pathlib import Path

import pytest

from bot_bottle.egress import messages as m
from bot_bottle.policy.effective import HeaderMatch, Match
from gateway_fixtures import Start
from gateway_stand import Client, Seen, Stand, Upstream, Wire, get, ok, route

BODY = b"x" * 12000


def _memory(stand: Stand) -> int:
    """Resident bytes of the gateway."""
    text = Path(f"/proc/{stand.process.pid}/status").read_text()
    return int(text.split("VmRSS:")[1].split()[0]) * 1024


def _flood(client: Client, request: bytes, count: int) -> int:
    """Sends up to count requests and reads nothing; how many were taken."""
    client.sock.settimeout(1)
    for number in range(count):
        try:
            client.send(request)
        except OSError:
            return number
    return count


def test_s12_d18_answers_that_nobody_reads_do_not_pile_up(start: Start, upstream: Upstream) -> None:
    upstream.script = lambda wire, _seen: wire.send(ok(BODY))
    stand = start(routes=(route(upstream),), limits=m.Limits(arrivals=0))
    assert stand.connect().ask(get()).status == 200
    before = _memory(stand)
    client = stand.connect()
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    _flood(client, get() * 20, 500)
    stand.status()
    assert len(stand.records("intent")) < 2000
    assert _memory(stand) - before < 16_000_000


def test_s12_who_reads_late_gets_every_answer(start: Start, upstream: Upstream) -> None:
    upstream.script = lambda wire, _seen: wire.send(ok(BODY))
    stand = start(routes=(route(upstream),), limits=m.Limits(arrivals=0))
    client = stand.connect()
    taken = _flood(client, get(), 300)
    client.sock.settimeout(20)
    assert [len(client.reply().body) for _ in range(taken)] == [len(BODY)] * taken


def test_s12_dns_answers_that_nobody_reads_do_not_pile_up(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), limits=m.Limits(names=0))
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0\3api\4test\0\0\1\0\1"
    client = stand.plain("dns-tcp")
    before = _memory(stand)
    client.sock.settimeout(1)
    batch = (struct.pack("!H", len(question)) + question) * 1000
    with pytest.raises(TimeoutError):
        for _ in range(1500):
            client.sock.sendall(batch)
    stand.status()
    assert _memory(stand) - before < 16_000_000


def test_s12_interim_answers_without_end_are_one_failure(start: Start, upstream: Upstream) -> None:
    def storm(wire: Wire, _seen: Seen) -> None:
        wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 3000 + ok())

    upstream.script = storm
    stand = start(routes=(route(upstream),))
    reply = stand.connect().ask(get())
    assert (reply.status, reply.json["reason"]) == (502, "reply.interim")
    upstream.script = lambda wire, _seen: wire.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 50 + ok())
    assert stand.connect().ask(get()).status == 200
    assert stand.process.poll() is None


def test_p10_d24_a_header_that_a_rule_wants_cannot_be_taken_away(start: Start, upstream: Upstream) -> None:
    wanted = (Match(headers=(HeaderMatch("x-dry-run", "exact", "1"),)),)
    stand = start(routes=(route(upstream, matches=wanted),))
    client = stand.connect()
    assert client.ask(get("/v1/x", "api.test", "X-Dry-Run: 1")).status == 200
    assert upstream.seen[0].header("x-dry-run") == ["1"]
    for name in ("Connection", "Proxy-Connection"):
        reply = stand.connect().ask(get("/v1/x", "api.test", "X-Dry-Run: 1", f"{name}: close, X-Dry-Run"))
        assert (reply.status, reply.json["reason"]) == (400, "wire.connection")
    assert len(upstream.seen) == 1


def test_b29_framing_fields_with_an_underscore_stay_here(stand: Stand, upstream: Upstream) -> None:
    client = stand.connect()
    fields = ("Transfer_Encoding: chunked", "Content_Length: 40", "X_Fine: 1")
    assert client.ask(get("/v1/x", "api.test", *fields)).status == 200
    seen = upstream.seen[0]
    assert (seen.header("transfer_encoding"), seen.header("content_length")) == ([], [])
    assert seen.header("x_fine") == ["1"]


def test_s12_heads_that_differ_do_not_pile_up(start: Start, upstream: Upstream) -> None:
    ports = tuple(range(1000, 1008))
    stand = start(routes=(route(upstream, ports=ports),), limits=m.Limits(arrivals=0))
    before = _memory(stand)
    filler = [f"X-A{number}: {number}" for number in range(150)]
    for port in ports:
        client = stand.connect(port=port)
        for number in range(300):
            assert client.ask(get(f"/{number}", f"api.test:{port}", *filler)).status == 200
        client.close()
    assert _memory(stand) - before < 60_000_000
