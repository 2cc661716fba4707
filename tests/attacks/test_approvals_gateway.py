"""Held requests in a real gateway (D25, D09, B74, B43): what is asked, what a yes sends, and what it never does.

Controls: the same attack against a gateway with that one defence taken away (`weaken`) gets through.
"""

import contextlib
import hashlib
import os
import queue
import socket
import threading
import time

import pytest

from bot_bottle.egress import messages as m
from bot_bottle.policy.effective import Route
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Auth
from bot_bottle.supervise.digest import request_digest, scope_digest
from bot_bottle.supervise.model import AskKind, Wanted
from gateway_fixtures import Start
from gateway_stand import SECRET, Client, Stand, Upstream, Wire, get, ok, paths, route

PRINT_LOOKUPS = """
import sys, bot_bottle.egress.resolve as r
def lookup(host):
    print("resolved", host, file=sys.stderr, flush=True)
    return (["{answer}"], "")
r.lookup = lookup
"""


def asking(upstream: Upstream, **changes: object) -> Route:
    return route(upstream, action="ask", **changes)


def post(body: bytes, path: str = "/v1/x", *fields: str) -> bytes:
    return get(path, "api.test", f"Content-Length: {len(body)}", *fields, method="POST") + body


def chunked(*chunks: bytes) -> bytes:
    head = get("/v1/x", "api.test", "Transfer-Encoding: chunked", method="POST")
    return head + b"".join(b"%x\r\n%b\r\n" % (len(data), data) for data in chunks) + b"0\r\n\r\n"


def digest(wanted: Wanted) -> str:
    return request_digest("dev", AskKind.REQUEST, wanted)


def held(stand: Stand, request: bytes, client: Client | None = None) -> tuple[Client, m.Asked]:
    """A request that waits for its answer."""
    client = client or stand.connect()
    client.send(request)
    asked = stand.opened(stand.asked())
    stand.status()
    return client, asked


def received(stand: Stand) -> None:
    """The gateway has read what there is of a request, and asked nothing."""
    while stand.status().held == 0:
        time.sleep(0.01)
    time.sleep(0.05)
    assert stand.quiet() == []


def nothing_left(stand: Stand, upstream: Upstream) -> None:
    assert upstream.connections == 0 and stand.records("intent", "pinned") == []


# exactly those bytes


def test_d25_exactly_the_asked_bytes_leave_after_the_yes(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    body = os.urandom(300_000)
    client, asked = held(stand, post(body, "/v1/x?q=1"))
    assert upstream.connections == 0 and stand.records() == []
    want = asked.wanted
    assert (want.method, want.path, want.query, want.body_bytes) == ("POST", "/v1/x", "q=1", 300_000)
    assert want.head_bytes > 60
    assert want.body_digest == hashlib.sha256(body).hexdigest()
    assert want.secrets == ("example",)
    stand.settle(asked)
    assert client.reply().status == 200
    seen = upstream.wait()
    assert seen.body == body
    assert seen.header("authorization") == [f"Bearer {SECRET.decode()}"]
    intent, _, outcome = stand.wait_record(3)
    assert (intent["kind"], intent["ask"], intent["approver"]) == ("intent", "ask-1", "os:0:root")
    assert intent["body_digest"] == want.body_digest and intent["request"] == asked.number
    assert (outcome["up"], outcome["status"]) == (300_000, 200)
    counters = stand.status()
    assert (counters.asked, counters.held, counters.allowed) == (1, 0, 1)


@pytest.mark.parametrize("chunks", [(b"",), (b"a",), (b"abc", b"d" * 70_000, b"e"), (b"x" * 65_536,) * 3])
def test_d25_a_chunked_body_is_held_whole_and_leaves_whole(
    start: Start, upstream: Upstream, chunks: tuple[bytes, ...]
) -> None:
    stand = start(routes=(asking(upstream),))
    request = chunked(*[data for data in chunks if data])
    client = stand.connect()
    client.send(request[:-1])
    received(stand)
    client.send(request[-1:])
    asked = stand.opened(stand.asked())
    whole = b"".join(chunks)
    assert asked.wanted.body_digest == (hashlib.sha256(whole).hexdigest() if whole else "")
    stand.settle(asked)
    assert client.reply().status == 200
    assert upstream.wait().body == whole


PREFIX_DIGEST = """
import hashlib, bot_bottle.egress.hold as hold
class Prefix:
    def __init__(self):
        self.seen = b""
    def update(self, data):
        self.seen = (self.seen + data)[:1000]
    def hexdigest(self):
        return hashlib.sha256(self.seen).hexdigest()
real = hashlib.sha256
hold.hashlib = type("h", (), {"sha256": staticmethod(lambda data=None: Prefix() if data is None else real(data))})
"""


def _two_tails(stand: Stand) -> tuple[str, str]:
    first, second = (held(stand, post(b"x" * 100_000 + tail))[1] for tail in (b"!", b"?"))
    return digest(first.wanted), digest(second.wanted)


def test_d25_a_swapped_tail_is_another_digest(start: Start, upstream: Upstream) -> None:
    first, second = _two_tails(start(routes=(asking(upstream),)))
    assert first != second
    first, second = _two_tails(start(routes=(asking(upstream),), weaken=PREFIX_DIGEST))
    assert first == second, "the control shows no hole"


def test_d25_nobody_is_asked_before_the_last_byte_is_here(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    request = post(b"x" * 200_000)
    client = stand.connect()
    client.send(request[:-1])
    received(stand)
    client.send(request[-1:] + get("/smuggled"))
    asked = stand.opened(stand.asked())
    assert asked.wanted.body_bytes == 200_000 and stand.quiet() == []
    stand.settle(asked)
    assert client.reply().status == 200
    assert stand.asked().wanted.path == "/smuggled"
    assert len(upstream.seen) == 1


def _flip(stand: Stand, offset: int) -> None:
    with stand.spool.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes((byte ^ 1,)))


@pytest.mark.parametrize("offset", [0, 65_535, 65_536, 65_568, 200_000])
def test_d25_a_body_altered_at_rest_is_refused(start: Start, upstream: Upstream, offset: int) -> None:
    stand = start(routes=(asking(upstream),))
    client, asked = held(stand, post(b"x" * 300_000))
    _flip(stand, offset)
    stand.settle(asked)
    reply = client.reply()
    assert (reply.status, reply.json["reason"]) == (403, "ask.altered")
    nothing_left(stand, upstream)


def test_d25_without_the_tag_an_altered_body_would_leave(start: Start, upstream: Upstream) -> None:
    weak = "import bot_bottle.egress.spool as s\ns.Spool._tag = lambda self, where, sealed: bytes(32)"
    stand = start(routes=(asking(upstream),), weaken=weak)
    client, asked = held(stand, post(b"x" * 300_000))
    _flip(stand, 0)
    stand.settle(asked)
    assert client.reply().status == 200
    assert upstream.wait().body[:2] == b"yx"


def test_d25_pieces_of_two_requests_are_not_swapped(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    first, one = held(stand, post(b"a" * 5000))
    _, _ = held(stand, post(b"b" * 5000))
    with stand.spool.open("r+b") as file:
        file.seek(65_568)
        other = file.read(5032)
        file.seek(0)
        file.write(other)
    stand.settle(one)
    assert first.reply().json["reason"] == "ask.altered"
    nothing_left(stand, upstream)


def test_d25_a_body_altered_while_it_is_sent_never_arrives_whole(start: Start, upstream: Upstream) -> None:
    """The first bytes are on their way when the last ones change: the upload is cut, not finished."""
    go, got = threading.Event(), queue.SimpleQueue[int]()

    def slow(wire: Wire) -> None:
        wire.until(b"\r\n\r\n")
        go.wait(10)
        size = 0
        with contextlib.suppress(OSError):
            while data := wire.sock.recv(262_144):
                size += len(data)
        got.put(size)

    upstream.raw = slow
    upstream.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)  # little of it fits into the kernel
    stand = start(routes=(asking(upstream),))
    size = 7_900_000
    client, asked = held(stand, post(b"x" * size))
    stand.settle(asked)
    stand.wait_record(2, "intent", "pinned")
    _flip(stand, 120 * 65_568)
    go.set()
    assert client.reply().json["reason"] == "ask.altered"
    assert got.get(timeout=10) < size


# nothing at rest in clear

MARK = b"plaintext-marker-0123456789"


def _at_rest(stand: Stand) -> bytes:
    client, asked = held(stand, post(MARK * 5000))
    before = stand.spool.read_bytes()
    stand.settle(asked)
    assert client.reply().status == 200
    return before + stand.spool.read_bytes() + stand.log.read_bytes()


def test_d25_no_plaintext_is_on_the_disk(start: Start, upstream: Upstream) -> None:
    found = _at_rest(start(routes=(asking(upstream),)))
    assert MARK not in found and len(found) > 2 * len(MARK) * 5000
    weak = "import bot_bottle.egress.spool as s\ns.Spool._crypt = lambda self, where, data: data"
    assert MARK in _at_rest(start(routes=(asking(upstream),), weaken=weak))


def test_d25_equal_bodies_are_different_noise_also_in_a_slot_used_again(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    seen: set[bytes] = set()
    for _ in range(3):
        client, asked = held(stand, post(b"same" * 1000))
        seen.add(stand.spool.read_bytes()[:4000])
        stand.settle(asked, allow=False)
        client.reply()
    assert len(seen) == 3 and stand.spool.stat().st_size < 65_568


def test_d25_b78_kill_9_while_holding_sends_nothing(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    client, _ = held(stand, post(MARK * 100))
    stand.process.kill()
    with contextlib.suppress(OSError):
        assert client.sock.recv(1) == b""
    stand.process.wait(10)
    nothing_left(stand, upstream)
    assert MARK not in stand.spool.read_bytes()


@pytest.mark.parametrize("side", ["keeper", "launcher"])
def test_b78_the_end_of_keeper_or_launcher_denies_what_is_held(start: Start, upstream: Upstream, side: str) -> None:
    stand = start(routes=(asking(upstream),))
    client, _ = held(stand, post(b"x"))
    stand.drop(side)
    reply = client.reply()
    assert (reply.status, reply.json["reason"]) == (502, "ask.ended")
    assert stand.wait_exit() == 1
    nothing_left(stand, upstream)
    (denied,) = stand.records("denied")
    assert (denied["reason"], denied["ask"]) == ("ask.ended", "ask-1")


# what would be refused anyway is never asked


@pytest.mark.parametrize(
    "request_bytes",
    [post(b"a" * 70_000 + SECRET + b"b"), chunked(b"a", SECRET[:20], SECRET[20:]), get("/?k=" + SECRET.decode())],
)
def test_b43_a_secret_in_a_held_request_is_denied_and_never_asked(
    start: Start, upstream: Upstream, request_bytes: bytes
) -> None:
    stand = start(routes=(asking(upstream),))
    client = stand.connect()
    reply = client.ask(request_bytes)
    assert (reply.status, reply.json["reason"]) == (403, "custody.secret-sent")
    assert stand.quiet() == []
    (denied,) = stand.wait_record(1)
    assert (denied["kind"], denied["findings"]) == ("denied", ["custody.secret-sent"])
    nothing_left(stand, upstream)


def test_b43_without_the_watch_the_secret_would_be_asked_about(start: Start, upstream: Upstream) -> None:
    weak = (
        "import bot_bottle.inspect.scrub as s\ns.ScrubStream.hits = property(lambda self: {}, lambda self, v: None)"
    )
    stand = start(routes=(asking(upstream),), weaken=weak)
    stand.connect().send(post(SECRET))
    assert stand.asked().wanted.body_bytes == len(SECRET)


def test_b43_d02_the_third_secret_in_held_bodies_freezes(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    for _ in range(2):
        assert stand.connect().ask(post(SECRET)).status == 403
    stand.connect().send(post(SECRET))
    assert stand.expect(m.Frozen).reason


def test_d25_what_is_too_large_to_hold_is_refused_and_never_asked(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),), ask_body=1000)
    announced = stand.connect().ask(post(b"x" * 1001))
    growing = stand.connect().ask(chunked(b"x" * 600, b"x" * 600))
    long = stand.connect().ask(get("/" + "a" * 5000))
    for reply in (announced, growing, long):
        assert (reply.status, reply.json["reason"]) == (413, "ask.too-large")
    assert stand.quiet() == []
    assert [record["reason"] for record in stand.wait_record(3, "denied")] == ["ask.too-large"] * 3
    nothing_left(stand, upstream)
    client, asked = held(stand, post(b"x" * 1000))
    stand.settle(asked)
    assert client.reply().status == 200


def test_d25_a_missing_secret_and_an_exceeded_limit_are_never_asked(start: Start, upstream: Upstream) -> None:
    lost = asking(upstream, auth=Auth("bearer", "absent"))
    stand = start(routes=(lost,))
    assert stand.connect().ask(get()).status == 403
    assert stand.quiet() == []
    small = start(routes=(asking(upstream),), limits=m.Limits(request_bytes=10))
    for request in (post(b"x" * 11), chunked(b"x" * 11)):
        reply = small.connect().ask(request)
        assert (reply.status, reply.json["reason"]) == (413, "limit.request-bytes")
    assert small.quiet() == []


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "127.0.0.1", "[::1]", "[fd00::1]", "198.18.1.0"])
def test_d09_an_address_that_no_yes_can_reach_is_never_asked(start: Start, host: str) -> None:
    stand = start(default="ask", routes=())
    reply = stand.plain().ask(get(f"http://{host}/", host))
    assert reply.status == 403
    assert stand.quiet() == []


def test_d09_an_ask_route_to_a_private_literal_is_never_asked(start: Start) -> None:
    stand = start(routes=(Route(rule="dev/lan", host="10.0.0.1", action="ask", scheme="http", ports=(80,)),))
    reply = stand.plain().ask(get("http://10.0.0.1/", "10.0.0.1"))
    assert (reply.status, reply.json["reason"]) == (403, "address.private")
    assert stand.quiet() == []
    weak = "import bot_bottle.egress.prepare as p\np.unreachable = lambda *a: None"
    stand = start(routes=stand.policy.routes, weaken=weak)
    stand.plain().send(get("http://10.0.0.1/", "10.0.0.1"))
    assert stand.asked().wanted.target.host == "10.0.0.1"


# no name before the yes


def test_d09_no_name_leaves_before_the_yes_and_the_intent(start: Start) -> None:
    stand = start(default="ask", weaken=PRINT_LOOKUPS.format(answer="10.0.0.1"))
    client = stand.plain()
    client.send(get("http://new.test/", "new.test"))
    asked = stand.opened(stand.asked())
    assert (asked.rule, asked.wanted.secrets) == (DEFAULT, ())
    assert stand.errors.read_text() == "" and stand.records() == []
    stand.settle(asked)
    reply = client.reply()
    assert (reply.status, reply.json["reason"]) == (403, "address.private")
    assert stand.errors.read_text() == "resolved new.test\n"
    intent, outcome = stand.wait_record(2)
    assert (intent["kind"], outcome["reason"]) == ("intent", "address.private")


def test_d09_a_no_resolves_nothing(start: Start) -> None:
    stand = start(default="ask", weaken=PRINT_LOOKUPS.format(answer="10.0.0.1"))
    for host in ("a.test", "b.test"):
        client = stand.connect(host)
        client.send(get("/", host))
        stand.settle(stand.opened(stand.asked()), allow=False)
        assert client.reply().status == 403
    assert stand.errors.read_text() == ""


def test_d09_b23_data_encoded_in_a_name_is_never_asked(start: Start) -> None:
    stand = start(default="ask")
    for host in ("mzxw6ytboi3dsmrqgezdgnbvgy3tqojq2.evil.test", f"a.{'0a1b2c3d' * 5}.evil.test"):
        reply = stand.connect(host).ask(get("/", host))
        assert (reply.status, reply.json["reason"]) == (403, "name.encoded")
    assert stand.quiet() == []


# how it ends


def test_d25_a_no_is_a_403_with_the_ask_and_one_record(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    client, asked = held(stand, post(b"x" * 10))
    stand.settle(asked, allow=False, slug="ask.denied", what="A person said no.")
    reply = client.reply()
    assert (reply.status, reply.json["reason"], reply.json["ask"]) == (403, "ask.denied", "ask-1")
    assert "retry" not in reply.json
    (denied,) = stand.wait_record(1)
    assert (denied["kind"], denied["ask"], denied["reason"]) == ("denied", "ask-1", "ask.denied")
    nothing_left(stand, upstream)


@pytest.mark.parametrize("shape", ["", "anthropic", "openai", "google"])
def test_d25_silence_is_a_no_that_says_how_to_come_back(start: Start, upstream: Upstream, shape: str) -> None:
    stand = start(routes=(asking(upstream),), model_hosts={"api.test": shape} if shape else {})
    client, asked = held(stand, post(b"x"))
    stand.settle(asked, allow=False, state="expired", slug="ask.expired", what="Nobody answered within 5 minutes.")
    reply = client.reply()
    problem = reply.json["bot_bottle"] if shape else reply.json
    assert isinstance(problem, dict)
    assert (reply.status, problem["reason"], problem["retry"]) == (403, "ask.expired", "ask-1")
    assert str(problem["deadline"]).endswith("Z") and "sent again within 10 minutes" in str(problem["detail"])


def test_d25_a_keeper_that_forgets_is_a_no_as_well(start: Start, upstream: Upstream) -> None:
    stand = start(
        routes=(asking(upstream),), ask_wait=0.2, weaken="import bot_bottle.egress.asks as a\na._GRACE = 0.1"
    )
    client = stand.connect()
    client.send(post(b"x"))
    asked = stand.asked()
    reply = client.reply()
    assert (reply.status, reply.json["reason"]) == (403, "ask.expired")
    assert str(reply.json["detail"]).count("answered") == 1 and "Silence means no." in str(reply.json["hint"])
    assert stand.expect(m.Withdrawn).number == asked.number
    stand.settle(asked)
    assert stand.status().held == 0
    nothing_left(stand, upstream)


def test_d25_who_hangs_up_withdraws_and_no_late_yes_sends_it(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    client, asked = held(stand, post(b"x"))
    client.sock.shutdown(2)
    assert stand.expect(m.Withdrawn).number == asked.number
    stand.settle(asked)
    assert stand.status().held == 0
    (denied,) = stand.wait_record(1)
    assert (denied["reason"], denied["ask"]) == ("ask.withdrawn", "ask-1")
    nothing_left(stand, upstream)


def test_d25_a_yes_counts_once(start: Start, upstream: Upstream) -> None:
    """A second word about the same number, or the same request again, opens nothing."""
    stand = start(routes=(asking(upstream),))
    client, asked = held(stand, post(b"x"))
    stand.settle(asked)
    stand.settle(asked)
    assert client.reply().status == 200
    client.send(post(b"x"))
    again = stand.asked()
    assert again.number != asked.number
    stand.settle(asked)
    assert stand.status().held == 1 and len(upstream.seen) == 1


def test_d25_a_late_yes_is_bound_to_the_scope_and_used_once(start: Start, upstream: Upstream) -> None:
    """The keeper finds its retry by the scope digest: other body and header names, the same digest; other path, not."""
    stand = start(routes=(asking(upstream),))
    client, first = held(stand, post(b"x"))
    stand.settle(first, allow=False, state="expired")
    assert client.reply().json["retry"] == "ask-1"
    client.send(post(b"other body", "/v1/x", "X-New: 1"))
    retry = stand.asked()
    scopes = [scope_digest("dev", AskKind.REQUEST, asked.wanted) for asked in (first, retry)]
    assert scopes[0] == scopes[1] and digest(first.wanted) != digest(retry.wanted)
    stand.settle(retry, grant="retry-1")
    assert client.reply().status == 200
    (intent,) = stand.wait_record(1, "intent")
    assert (intent["grant"], intent["ask"]) == ("retry-1", "ask-1")
    client.send(post(b"x", "/v1/y"))
    assert scope_digest("dev", AskKind.REQUEST, stand.asked().wanted) != scopes[0]


# the rules after the yes


DECIDES_ONCE = """
import bot_bottle.egress.asking as a, bot_bottle.egress.gateway as g
g.Gateway._decide_again = lambda *args, **more: None
hold, kept = a.Asking.hold, []
def remember(self, session, raw, prepared):
    kept.append(prepared)
    hold(self, session, raw, prepared)
a.Asking.hold = remember
a.Asking.prepared_again = lambda self, held, used=None: kept[0]
"""


def _denied_while_held(stand: Stand, upstream: Upstream) -> int:
    """The yes and the deny rule come in one breath: the reload is not noticed by what waits."""
    client, asked = held(stand, post(b"x"))
    deny = Route(rule="dev/no", host="api.test", action="deny")
    stand.keeper.send(m.Reload(replace_routes(stand, (asking(upstream), deny))))
    stand.settle(asked)
    return client.reply().status


def replace_routes(stand: Stand, routes: tuple[Route, ...]) -> "m.Policy":
    policy = stand.policy
    return type(policy)(bottle="dev", routes=routes, digest="sha256:other", default=policy.default)


def test_d25_a_yes_never_beats_a_deny(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    assert _denied_while_held(stand, upstream) == 403
    (denied,) = stand.wait_record(1)
    assert (denied["reason"], denied["ask"]) == ("policy.denied-by-rule", "ask-1")
    nothing_left(stand, upstream)
    stand = start(routes=(asking(upstream),), weaken=DECIDES_ONCE)
    assert _denied_while_held(stand, upstream) == 200


def test_b74_a_yes_given_under_other_rules_is_void(start: Start, upstream: Upstream) -> None:
    """The route gets another secret, or another rule asks: it is not what the person saw."""
    for changed in (asking(upstream, auth=None), asking(upstream, rule="dev/other")):
        stand = start(routes=(asking(upstream),))
        client, asked = held(stand, post(b"x"))
        stand.keeper.send(m.Reload(replace_routes(stand, (changed,))))
        stand.settle(asked)
        reply = client.reply()
        assert (reply.status, reply.json["reason"]) == (403, "ask.changed")
        nothing_left(stand, upstream)
    weak = "import bot_bottle.egress.asking as a\na._objection = lambda held, prepared: None"
    stand = start(routes=(asking(upstream),), weaken=weak)
    client, asked = held(stand, post(b"x"))
    stand.keeper.send(m.Reload(replace_routes(stand, (asking(upstream, auth=None),))))
    stand.settle(asked)
    assert client.reply().status == 200


# freeze


def test_d25_a_frozen_yes_moves_no_byte_until_the_thaw(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    client, asked = held(stand, post(b"x" * 10))
    stand.tell(m.Freeze(reason="by hand"), m.Frozen)
    stand.settle(asked)
    client.send(get("/behind"))
    assert stand.status().held == 1
    time.sleep(0.3)
    nothing_left(stand, upstream)
    stand.tell(m.Thaw())
    assert client.reply().status == 200
    weak = (
        "import bot_bottle.egress.loop as l\nl.Loop.soon = lambda self, call: call()\n"
        "import bot_bottle.egress.records as r\nstage = r.Journal.stage\n"
        "def now(self, line, then=None):\n    stage(self, line, then)\n    self.flush()\nr.Journal.stage = now"
    )
    stand = start(routes=(asking(upstream),), weaken=weak)
    client, asked = held(stand, post(b"x" * 10))
    stand.tell(m.Freeze(reason="by hand"), m.Frozen)
    stand.settle(asked)
    stand.wait_record(1, "intent")


def test_d25_freeze_stops_an_upload_from_the_spool(start: Start, upstream: Upstream) -> None:
    go, got, size = threading.Event(), [0], 7_000_000

    def slow(wire: Wire) -> None:
        wire.until(b"\r\n\r\n")
        go.wait(10)
        while len(wire.buffer) < size:
            wire._more()
            got[0] = len(wire.buffer)
        wire.send(ok())

    upstream.raw = slow
    upstream.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    stand = start(routes=(asking(upstream),))
    client, asked = held(stand, post(b"x" * size))
    stand.settle(asked)
    stand.wait_record(2, "intent", "pinned")
    stand.tell(m.Freeze(reason="by hand"), m.Frozen)
    go.set()
    before = -1
    while got[0] != before:  # what the kernel has already is read to its end
        before = got[0]
        time.sleep(0.4)
    assert before < size
    stand.tell(m.Thaw())
    assert client.reply().status == 200 and got[0] == size


# flooding


def _flood(stand: Stand, count: int) -> list[Client]:
    clients = [stand.connect() for _ in range(count)]
    for client in clients:
        client.send(post(b"x"))
    return clients


def test_b74_a_flood_of_asks_is_denied_and_blocks_nobody(start: Start, upstream: Upstream) -> None:
    free = route(upstream, rule="dev/free", matches=paths("/free"))
    limits = m.Limits(held=5, asks=0.001)
    stand = start(routes=(asking(upstream, matches=paths("/v1")), free), limits=limits)
    waiting = [held(stand, post(b"x")) for _ in range(5)]
    refused = [client.reply() for client in _flood(stand, 7)]
    assert {(reply.status, reply.json["reason"]) for reply in refused} == {(403, "ask.too-many")}
    assert [record["reason"] for record in stand.wait_record(7, "denied")] == ["ask.too-many"] * 7
    assert stand.quiet() == []
    assert stand.connect().ask(get("/free")).status == 200
    client, asked = waiting[0]
    stand.settle(asked, allow=False)
    assert client.reply().status == 403
    reply = stand.connect().ask(post(b"x"))  # a place is free, but the rate is spent
    assert (reply.status, reply.json["reason"]) == (403, "ask.too-many")


def test_b74_without_the_places_every_request_is_asked(start: Start, upstream: Upstream) -> None:
    weak = "import bot_bottle.egress.asks as a\na.Bucket.take = lambda *args: True\na.Asks.__len__ = lambda self: 0"
    stand = start(routes=(asking(upstream),), limits=m.Limits(held=5, asks=0.001), weaken=weak + _ROOM)
    clients = _flood(stand, 12)
    for _ in clients:
        stand.asked()


_ROOM = """
def place(self, number, waiter):
    self._places[number] = a._Place(waiter)
a.Asks.place = place
"""


def test_b74_places_are_given_back_however_it_ends(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),), limits=m.Limits(held=2, asks=1000))
    chunks = get("/v1/x", "api.test", "Transfer-Encoding: chunked", method="POST")
    for _ in range(2):
        for end in (True, False):
            client, asked = held(stand, post(b"x"))
            stand.settle(asked, allow=end)
            assert client.reply().status == (200 if end else 403)
        client, _ = held(stand, post(b"x"))
        client.close()
        stand.expect(m.Withdrawn)
        assert stand.connect().ask(post(SECRET)).json["reason"] == "custody.secret-sent"
        reply = stand.connect().ask(chunks + b"zz\r\n")
        assert (reply.status, reply.json["reason"]) == (400, "wire.chunk")
        client = stand.connect()
        client.send(chunks + b"1\r\nx\r\n")
        received(stand)
        client.close()
        while stand.status().held:
            time.sleep(0.01)
    reasons = [record["reason"] for record in stand.wait_record(10, "denied")]
    assert sorted(reasons) == sorted(
        ["ask.denied", "ask.withdrawn", "custody.secret-sent", "wire.chunk", "ask.withdrawn"] * 2
    )


def test_b74_d18_the_spool_is_bounded_and_its_slots_are_used_again(start: Start, upstream: Upstream) -> None:
    weak = "import bot_bottle.egress.gateway as g\ng._SPOOL = 3 * 65536"
    stand = start(routes=(asking(upstream),), weaken=weak)
    for _ in range(3):
        first, one = held(stand, post(b"a" * 100_000))
        reply = stand.connect().ask(post(b"b" * 100_000))
        assert (reply.status, reply.json["reason"]) == (403, "ask.too-many")
        stand.settle(one)
        assert first.reply().status == 200
    assert stand.spool.stat().st_size <= 3 * 65_568


def test_b22_d09_dns_answers_for_what_may_be_asked_about(start: Start) -> None:
    stand = start(default="ask", weaken=PRINT_LOOKUPS.format(answer="10.0.0.1"))
    client = stand.plain("dns-tcp")
    question = b"\0\1\1\0\0\1\0\0\0\0\0\0\3new\4test\0\0\1\0\1"
    client.send(len(question).to_bytes(2) + question)
    reply = client.exactly(int.from_bytes(client.exactly(2)))
    assert reply[3] & 15 == 0 and reply[-4:-2] == b"\xc6\x12"
    assert stand.errors.read_text() == ""
