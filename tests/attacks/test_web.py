"""Attacks on the dashboard: from other sites in the person's browser, from their network, and from guessing.

Each test shows the attack failing, and then the same attack succeeding once its one defence is taken away.
"""

import contextlib
import http.client
import secrets
import select
import socket
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from bot_bottle.keeper.messages.control import LearnPolicy
from bot_bottle.supervise.notify import push
from bot_bottle.supervise.notify.webpush import point, unpadded
from bot_bottle.web import pairing, security, serving
from bot_bottle.web.api import routes as api
from bot_bottle.web.messages import Listen
from bot_bottle.web.security import Defences
from bot_bottle.web.sessions import Sessions, csrf
from bot_bottle.web.store import Store
from web_stage import Inside, Stage, until

EVIL = "http://evil.example"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        yield found


@pytest.fixture
def inside(stage: Stage) -> Iterator[Inside]:
    with Inside(stage) as found:
        yield found


def opened(stage: Stage, **off: bool) -> Inside:
    """A server without the named defences: the positive control."""
    return Inside(stage, Defences(**off))


# Another site, in the person's own browser


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1.evil.example:{port}", "127.0.0.1:1", "127.0.0.1", "127.0.0.1:{port}.evil.example", "user@127.0.0.1:{port}", "0.0.0.0:{port}", "", "localhost:{port}, evil.example"],
)  # fmt: skip
def test_a_rebound_name_is_not_served(inside: Inside, host: str) -> None:
    """DNS rebinding: a page on evil.example, whose name now means 127.0.0.1, is same-origin with what it reads."""
    host = host.format(port=inside.port)
    for path in (
        "/",
        "/pair",
        "/api/v1/devices",
        "/assets/app.css",
        "/events",
        f"/?key={inside.web.office.door.keys.issue()}",
    ):
        reply = inside.raw("GET", path, inside.session() | {"host": host, "origin": f"http://{host}"})
        assert reply.status in (400, 421), (path, reply.status)
        assert "set-cookie" not in reply.headers


def test_a_rebound_name_is_served_without_the_host_check(stage: Stage) -> None:
    with opened(stage, hosts=False, fetch_site=False) as web:
        assert web.raw("GET", "/pair", {"host": "evil.example"}).status == 200


def test_two_host_fields_are_nobodys(inside: Inside) -> None:
    link = socket.create_connection(("127.0.0.1", inside.port))
    link.sendall(
        f"GET /pair HTTP/1.1\r\nhost: 127.0.0.1:{inside.port}\r\nhost: evil.example\r\nconnection: close\r\n\r\n".encode()
    )
    assert b" 421 " in link.recv(4096)
    link.close()


def write(web: Inside, headers: dict[str, str]) -> int:
    """Issues a token as the signed-in person's browser would be made to."""
    body = b'{"name": "stolen", "scopes": ["admin"]}'
    return web.raw("POST", "/api/v1/tokens", headers | {"content-type": "application/json"}, body).status


def test_csrf_without_the_sessions_own_token(stage: Stage, inside: Inside) -> None:
    """The cookie comes along, the token does not; also where the browser says nothing about the site."""
    person = inside.session()
    assert write(inside, person) == 403
    assert write(inside, person | {security.CSRF_HEADER: "0" * 64}) == 403
    assert write(inside, person | {security.CSRF_HEADER: csrf("another session")}) == 403
    with opened(stage, csrf=False) as web:
        assert write(web, web.session()) == 201


@pytest.mark.parametrize(
    "said",
    [
        {"origin": EVIL, "sec-fetch-site": "cross-site"}, {"origin": EVIL}, {"sec-fetch-site": "cross-site"}, {"origin": "null"},
        {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9"}, {"origin": "http://127.0.0.1:9"},
        {"origin": "https://127.0.0.1:{port}"}, {},
    ],
)  # fmt: skip
def test_csrf_from_another_site_or_port(stage: Stage, inside: Inside, said: dict[str, str]) -> None:
    """Even with the right token: a bottle's forwarded page on another port of 127.0.0.1 is another origin, too."""
    said = {name: value.format(port=inside.port) for name, value in said.items()}
    person = inside.session()
    mine = {"cookie": person["cookie"], security.CSRF_HEADER: csrf(person["cookie"].partition("=")[2])}
    assert write(inside, mine | said) == 403
    assert write(inside, person | mine) == 201
    with opened(stage, fetch_site=False) as web:
        person = web.session()
        mine = {"cookie": person["cookie"], security.CSRF_HEADER: csrf(person["cookie"].partition("=")[2])}
        assert write(web, mine | said) == 201


def test_csrf_in_a_form(inside: Inside) -> None:
    """A form of another site has no token; one that tries to pass as JSON or text is no form."""
    kinds = ("application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x")
    for kind in kinds:
        reply = inside.raw("POST", "/sign-out", inside.session() | {"content-type": kind}, b"csrf=&a=b")
        assert reply.status == 403, kind
    person = inside.session()
    body = f"csrf={csrf(person['cookie'].partition('=')[2])}".encode()
    assert inside.raw("POST", "/sign-out", person | {"content-type": kinds[0]}, body).status == 303


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("path", ["/events", "/api/v1/events", "/api/v1/devices", "/assets/app.css", "/pair"])
def test_another_site_reads_and_streams_nothing(stage: Stage, inside: Inside, site: str, path: str) -> None:
    """Cross-site SSE (EventSource with credentials), scripts, pictures and fetches of what only we may show."""
    said = {"sec-fetch-site": site, "sec-fetch-mode": "cors", "sec-fetch-dest": "empty", "origin": EVIL}
    for headers in (said, {k: v for k, v in said.items() if k != "origin"}):
        reply = inside.raw("GET", path, {"cookie": inside.session()["cookie"]} | headers)
        assert reply.status == 403
    for mode, dest in (("navigate", "iframe"), ("navigate", "object"), ("no-cors", "image"), ("no-cors", "script")):
        headers = {"sec-fetch-site": site, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
        assert inside.raw("GET", path, {"cookie": inside.session()["cookie"]} | headers).status == 403
    with opened(stage, fetch_site=False) as web:
        link = http.client.HTTPConnection("127.0.0.1", web.port)
        link.request("GET", path, headers={"cookie": web.session()["cookie"]} | said)
        with link.getresponse() as reply:
            assert reply.status == 200
        link.close()


def test_a_link_may_be_followed(inside: Inside) -> None:
    """What is not refused: a person who clicks in a chat arrives at a page, which then decides nothing by itself."""
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    assert inside.raw("GET", "/pair", headers).status == 200


def every_page(web: Inside) -> list[str]:
    app = web.web.front._gate.app
    paths = {getattr(route, "path", "") for route in app.routes}  # type: ignore[attr-defined]
    return sorted(
        path for path in paths if "{" not in path and path not in ("/events", "/api/v1/events", "/csp-report")
    )


def test_clickjacking_and_the_other_headers_on_every_reply(stage: Stage, inside: Inside) -> None:
    """Frames, sniffing, caches, referrers, openers: on pages, errors, refusals, assets and API alike."""
    person = inside.session()
    paths = [*every_page(inside), "/no-such-page", "/assets/no-such", "/assets/app.css"]
    for path in paths:
        for headers in (person, {}, {"host": "evil.example"}):
            found = inside.raw("GET", path, headers).headers
            assert "frame-ancestors 'none'" in found["content-security-policy"], path
            assert found["x-frame-options"] == "DENY"
            assert found["x-content-type-options"] == "nosniff"
            assert found["referrer-policy"] == "same-origin"
            assert found["cross-origin-opener-policy"] == found["cross-origin-resource-policy"] == "same-origin"
            assert found["cache-control"] in ("no-store", "no-cache") and "server" not in found
            if not path.startswith(("/assets", "/sw.js")):
                assert found["cache-control"] == "no-store"
    with opened(stage, headers=False) as web:
        assert "content-security-policy" not in web.raw("GET", "/pair").headers


def test_the_policy_for_scripts_is_strict_and_each_nonce_is_new(inside: Inside) -> None:
    policies = [inside.raw("GET", "/pair").headers["content-security-policy"] for _ in range(3)]
    assert len(set(policies)) == 3
    for policy in policies:
        parts = dict(part.strip().partition(" ")[::2] for part in policy.split(";"))
        assert parts["default-src"] == "'none'" and parts["base-uri"] == "'none'" and parts["form-action"] == "'self'"
        assert parts["script-src"].startswith("'nonce-") and " " not in parts["script-src"]
        assert parts["style-src"] == "'self'" and parts["require-trusted-types-for"] == "'script'"
        assert "unsafe" not in policy and "*" not in policy and "http" not in policy.replace("https", "")


# Sessions


def test_fixation_an_id_that_came_along_is_never_kept(
    stage: Stage, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An attacker plants a cookie (from another port of 127.0.0.1) and waits for the person to sign in under it."""
    name = f"bot-bottle-{inside.port}"

    def after_sign_in(web: Inside, planted: str) -> str:
        key = web.web.office.door.keys.issue()
        reply = web.raw("GET", f"/?key={key}", {"cookie": f"bot-bottle-{web.port}={planted}"})
        assert reply.status == 303
        return reply.headers["set-cookie"].partition(";")[0].partition("=")[2]

    theirs = inside.session()["cookie"].partition("=")[2]
    for planted in ("0" * 43, theirs):
        fresh = after_sign_in(inside, planted)
        assert fresh != planted and len(fresh) >= 43
        assert inside.raw("GET", "/api/v1/devices", {"cookie": f"{name}={planted}"}).status == 401
        assert inside.raw("GET", "/api/v1/devices", {"cookie": f"{name}={fresh}"}).status == 200

    with Inside(stage) as web:  # the control: a server that keeps a living id that it was given
        right = Sessions.open
        monkeypatch.setattr(Sessions, "open", lambda self, n, k, a, now, old="": old or right(self, n, k, a, now))
        theirs = web.session()["cookie"].partition("=")[2]
        assert after_sign_in(web, theirs) == theirs


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(inside: Inside) -> None:
    key = inside.web.office.door.keys.issue()
    cookie = inside.raw("GET", f"/?key={key}").headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "domain" not in cookie and "path=/" in cookie
    assert str(inside.port) in cookie.partition("=")[0]


def test_revocation_ends_requests_at_once_and_streams_within_moments(inside: Inside) -> None:
    person = inside.session("device")
    device = Sessions(inside.web.office.store).devices()[0]
    link = http.client.HTTPConnection("127.0.0.1", inside.port, timeout=10)
    link.request("GET", "/events", headers=person)
    stream = link.getresponse()
    assert stream.status == 200 and stream.readline() == b"retry: 1000\n"
    assert inside.raw("GET", "/api/v1/devices", person).status == 200
    admin = inside.session()
    token = {security.CSRF_HEADER: csrf(admin["cookie"].partition("=")[2])}
    assert inside.raw("DELETE", f"/api/v1/devices/{device.id}", admin | token).status == 204
    begun = time.monotonic()
    assert inside.raw("GET", "/api/v1/devices", person).status == 401
    with stream:
        assert b"signed-out" in stream.read()  # to its end
    assert time.monotonic() - begun < 8
    link.close()


def test_who_signed_out_or_was_replaced_or_ran_out_gets_no_pushes(stage: Stage) -> None:
    """What waits, and how much, is for those who are signed in."""
    key = unpadded(point(ec.generate_private_key(ec.SECP256R1())))
    wish = {"endpoint": "https://fcm.googleapis.com/x", "p256dh": key, "auth": unpadded(b"0" * 16)}

    def subscribed() -> list[str]:
        return [one.device for one in push.subscriptions(stage.home.web)]

    with stage.web() as web:
        web.sign_in()
        assert web.api("POST", "/push-subscriptions", wish).status == 204
        (first,) = subscribed()
        web.raw("GET", web.link.removeprefix(web.url), {"cookie": web.cookie})  # signs in again in the same browser
        assert subscribed() == []
        web.sign_in()
        assert web.api("POST", "/push-subscriptions", wish).status == 204
        assert subscribed() != [first]
        (found,) = push.subscriptions(stage.home.web)
        assert found.until > time.time_ns()
        assert web.post("/sign-out", {}).status == 303
        assert subscribed() == []
        web.sign_in()
        assert web.api("POST", "/push-subscriptions", wish).status == 204
    store = Store(stage.home)
    with store.write() as database:
        database.execute("UPDATE sessions SET expires = 1")
    with stage.web():
        assert subscribed() == []


def test_nothing_that_opens_a_door_is_on_the_disk(stage: Stage, inside: Inside) -> None:
    """Whoever reads <home>/web (a backup) finds hashes only."""
    person = inside.session()
    session = person["cookie"].partition("=")[2]
    token = {security.CSRF_HEADER: csrf(session)}
    body = b'{"name": "ci", "scopes": ["read"]}'
    headers = person | token | {"content-type": "application/json", "idempotency-key": "once"}
    issued = inside.raw("POST", "/api/v1/tokens", headers, body)
    assert issued.status == 201
    again = inside.raw("POST", "/api/v1/tokens", headers, body)
    assert again.status == 409 and issued.json()["token"] not in again.text
    code, key = inside.web.office.door.codes.issue(), inside.web.office.door.keys.issue()
    kept = b"".join(path.read_bytes() for path in Path(stage.home.web).iterdir())
    for text in (
        session,
        csrf(session),
        issued.json()["token"],
        issued.json()["token"].removeprefix("bb_"),
        code,
        key,
    ):
        assert text.encode() not in kept
    assert issued.json()["token"] not in inside.raw("GET", "/api/v1/tokens", person).text


# One-time ways in


def test_a_local_link_works_once_for_a_while_and_over_loopback_only(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = inside.web.office.door.keys
    key = keys.issue()
    assert inside.raw("GET", f"/?key={key}").status == 303
    assert inside.raw("GET", f"/?key={key}").status == 401
    assert inside.raw("GET", f"/?key={secrets.token_urlsafe(32)}").status == 401
    late = keys.issue()
    now = time.monotonic_ns() + (pairing.KEY_SECONDS + 1) * 1_000_000_000
    with monkeypatch.context() as patch:
        patch.setattr(keys, "_clock", lambda: now)
        assert inside.raw("GET", f"/?key={late}").status == 401
    key = keys.issue()
    seen = security.Origins.seen
    monkeypatch.setattr(security.Origins, "seen", lambda self, scope, headers: _far(seen(self, scope, headers)))
    assert inside.raw("GET", f"/?key={key}").status == 401
    monkeypatch.undo()
    assert inside.raw("GET", f"/?key={key}").status == 303


def _far(seen: object) -> object:
    import dataclasses

    return dataclasses.replace(seen, local=False)  # type: ignore[type-var]


def pair(web: Inside, code: str) -> int:
    body = f"code={code}&name=phone".encode()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "origin": web.url,
        "sec-fetch-site": "same-origin",
    }
    return web.raw("POST", "/pair", headers, body).status


def test_a_pairing_code_cannot_be_guessed(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    """40 bits, ten guesses over everybody, five minutes: the eleventh guess is wrong even if it is right."""
    codes = inside.web.office.door.codes
    assert len(pairing.ALPHABET) ** pairing.CODE_LENGTH >= 2**40
    assert len({codes.issue() for _ in range(200)}) == 200
    code = codes.issue()
    for _ in range(pairing.GUESSES):
        assert pair(inside, "AAAA-AAAA") == 403
    assert pair(inside, code) == 403
    monkeypatch.setattr(pairing, "GUESSES", 1_000_000)
    code = codes.issue()
    for _ in range(10):
        assert pair(inside, "AAAA-AAAA") == 403
    assert pair(inside, code) == 303  # the control: without the limit the guesser goes on until it is right


def test_a_pairing_code_works_once_and_not_for_long(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    codes = inside.web.office.door.codes
    code = codes.issue()
    assert pair(inside, pairing.spoken(code).lower()) == 303
    assert pair(inside, code) == 403
    code = codes.issue()
    now = time.monotonic_ns() + (pairing.CODE_SECONDS + 1) * 1_000_000_000
    monkeypatch.setattr(codes, "_clock", lambda: now)
    assert pair(inside, code) == 403


def test_a_paired_device_is_no_administrator(inside: Inside) -> None:
    """A stolen phone answers asks until it is revoked; it pairs no other device and issues no token."""
    person = inside.session("device")
    mine = person | {security.CSRF_HEADER: csrf(person["cookie"].partition("=")[2])}
    assert write(inside, mine) == 403
    assert inside.raw("POST", "/api/v1/pairing-codes", mine).status == 403
    assert inside.raw("GET", "/api/v1/devices", mine).status == 200


def test_a_stolen_phone_starts_nothing_new(stage: Stage) -> None:
    """It may answer asks, too: a command of its choice in a directory of its choice would send any file anywhere."""
    stage.running("one")  # its workspace is /work/site
    with stage.web() as web:
        admin, other = web.token(), web.token("control", "answer", "read")
        command = {"agent": "command", "argv": ["cat", "/etc/passwd"]}
        for wish, may in (
            (command, False), ({"agent": "claude", "argv": ["-p"]}, False),
            ({"agent": "claude", "workspace": "/root"}, False), ({"agent": "claude", "workspace": "/work/site/.."}, False),
            ({"agent": "claude", "workspace": "/work/site"}, True), ({"agent": "claude"}, True),
        ):  # fmt: skip
            assert web.api("POST", "/bottles", wish, other).status == (201 if may else 403), wish
            assert web.api("POST", "/bottles", wish, admin).status == 201, wish
        assert len(web.started) == 8


def test_a_token_may_do_what_its_scopes_say_and_no_more(stage: Stage) -> None:
    """Every operation with every scope but its own is 403, without one 401; a wrong token is not saved by a cookie.
    Of one that takes two, neither is enough."""
    with stage.web() as web:
        tokens = {scope: web.token(scope) for scope in ("read", "answer", "control", "admin")}
        for operation in api.operations():
            path = operation.path
            for name in operation.in_path:
                path = path.replace(f"{{{name}}}", "0" * 16)
            body = {} if operation.has_body else None
            for scope, token in tokens.items():
                status = web.api(operation.method, path, body, token).status
                assert (status == 403) == ((scope,) != operation.scopes), (operation.name, scope, status)
            assert web.api(operation.method, path, body, "bb_" + "x" * 43).status == 401
            reply = web.api(operation.method, path, body, "bb_" + "x" * 43, cookie=web.cookie, origin=web.url)
            assert reply.status == 401


def test_learn_mode_takes_the_scope_of_answers_too(stage: Stage) -> None:
    """It opens more than any one answer, so who may only stop and start opens nothing by it."""
    bottle = stage.running("one")
    with stage.web() as web:
        path, body = "/bottles/one/learn", {"seconds": 60}
        for scope in ("control", "answer"):
            assert web.api("POST", path, body, web.token("read", scope)).status == 403
        assert bottle.said == []
        assert web.api("POST", path, body, web.token("control", "answer")).status == 204
        assert [type(one) for one in bottle.said] == [LearnPolicy]


# The network


def test_the_dashboard_listens_nowhere_else_without_pairing_and_tls(stage: Stage) -> None:
    for place in (
        Listen("0.0.0.0"),
        Listen("::"),
        Listen("10.0.0.1"),
        Listen("0.0.0.0", proxied=True),
        Listen("0.0.0.0", tls=True),
    ):
        with pytest.raises(RuntimeError, match=r"web\.(open|no-certificate)"):
            stage.web(listen=(place,))
    with socket.create_server(("0.0.0.0", 0)) as handed, pytest.raises(RuntimeError, match=r"web\.open"):
        stage.web(listen=(Listen("127.0.0.1", passed=True),), sockets=(handed,))  # what it is called does not count
    with stage.web() as web:
        assert web.serving.urls == (f"http://127.0.0.1:{web.port}",)
        listening = Path(f"/proc/{web.process.pid}/net/tcp").read_text().splitlines()
        mine = [row.split()[1] for row in listening if f":{web.port:04X} " in row and row.split()[3] == "0A"]
        assert mine == [f"0100007F:{web.port:04X}"]


def test_forwarded_fields_count_from_the_stated_proxy_only(stage: Stage) -> None:
    """Else anybody who reaches the port could be another host, another scheme or another client."""
    forged = {
        "x-forwarded-host": "bottle.example.org",
        "x-forwarded-proto": "https",
        "x-forwarded-for": "203.0.113.9",
    }
    with Inside(stage) as web:
        assert web.raw("GET", "/pair", {"host": "bottle.example.org"} | forged).status == 421
        key = web.web.office.door.keys.issue()
        reply = web.raw("GET", f"/?key={key}", forged)
        assert reply.status == 303 and "secure" not in reply.headers["set-cookie"].lower()
    with Inside(stage, proxies=("127.0.0.1",), public="https://bottle.example.org") as web:
        reply = web.raw("GET", "/pair", {"host": "bottle.example.org"} | forged)
        assert reply.status == 200
        assert (
            web.raw("GET", "/pair", {"host": "evil.example"} | forged | {"x-forwarded-host": "evil.example"}).status
            == 421
        )
        assert (
            web.raw("GET", "/pair", {"host": "bottle.example.org"} | forged | {"x-forwarded-proto": "http"}).status
            == 421
        )
        key = web.web.office.door.keys.issue()  # a local link is not for who comes through the proxy
        assert web.raw("GET", f"/?key={key}", {"host": "bottle.example.org"} | forged).status == 401
        code = web.web.office.door.codes.issue()
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "origin": "https://bottle.example.org",
            "host": "bottle.example.org",
        }
        reply = web.raw("POST", "/pair", headers | forged, f"code={code}".encode())
        assert (
            reply.status == 303
            and reply.headers["set-cookie"].startswith("__Host-")
            and "Secure" in reply.headers["set-cookie"]
        )


def test_a_large_or_slow_request_is_cut(stage: Stage, inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    person = inside.session()
    mine = person | {
        security.CSRF_HEADER: csrf(person["cookie"].partition("=")[2]),
        "content-type": "application/json",
    }
    big = b'{"name": "' + b"a" * security.BODY_BYTES + b'"}'
    assert inside.raw("POST", "/api/v1/tokens", mine, big).status == 413
    link = http.client.HTTPConnection("127.0.0.1", inside.port, timeout=20)
    pieces = iter([b"a" * 65536] * 20)
    link.request("POST", "/api/v1/tokens", pieces, mine | {"transfer-encoding": "chunked"}, encode_chunked=True)
    with link.getresponse() as reply:
        assert reply.status == 413
    link.close()
    with opened(stage, limits=False) as web:
        person = web.session()
        mine = person | {
            security.CSRF_HEADER: csrf(person["cookie"].partition("=")[2]),
            "content-type": "application/json",
        }
        assert web.raw("POST", "/api/v1/tokens", mine, big).status == 422


def test_a_body_that_never_comes_is_not_waited_for(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(security, "BODY_SECONDS", 0.3)
    with Inside(stage) as web:
        person = web.session()
        lines = "".join(
            f"{name}: {value}\r\n"
            for name, value in (person | {security.CSRF_HEADER: csrf(person["cookie"].partition("=")[2])}).items()
        )
        link = socket.create_connection(("127.0.0.1", web.port), timeout=10)
        link.sendall(
            f"POST /api/v1/tokens HTTP/1.1\r\nhost: 127.0.0.1:{web.port}\r\n{lines}content-type: application/json\r\ncontent-length: 20\r\n\r\n{{".encode()
        )
        assert b" 408 " in link.recv(4096)
        link.close()


def test_a_head_that_never_ends_is_cut(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "HEAD_SECONDS", 0.3)
    with Inside(stage) as web:
        for begun in (b"", b"GET / HTTP/1.1\r\nhost: ", b"GET / HTTP/1.1\r\nx: y\r\n"):
            link = socket.create_connection(("127.0.0.1", web.port), timeout=10)
            link.sendall(begun)
            with contextlib.suppress(ConnectionResetError):
                assert link.recv(4096) == b""
            link.close()


def test_many_connections_and_streams_are_bounded(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot_bottle.web import sse

    monkeypatch.setattr(serving, "CONNECTIONS", 20)
    monkeypatch.setattr(sse, "STREAMS_OF_ONE", 3)
    with Inside(stage) as web:
        person = web.session()
        links = []
        replies = []
        for _ in range(5):
            link = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
            link.request("GET", "/events", headers=person)
            replies.append(link.getresponse())
            links.append(link)
        assert [reply.status for reply in replies] == [200, 200, 200, 429, 429]
        for one in (*replies, *links):
            one.close()
        until(lambda: web.web.front._gate.app.state.streams.count == 0)  # type: ignore[attr-defined]
        idle = [socket.create_connection(("127.0.0.1", web.port), timeout=10) for _ in range(40)]
        until(lambda: len(select.select(idle, [], [], 0)[0]) == 20)  # cut at once, the others may speak
        for waiting in idle:
            waiting.close()
        until(lambda: len(web.web.front.server_state.connections) == 0)
        assert web.raw("GET", "/pair").status == 200


def test_strangers_who_fill_one_listener_leave_the_other_open(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With `--phone`, everybody on the network reaches a listener; the person's own is another one."""
    monkeypatch.setattr(serving, "CONNECTIONS", 20)
    with Inside(stage, listen=(Listen(), Listen())) as web:
        port = int(web.web.urls[1].rpartition(":")[2])
        idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(40)]
        until(lambda: len(select.select(idle, [], [], 0)[0]) == 20)  # the control: that one is full
        assert [web.raw("GET", "/pair").status for _ in range(10)] == [200] * 10
        for waiting in idle:
            waiting.close()


@pytest.mark.parametrize(
    "path",
    [
        "/assets/../main.py",
        "/assets/%2e%2e/main.py",
        "/assets/..%2fmain.py",
        "/assets//etc/passwd",
        "/assets/.%00.css",
        "/assets/vendored.json",
    ],
)
def test_no_path_leads_out_of_the_assets(inside: Inside, path: str) -> None:
    assert inside.raw("GET", path, inside.session()).status in (400, 404)


def test_a_fault_of_ours_shows_no_inside(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """An exception's text may hold what the request held; neither a browser nor the terminal sees it."""
    from bot_bottle.web.pages import door

    def burst(*_: object, **__: object) -> str:
        raise ValueError("the secret of the request")

    monkeypatch.setattr(door, "page", burst)
    with Inside(stage) as web:
        reply = web.raw("GET", "/signed-out")
        assert reply.status == 500 and "secret of" not in reply.text and "Traceback" not in reply.text
    shown = capfd.readouterr()
    assert "ValueError" in shown.err and "secret of" not in shown.err + shown.out and "Traceback" not in shown.err


def test_hostile_text_is_shown_as_text(stage: Stage) -> None:
    """B73: bidi, ANSI and markup in what a template prints, whatever the template forgot."""
    from bot_bottle.web.page import environment

    made = environment().from_string("<p>{{ text }}</p>")
    text = made.render(text="<script>alert(1)</script>\u202egnp.exe\x1b[2J\u200b'\"")
    assert "<script" not in text and "\u202e" not in text and "\x1b" not in text and "\\u{202e}" in text


def test_a_store_that_cannot_be_read_lets_nobody_in(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise sqlite3.OperationalError("unable to open database file /home/ann")

    person = inside.session()
    monkeypatch.setattr(Sessions, "find", broken)
    reply = inside.raw("GET", "/api/v1/devices", person)
    assert reply.status == 500 and "ann" not in reply.text and reply.headers["x-frame-options"] == "DENY"


def test_a_database_error_reveals_nothing(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> object:
        raise sqlite3.OperationalError("no such table: /home/ann/.bot-bottle/web")

    person = inside.session()
    monkeypatch.setattr(Sessions, "devices", broken)
    reply = inside.raw("GET", "/api/v1/devices", person)
    assert reply.status == 500 and "home" not in reply.text
