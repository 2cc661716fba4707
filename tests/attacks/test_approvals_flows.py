"""What a yes opens ends with it (D25): streams, downloads, uploads, WebSockets, kept connections, decided heads.

Controls: the same flow in a gateway with that one defence taken away (`weaken`) lives on.
"""

import base64
import contextlib
import hashlib
import queue
import select
import time
from collections.abc import Callable

import pytest

from bot_bottle.egress import messages as m
from bot_bottle.egress.grants import LiveGrants
from bot_bottle.egress.loop import Loop
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.grants import DEFAULT, Grant
from gateway_fixtures import Start
from gateway_stand import Client, Seen, Stand, Upstream, Wire, get, paths, route

KEY = base64.b64encode(bytes(16)).decode()
HANDSHAKE = ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", f"Sec-WebSocket-Key: {KEY}")
ACCEPT = base64.b64encode(hashlib.sha1(KEY.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
NEVER_ENDS = "import bot_bottle.egress.grants as g\ng.LiveGrants.expire = lambda self: None"
FORGETS_NOTHING = """
import bot_bottle.egress.gateway as g
def granted(self, gone):
    self.rules.grant(self.grants.live)
    self.loop.soon(lambda: self._decide_again(gone, "ask.grant-ended", "x"))
g.Gateway._granted = granted
"""


def granted(seconds: float = 60, ident: str = "g1", **changes: object) -> Grant:
    values: dict[str, object] = {
        "id": ident,
        "ask": f"ask-of-{ident}",
        "rule": "dev/api.test",
        "scheme": "https",
        "host": "api.test",
        "port": 443,
        "protocol": "http1",
        "path": "/",
        "prefix": True,
        "expires": time.time_ns() + int(seconds * 1e9),
        "approver": "os:0:root",
        **changes,
    }
    return Grant(**values)  # pyright: ignore[reportArgumentType]


def asking(upstream: Upstream, **changes: object) -> Route:
    return route(upstream, action="ask", **changes)


def stream(stand: Stand, upstream: Upstream) -> Client:
    """Server-sent events, without end."""

    def drip(wire: Wire, seen: Seen) -> None:
        wire.send(STREAM)
        with contextlib.suppress(OSError):
            while True:
                wire.send(b"5\r\ndata\n\r\n")
                time.sleep(0.05)

    upstream.script = drip
    client = stand.connect()
    client.send(get())
    client.until(b"data\n")
    return client


def upload(stand: Stand, upstream: Upstream) -> Client:
    """A body that goes on and on."""
    upstream.raw = lambda wire: wire.rest() and None
    client = stand.connect()
    client.send(get("/v1/x", "api.test", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\n")
    stand.wait_record(1, "pinned")
    return client


def tunnel(stand: Stand, upstream: Upstream) -> Client:
    """A WebSocket."""

    def serve(wire: Wire) -> None:
        wire.until(b"\r\n\r\n")
        wire.send(SWITCH + ACCEPT + b"\r\n\r\n\x81\x02hi")
        wire.sock.recv(1)

    upstream.raw = serve
    client = stand.connect()
    assert client.ask(get("/", "api.test", *HANDSHAKE)).status == 101
    client.until(b"hi")
    return client


def shorten(stand: Stand, **changes: object) -> None:
    """The same grant ends soon, now that its flow is open: however long the gateway took to start."""
    stand.tell(m.Grants((granted(0.8, **changes),)))
    stand.status()


def ended(client: Client, seconds: float) -> bool:
    """Whether the connection ends, or the request is refused, within so many seconds."""
    client.sock.settimeout(0.3)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            data = client.sock.recv(65536)
            if not data or data.startswith(b"HTTP/1.1 403"):
                return True
        except TimeoutError:
            continue
        except OSError:
            return True
    return False


def asked_again(stand: Stand, client: Client) -> bool:
    """Whether the same request is a question now; else it was answered."""
    stand.status()
    client.send(get())
    while not select.select([client.sock], [], [], 0.05)[0]:
        with contextlib.suppress(queue.Empty):
            if isinstance(stand.messages.get_nowait(), m.Asked):
                return True
    assert client.reply().status == 200
    return False


Open = Callable[[Stand, Upstream], Client]
KINDS = pytest.mark.parametrize("kind", [stream, upload, tunnel])


def _protocol(kind: Open) -> str:
    return "websocket" if kind is tunnel else "http1"


@KINDS
def test_d25_a_flow_ends_when_its_grant_expires(start: Start, upstream: Upstream, kind: Open) -> None:
    grant = granted(protocol=_protocol(kind))
    stand = start(routes=(asking(upstream, protocols=("http1", "websocket")),), grants=(grant,))
    client = kind(stand, upstream)
    shorten(stand, protocol=_protocol(kind))
    assert ended(client, 20)
    (outcome,) = stand.wait_record(1, "outcome")
    assert outcome["reason"] == "ask.grant-ended"
    (intent,) = stand.records("intent")
    assert [intent[name] for name in ("ask", "grant", "approver")] == ["ask-of-g1", "g1", "os:0:root"]


def test_d25_without_the_timer_the_flow_would_live_on(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),), grants=(granted(),), weaken=NEVER_ENDS)
    client = stream(stand, upstream)
    shorten(stand)
    assert not ended(client, 2.5)


@KINDS
def test_d25_a_flow_ends_when_its_grant_is_revoked(start: Start, upstream: Upstream, kind: Open) -> None:
    grant = granted(protocol=_protocol(kind))
    stand = start(
        routes=(asking(upstream, protocols=("http1", "websocket")),),
        grants=(grant, granted(ident="g2", path="/other")),
    )
    client = kind(stand, upstream)
    stand.tell(m.Grants((granted(ident="g2", path="/other"),)))
    assert ended(client, 20)


@KINDS
def test_d25_a_flow_ends_under_a_policy_that_would_not_open_it(start: Start, upstream: Upstream, kind: Open) -> None:
    grant = granted(protocol=_protocol(kind))
    stand = start(routes=(asking(upstream, protocols=("http1", "websocket")),), grants=(grant,))
    client = kind(stand, upstream)
    same = asking(upstream, protocols=("http1", "websocket"))
    other = Route(rule="dev/more", host="more.test")
    stand.tell(m.Reload(Policy(bottle="dev", routes=(same, other), digest="sha256:other")))
    assert ended(client, 20), "a grant dies with the policy under which it was given"
    assert stand.wait_record(1, "outcome")[0]["reason"] in ("policy.reloaded", "ask.grant-ended")


@pytest.mark.parametrize("scope", ["once", "run"])
def test_d25_what_a_held_yes_opened_ends_at_its_until(start: Start, upstream: Upstream, scope: str) -> None:
    stand = start(routes=(asking(upstream, protocols=("http1", "websocket")),))
    for kind in (stream, tunnel):
        client = _answered(stand, upstream, kind, lasts=2, grant=scope)
        assert ended(client, 20)
        assert stand.wait_record(1, "outcome")[-1]["reason"] == "ask.until"


def test_d25_a_clock_that_is_set_back_prolongs_no_yes(start: Start, upstream: Upstream) -> None:
    back = "import bot_bottle.egress.outcome as o\no.time = type('t', (), {'time_ns': lambda: 0, 'monotonic': o.time.monotonic})"
    stand = start(routes=(asking(upstream),), weaken=back)
    assert ended(_answered(stand, upstream, stream, lasts=2), 20)


def test_d25_without_its_end_a_yes_would_stay_open(start: Start, upstream: Upstream) -> None:
    weak = "import bot_bottle.egress.outcome as o\no.Yes.over = lambda self, now: False"
    stand = start(routes=(asking(upstream),), weaken=weak)
    assert not ended(_answered(stand, upstream, stream, lasts=0.5), 2.5)


def _answered(stand: Stand, upstream: Upstream, kind: Open, lasts: float = 0, **said: object) -> Client:
    """A flow of this kind that was held and got its yes. lasts: seconds from then on, 0 for long."""
    connect = stand.connect

    def answering(*names: str) -> Client:
        client = connect(*names)
        send = client.send

        def sent(data: bytes) -> None:
            send(data)
            asked = stand.opened(stand.asked())
            end = {"until": time.time_ns() + int(lasts * 1e9)} if lasts else {}
            stand.settle(asked, **end, **said)

        client.send = sent
        return client

    stand.connect = answering
    try:
        return kind(stand, upstream)
    finally:
        stand.connect = connect


def test_d25_revoking_a_grant_ends_the_held_request_that_it_opened(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    stand.tell(m.Grants((granted(),)))
    stand.tell(m.Grants(()))
    client = _answered(stand, upstream, stream, grant="retry")
    stand.tell(m.Grants((granted(ident="g5", path="/elsewhere"),)))
    assert not ended(client, 1), "a grant that was used up with its one request is not a grant that was revoked"
    stand.tell(m.Grants((granted(ident="g6"),)))
    second = stream(stand, upstream)
    stand.tell(m.Grants(()))
    assert ended(second, 20) and not ended(client, 0.5)


ANYWHERE = """
import bot_bottle.egress.resolve as r, bot_bottle.egress.flow as f
from bot_bottle.policy.addresses import AddressClass
r.lookup = lambda host: (["127.0.0.1"], "")
f.public_only = lambda found: (found, AddressClass.PUBLIC)
"""


def test_d25_a_grant_for_one_use_opens_one_request_where_the_default_is_deny(
    start: Start, upstream: Upstream
) -> None:
    """The keeper counts the use: the request is asked about, and what it opened lives on when the grant is gone."""
    port = upstream.port
    stand = start(grants=(granted(rule=DEFAULT, port=port, once=True),), weaken=ANYWHERE)
    direct = stand.connect
    stand.connect = lambda: direct("api.test", port)
    upstream.script = lambda wire, seen: wire.send(STREAM + b"5\r\ndata\n\r\n")
    client = stand.connect()
    client.send(get("/v1/x", f"api.test:{port}"))
    asked = stand.opened(stand.asked())
    assert asked.rule == DEFAULT
    stand.settle(asked, grant="g1")
    client.until(b"data\n")
    stand.tell(m.Grants(()))
    assert not ended(client, 1)
    reply = stand.connect().ask(get("/v1/x", f"api.test:{port}"))
    assert reply.json["reason"] == "policy.host-not-allowed"
    assert stand.records("intent")[0]["grant"] == "g1"
    stand.tell(m.Reload(Policy(bottle="dev", routes=(), digest="sha256:other")))
    assert ended(client, 20)


def test_d25_revoking_the_grant_that_opened_a_held_request_ends_it(start: Start, upstream: Upstream) -> None:
    """As the keeper says it: the answer that names the grant, then the grants, then without it."""

    def after(stand: Stand) -> bool:
        client = _answered(stand, upstream, stream, grant="g1")
        stand.tell(m.Grants((granted(),)))
        assert not ended(client, 0.5)
        stand.tell(m.Grants(()))
        return ended(client, 2)

    assert after(start(routes=(asking(upstream),)))
    weak = (
        "import bot_bottle.egress.outcome as o\nreal = o.Ending.allowed_still\n"
        "o.Ending.allowed_still = lambda self, verdict, gone: real(self, verdict, set())"
    )
    assert not after(start(routes=(asking(upstream),), weaken=weak))


def test_what_got_a_yes_goes_on_under_the_rule_that_always_writes(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream, auth=None),))
    client = _answered(stand, upstream, stream)
    allow = route(upstream, rule="dev/written", auth=None)
    stand.tell(m.Reload(Policy(bottle="dev", routes=(allow,), digest="sha256:other")))
    assert not ended(client, 1)
    other = route(upstream, rule="dev/secret")
    stand.tell(m.Reload(Policy(bottle="dev", routes=(other,), digest="sha256:third")))
    assert ended(client, 20), "another secret is other power"


def test_d25_a_decided_head_does_not_outlive_its_grant(start: Start, upstream: Upstream) -> None:
    """A kept connection repeats a head that is remembered as allowed."""

    def after(stand: Stand) -> bool:
        client = stand.connect()
        for _ in range(4):
            assert client.ask(get()).status == 200
        stand.tell(m.Grants(()))
        return asked_again(stand, client)

    assert after(start(routes=(asking(upstream),), grants=(granted(),)))
    assert not after(start(routes=(asking(upstream),), grants=(granted(),), weaken=FORGETS_NOTHING))


CROWDED = """
import bot_bottle.egress.gateway as g
g._SITES = 4
"""
ORPHANS = (
    CROWDED
    + """
import bot_bottle.egress.session as s
s.Session.renew = lambda self: None
forget = g.Gateway.forget_heads
def memo(self, site):
    if len(self._memos) >= 4:
        self._memos = {}
    return self._memos.setdefault(site, {})
g.Gateway.memo = memo
"""
)


def test_d25_a_head_remembered_in_a_crowded_gateway_does_not_outlive_its_grant(
    start: Start, upstream: Upstream
) -> None:
    """Many other sites push this one's memory out; the kept connection must not go on with what it holds."""

    def after(stand: Stand) -> bool:
        client = stand.connect()
        for number in range(4):
            assert client.ask(get()).status == 200
            for other in range(2):
                host = f"{number}{other}.test"
                assert stand.connect(host).ask(get("/", host)).status == 403
        for _ in range(3):
            assert client.ask(get()).status == 200
        stand.tell(m.Grants(()))
        return asked_again(stand, client)

    assert after(start(routes=(asking(upstream),), grants=(granted(),), weaken=CROWDED))
    assert not after(start(routes=(asking(upstream),), grants=(granted(),), weaken=ORPHANS))


def test_d25_a_kept_upstream_connection_does_not_outlive_its_grant(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),), grants=(granted(),))
    client = stand.connect()
    assert [client.ask(get()).status for _ in range(3)] == [200] * 3
    assert upstream.connections == 1
    stand.tell(m.Grants((granted(ident="g2"),)))
    stand.status()
    assert client.ask(get()).status == 200
    assert upstream.connections == 2


def test_d25_a_yes_for_once_leaves_no_connection_behind(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),))
    client = stand.connect()
    for count in (1, 2):
        client.send(get())
        stand.settle(stand.opened(stand.asked()))
        assert client.reply().status == 200
        assert upstream.connections == count


def test_d25_a_held_request_never_rides_on_a_connection_that_lay_idle(start: Start, upstream: Upstream) -> None:
    """It was opened for something else, and may be dead: what a person waited for is not lost to that."""
    stand = start(routes=(asking(upstream),), grants=(granted(path="/free"),))
    client = stand.connect()
    assert client.ask(get("/free")).status == 200
    client.send(get("/held"))
    stand.settle(stand.opened(stand.asked()))
    assert client.reply().status == 200
    assert [seen.connection for seen in upstream.seen] == [1, 2]


def test_d25_a_grant_never_beats_a_deny(start: Start, upstream: Upstream) -> None:
    deny = Route(rule="dev/no", host="api.test", action="deny", matches=paths("/secret"))
    stand = start(default="ask", routes=(deny,), grants=(granted(rule=DEFAULT), granted(ident="g2", rule="dev/no")))
    reply = stand.connect().ask(get("/secret/x"))
    assert (reply.status, reply.json["reason"]) == (403, "policy.denied-by-rule")
    assert stand.quiet() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"rule": "dev/other"},
        {"host": "api.test.evil"},
        {"port": 8443},
        {"scheme": "http"},
        {"protocol": "websocket"},
        {"path": "/v2"},
        {"path": "/v1/x/y"},
        {"methods": ("POST",)},
        {"expires": time.time_ns() - 1},
        {"expires": 0},
    ],
)
def test_d25_a_grant_opens_nothing_else(start: Start, upstream: Upstream, changes: dict[str, object]) -> None:
    stand = start(routes=(asking(upstream),), grants=(granted(**changes),))
    stand.connect().send(get("/v1/x"))
    assert stand.asked().wanted.path == "/v1/x"
    assert upstream.connections == 0


def test_d25_revoked_while_frozen_no_byte_moves_at_the_thaw(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),), grants=(granted(),))
    client = stream(stand, upstream)
    stand.tell(m.Freeze(reason="by hand"), m.Frozen)
    while client.sock.pending():
        client.sock.recv(65536)
    client.sock.settimeout(0.3)
    with contextlib.suppress(TimeoutError):
        while client.sock.recv(65536):
            pass
    stand.tell(m.Grants(()))
    time.sleep(0.3)
    stand.tell(m.Thaw())
    client.sock.settimeout(5)
    with contextlib.suppress(OSError):
        assert client.sock.recv(65536) == b""


def test_d25_a_clock_that_is_set_back_prolongs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A grant ends after the seconds that it had left, and at its wall time, whichever comes first."""
    wall, mono = [1_000_000_000_000], [50.0]
    monkeypatch.setattr("bot_bottle.egress.grants.time.time_ns", lambda: wall[0])
    monkeypatch.setattr("bot_bottle.egress.grants.time.monotonic", lambda: mono[0])
    gone: list[set[str]] = []
    grants = (granted(ident="short", expires=1_010_000_000_000), granted(ident="long", expires=1_100_000_000_000))
    live = LiveGrants(Loop(), grants, lambda ids: gone.append(set(ids)))
    wall[0], mono[0] = 900_000_000_000, 61.0  # an hour back, eleven seconds later
    live.expire()
    assert gone == [{"short"}] and list(live.live) == ["long"]
    live.replace(grants)
    assert list(live.live) == ["long"], "the same grant again does not begin anew"
    wall[0], mono[0] = 2_000_000_000_000, 61.5  # forward
    live.expire()
    assert not live.live


def test_learning_ends_by_itself(start: Start, upstream: Upstream) -> None:
    weak = "import bot_bottle.egress.resolve as r\nr.lookup = lambda host: (['10.0.0.1'], '')"
    stand = start(weaken=weak)
    policy = Policy(bottle="dev", routes=(), default="learn", learn_until=time.time_ns() + 1_000_000_000)
    stand.tell(m.Reload(policy))
    stand.status()
    assert stand.connect("new.test").ask(get("/", "new.test")).json["reason"] == "address.private"
    end = time.monotonic() + 5
    while time.monotonic() < end:
        reason = stand.connect("new.test").ask(get("/", "new.test")).json["reason"]
        if reason == "policy.host-not-allowed":
            return
        time.sleep(0.1)
    raise AssertionError(reason)


# a yes for many requests, and a body that nobody can look into


UNSEEN = "import bot_bottle.egress.prepare as p\np.findings_of = lambda head: ()"


def coded(coding: str, body: bytes = b"opaque") -> bytes:
    fields = (f"Content-Encoding: {coding}", f"Content-Length: {len(body)}")
    return get("/v1/x", "api.test", *fields, method="POST") + body


@pytest.mark.parametrize("coding", ["br", "gzip", "gzip, br", "Identity", "x-mine", ""])
def test_d25_a_yes_for_many_lets_no_coded_body_pass_unseen(start: Start, upstream: Upstream, coding: str) -> None:
    """Asked about, such a body may be let through once only; so a grant for a run is none for it either."""
    stand = start(routes=(asking(upstream),), grants=(granted(),))
    client = stand.connect()
    for plain in (coded("identity"), get()):  # the control: what was granted
        assert client.ask(plain).status == 200
    before = upstream.connections
    client = stand.connect()
    client.send(coded(coding))
    asked = stand.opened(stand.asked())
    assert asked.wanted.findings == ("inspect.unseen-coding",) and asked.rule == "dev/api.test"
    assert upstream.connections == before
    stand.settle(asked)
    assert client.reply().status == 200
    assert upstream.wait().body == b"opaque"
    assert [one.get("grant", "") for one in stand.wait_record(3, "intent")] == ["g1", "g1", ""]


def test_d25_without_that_look_it_would_pass(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(asking(upstream),), grants=(granted(),), weaken=UNSEEN)
    assert stand.connect().ask(coded("br")).status == 200
    assert [one["grant"] for one in stand.records("intent")] == ["g1"]


def test_d25_under_a_grant_where_all_else_is_denied_a_coded_body_is_asked_about(start: Start) -> None:
    """A route that an agent asked for beforehand (`request_access`), under ``egress.default: deny``."""
    stand = start(routes=(), grants=(granted(rule=DEFAULT),))
    client = stand.connect()
    client.send(coded("br"))
    asked = stand.opened(stand.asked())
    assert (asked.rule, asked.wanted.findings) == (DEFAULT, ("inspect.unseen-coding",))
