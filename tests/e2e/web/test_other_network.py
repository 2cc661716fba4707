"""The dashboard from another network namespace, as a phone on the same network: TLS by our own authority, pairing by
code, then answering an ask. A plain HTTP client does it here; the browser does it in e2e/approvals/test_phone.py.
"""

import ctypes
import datetime
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from bot_bottle.keeper.web_authority import WebAuthority
from bot_bottle.supervise.model import AskState
from bot_bottle.web import profile
from bot_bottle.web.messages import Certificate, Listen
from one_network import cable, ip
from web_stage import Answered, Stage, Web, fetch, tls

pytestmark = pytest.mark.xdist_group("phone")
T = TypeVar("T")
_NUMBER = os.getpid() % 250
HERE, THERE = f"10.77.{_NUMBER}.1", f"10.77.{_NUMBER}.2"  # each process has a network of its own
SPACE, NEAR, FAR = f"bb-phone{os.getpid()}", f"bh{os.getpid()}", f"bt{os.getpid()}"


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """A veth pair into a namespace of its own; what the phone is on."""
    if os.geteuid() != 0:
        pytest.skip("needs root to make a network")
    with cable(SPACE, (NEAR, HERE), (FAR, THERE)):
        yield HERE


def there(do: Callable[[], T]) -> T:
    """Runs `do` in a thread that is in the phone's network."""
    found: list[Any] = []

    def run() -> None:
        with open(f"/run/netns/{SPACE}", "rb") as space:
            assert ctypes.CDLL(None, use_errno=True).setns(space.fileno(), 0x40000000) == 0
        try:
            found.append(do())
        except Exception as error:
            found.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(30)
    if isinstance(found[0], Exception):
        raise found[0]
    return found[0]  # type: ignore[no-any-return]


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        yield found


def certificate(stage: Stage, *names: str) -> Certificate:
    """As the warm keeper issues it."""
    authority = WebAuthority(stage.home.keys, "box", datetime.datetime.now(datetime.UTC))
    made = authority.issue(names)
    return Certificate(made.leaf, made.key, made.authority, made.fingerprint)


def phone(stage: Stage, network: str) -> Web:
    """Loopback for the person, TLS on the network's address for the phone."""
    listen = (Listen(), Listen(network, tls=True))
    return stage.web(listen=listen, names=(network,), certificate=certificate(stage, network))


def over_tls(web: Web, authority: str) -> Callable[..., Answered]:
    """A client in the phone's network that trusts our authority only."""
    host, port = web.serving.urls[1].removeprefix("https://").split(":")

    def ask(method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answered:
        def go() -> Answered:
            link = http.client.HTTPSConnection(host, int(port), timeout=15, context=tls(authority))
            return fetch(link, method, path, headers or {}, body)

        return there(go)

    return ask


def test_a_phone_pairs_over_tls_and_answers(stage: Stage, network: str) -> None:
    bottle = stage.running()
    ask = stage.ask(bottle)
    web = phone(stage, network)
    authority = certificate(stage, network).authority
    client = over_tls(web, authority)
    origin = web.serving.urls[1]
    issued = web.code()
    assert issued.link.startswith(f"{origin}/pair#") and issued.code.replace("-", "") in issued.link

    page = client("GET", "/pair")
    assert page.status == 200 and certificate(stage, network).fingerprint in page.text
    assert client("GET", "/api/v1/devices").status == 401
    form = urllib.parse.urlencode({"code": issued.code, "name": "Ann's phone"}).encode()
    headers = {"origin": origin, "sec-fetch-site": "same-origin", "content-type": "application/x-www-form-urlencoded"}
    paired = client("POST", "/pair", headers, form)
    assert paired.status == 303 and paired.headers["location"] == "/inbox"
    cookie = paired.headers["set-cookie"]
    assert (
        cookie.startswith("__Host-") and "Secure" in cookie and "HttpOnly" in cookie and "SameSite=strict" in cookie
    )
    mine = {"cookie": cookie.partition(";")[0], "origin": origin, "sec-fetch-site": "same-origin"}

    devices = client("GET", "/api/v1/devices", mine).json()["items"]
    assert devices[0]["name"] == "Ann's phone" and devices[0]["kind"] == "device"
    inbox = client("GET", f"/inbox/{ask.id}", mine)
    if inbox.status == 200:  # the page's own form, as engineer of pages drew it, is tried by the browser test
        assert ask.wanted.target.host in inbox.text
    from bot_bottle.web.sessions import csrf

    body = f'{{"request": "{ask.request}", "allow": true, "scope": "once"}}'.encode()
    token = {"x-bot-bottle-csrf": csrf(mine["cookie"].partition("=")[2]), "content-type": "application/json"}
    answer = client("POST", f"/api/v1/asks/{ask.id}/answer", mine | token, body)
    assert answer.status == 200, answer.body
    settled = stage.store.ask(ask.id)
    assert settled is not None and settled.state is AskState.ALLOWED
    assert stage.store.answers(ask.id)[0].approver.kind == "device"
    assert stage.store.answers(ask.id)[0].approver.name == "Ann's phone"

    web.sign_in()
    assert web.api("DELETE", f"/devices/{devices[0]['id']}").status == 204
    assert client("GET", "/api/v1/devices", mine).status == 401
    assert [one.what for one in web.controls] == ["paired", "device revoked"]


def test_from_there_only_tls_and_only_our_names(stage: Stage, network: str) -> None:
    web = phone(stage, network)
    client = over_tls(web, certificate(stage, network).authority)
    host, port = web.serving.urls[1].removeprefix("https://").split(":")
    with pytest.raises(OSError, match=r"refused|timed out|unreachable"):  # the person's own listener is not there
        there(lambda: socket.create_connection((host, web.port), 5))
    assert client("GET", "/pair", {"host": f"evil.example:{port}"}).status == 421
    assert client("GET", "/pair", {"host": f"127.0.0.1:{port}"}).status == 421
    assert client("GET", f"/?key={web.serving.key}").status == 401  # the local link is for this machine

    def plain() -> bytes:
        with socket.create_connection((host, int(port)), 5) as link:
            link.sendall(f"GET /pair HTTP/1.1\r\nhost: {host}:{port}\r\n\r\n".encode())
            return link.recv(100)

    assert b"200" not in there(plain)
    with pytest.raises(ssl.SSLCertVerificationError):  # a stranger's trust is not enough
        there(
            lambda: fetch(
                http.client.HTTPSConnection(host, int(port), timeout=5, context=ssl.create_default_context()),
                "GET",
                "/pair",
                {},
            )
        )


def test_a_socket_of_another_namespace_is_served(stage: Stage, network: str) -> None:
    """A listener belongs to the namespace in which it was made: `serve` can be handed one (socket activation)."""
    sock = there(lambda: socket.create_server((THERE, 0)))
    listen = (Listen(), Listen(passed=True, tls=True))
    made = certificate(stage, THERE)
    web = stage.web(listen=listen, sockets=(sock,), names=(THERE,), certificate=made)
    sock.close()
    assert web.serving.urls[1].startswith(f"https://{THERE}:")
    ip("-n", SPACE, "link", "set", "lo", "up")
    assert over_tls(web, made.authority)("GET", "/pair").status == 200


def test_a_renewed_certificate_serves_the_next_connection(stage: Stage, network: str) -> None:
    from bot_bottle.web import messages

    web = phone(stage, network)
    made = certificate(stage, network)
    client = over_tls(web, made.authority)
    assert client("GET", "/pair").status == 200
    host, port = web.serving.urls[1].removeprefix("https://").split(":")

    def serial() -> str:
        def go() -> str:
            with socket.create_connection((host, int(port)), 5) as link, tls(made.authority).wrap_socket(link, server_hostname=host) as safe:  # fmt: skip
                return str((safe.getpeercert() or {})["serialNumber"])

        return there(go)

    before = serial()
    assert serial() == before
    web.channel.send(messages.Renew(certificate(stage, network)))
    web.code()  # answered after the renewal
    assert serial() != before


def test_the_authority_can_be_taken_along_and_speaks_for_private_names_only(
    stage: Stage, network: str, tmp_path: Path
) -> None:
    """RFC 5280 name constraints: a phone that trusts it trusts it for this network, and openssl agrees."""
    web = phone(stage, network)
    made = certificate(stage, network)
    client = over_tls(web, made.authority)
    crt, config = client("GET", "/authority.crt"), client("GET", "/authority.mobileconfig")
    assert crt.body == profile.der(made.authority) and crt.headers["content-type"] == "application/x-x509-ca-cert"
    assert config.headers["content-type"] == "application/x-apple-aspen-config"
    assert b"com.apple.security.root" in config.body
    assert re.fullmatch(r"([0-9A-F]{2}:){31}[0-9A-F]{2}", made.fingerprint)
    authority = WebAuthority(stage.home.keys, "box", datetime.datetime.now(datetime.UTC))
    assert authority.fingerprint == made.fingerprint
    refused = authority.issue([network, "example.com", "203.0.113.9"]).refused
    assert refused == ("example.com", "203.0.113.9")
    authority._may = lambda _name: True  # type: ignore[method-assign]
    forged = authority.issue(["example.com"])
    (tmp_path / "ca.pem").write_text(made.authority)
    for name, leaf, good in (("right", made.leaf, True), ("forged", forged.leaf, False)):
        (tmp_path / f"{name}.pem").write_text(leaf)
        done = subprocess.run(
            ["openssl", "verify", "-CAfile", tmp_path / "ca.pem", tmp_path / f"{name}.pem"],
            capture_output=True,
            text=True,
        )
        assert (done.returncode == 0) is good, done.stderr
    assert os.stat(f"{stage.home.keys}/web-authority.pem").st_mode & 0o777 == 0o600


def test_a_host_whose_address_changed_is_known_by_the_new_one(stage: Stage, network: str) -> None:
    from bot_bottle.web import messages

    moved = f"10.77.{_NUMBER}.5"
    web = stage.web(
        listen=(Listen(), Listen("0.0.0.0", tls=True)), names=(network,), certificate=certificate(stage, network)
    )
    port = int(web.serving.urls[1].rpartition(":")[2])
    made = certificate(stage, network, moved)
    ip("addr", "add", f"{moved}/32", "dev", NEAR)
    ip("-n", SPACE, "route", "add", f"{moved}/32", "via", network)

    def status() -> int:
        context = tls(made.authority)
        context.check_hostname = False
        return there(
            lambda: (
                fetch(
                    http.client.HTTPSConnection(moved, port, timeout=15, context=context), "GET", "/pair", {}
                ).status
            )
        )

    assert status() == 421
    web.channel.send(messages.Renew(made, (moved, network)))
    link = web.sign_in().api("POST", "/pairing-codes", {}).json()["link"]
    assert link.startswith(f"https://{moved}:{port}/pair#")
    assert status() == 200


def test_the_real_serve_shows_a_code_that_pairs_a_phone(stage: Stage, network: str, tmp_path: Path) -> None:
    """One command: `serve --phone`. From the other network, with nothing but what it prints."""
    stage.ask(stage.running())
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "BOT_BOTTLE_HOME": stage.home.root}
    command = [sys.executable, "-I", "-m", "bot_bottle.cli.main", "serve", "--phone", "--json", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True, cwd="/") as serve:
        try:
            assert serve.stdout is not None
            said = json.loads(serve.stdout.readline())
            shown = said["phone"]
            origin = shown["link"].partition("/pair#")[0]
            host, port = origin.removeprefix("https://").split(":")
            assert host == network
            pem = there(lambda: ssl.get_server_certificate((host, int(port)), timeout=10))
            assert pem
            free = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            free.check_hostname, free.verify_mode = False, ssl.CERT_NONE
            crt = there(
                lambda: fetch(
                    http.client.HTTPSConnection(host, int(port), timeout=15, context=free),
                    "GET",
                    "/authority.crt",
                    {},
                )
            ).body
            fingerprint = hashlib.sha256(crt).hexdigest().upper()
            assert shown["fingerprint"].replace(":", "") == fingerprint  # what a person compares
            context = tls(ssl.DER_cert_to_PEM_cert(crt))

            def ask(method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Answered:
                return there(
                    lambda: fetch(
                        http.client.HTTPSConnection(host, int(port), timeout=15, context=context),
                        method,
                        path,
                        headers,
                        body,
                    )
                )

            code = shown["link"].partition("#")[2]
            headers = {
                "origin": origin,
                "sec-fetch-site": "same-origin",
                "content-type": "application/x-www-form-urlencoded",
            }
            paired = ask("POST", "/pair", headers, f"code={code}&name=phone".encode())
            assert paired.status == 303
            mine = {
                "cookie": paired.headers["set-cookie"].partition(";")[0],
                "origin": origin,
                "sec-fetch-site": "same-origin",
            }
            assert ask("GET", "/api/v1/asks?state=waiting", mine).json()["items"][0]["state"] == "waiting"
            assert ask("GET", "/inbox", mine).status == 200
            log = subprocess.run(
                [sys.executable, "-I", "-m", "bot_bottle.cli.main", "log", "verify", "host"], env=environment, capture_output=True, text=True, cwd="/",
            )  # fmt: skip
            assert log.returncode == 0, log.stderr
            records = b"".join(path.read_bytes() for path in Path(stage.home.host_log).rglob("*") if path.is_file())
            assert b'"control"' in records and b"paired" in records
        finally:
            serve.terminate()
            assert serve.wait(10) == 0
