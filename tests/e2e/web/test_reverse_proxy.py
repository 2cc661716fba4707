"""Behind a stated reverse proxy (a real nginx with TLS): pairing, answers, streams without buffering; whoever goes around
it is nobody.
"""

import datetime
import http.client
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot_bottle.keeper.web_authority import WebAuthority
from bot_bottle.web.sessions import csrf
from web_stage import Answered, Stage, Web, fetch, tls, until

CONFIG = """
pid {here}/nginx.pid;
error_log {here}/error.log;
daemon off;
{user}
events {{}}
http {{
  access_log off;
  client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/f;
  uwsgi_temp_path {here}/u; scgi_temp_path {here}/s;
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {here}/leaf.pem; ssl_certificate_key {here}/key.pem;
    location / {{
      proxy_pass http://127.0.0.1:{behind};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_read_timeout 1h;
    }}
  }}
}}
"""


class Proxied:
    def __init__(self, stage: Stage, here: Path) -> None:
        self.port = free_port()
        self.public = f"https://localhost:{self.port}"
        self.web: Web = stage.web(proxies=("127.0.0.1",), public=self.public)
        made = WebAuthority(stage.home.keys, "box", datetime.datetime.now(datetime.UTC)).issue(["localhost"])
        self.authority = made.authority
        (here / "leaf.pem").write_text(made.leaf)
        (here / "key.pem").write_text(made.key)
        user = "user root;" if os.geteuid() == 0 else ""
        (here / "nginx.conf").write_text(CONFIG.format(here=here, port=self.port, behind=self.web.port, user=user))
        self.process = subprocess.Popen(["nginx", "-c", here / "nginx.conf", "-p", here], stderr=subprocess.DEVNULL)
        until(lambda: reachable(self.port))

    def ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> Answered:
        link = http.client.HTTPSConnection("localhost", self.port, timeout=15, context=tls(self.authority))
        return fetch(link, method, path, headers or {}, body)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def reachable(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[Proxied]:
    assert shutil.which("nginx"), "the tests install nginx"
    (tmp_path / "nginx").mkdir()
    with Stage(tmp_path) as stage:
        found = Proxied(stage, tmp_path / "nginx")
        yield found
        found.process.terminate()
        found.process.wait(10)


def test_a_device_pairs_and_streams_through_the_proxy(proxied: Proxied) -> None:
    issued = proxied.web.code()
    assert issued.link.startswith(f"{proxied.public}/pair#")
    headers = {
        "origin": proxied.public,
        "sec-fetch-site": "same-origin",
        "content-type": "application/x-www-form-urlencoded",
    }
    paired = proxied.ask("POST", "/pair", headers, f"code={issued.code}&name=tablet".encode())
    assert paired.status == 303 and paired.headers["set-cookie"].startswith("__Host-")
    mine = {
        "cookie": paired.headers["set-cookie"].partition(";")[0],
        "origin": proxied.public,
        "sec-fetch-site": "same-origin",
    }
    assert proxied.ask("GET", "/api/v1/devices", mine).json()["items"][0]["name"] == "tablet"

    link = http.client.HTTPSConnection("localhost", proxied.port, timeout=15, context=tls(proxied.authority))
    link.request("GET", "/events", headers=mine)
    with link.getresponse() as stream:
        begun = time.monotonic()
        assert stream.readline() == b"retry: 1000\n" and time.monotonic() - begun < 8
    link.close()

    right = mine | {"x-bot-bottle-csrf": csrf(mine["cookie"].partition("=")[2]), "content-type": "application/json"}
    assert (
        proxied.ask("POST", "/api/v1/tokens", right, b'{"name": "x"}').status == 403
    )  # a device is no administrator
    assert (
        proxied.ask("POST", "/sign-out", mine | {"content-type": "application/x-www-form-urlencoded"}, b"").status
        == 403
    )
    assert proxied.ask("POST", "/sign-out", right, b"").status == 303
    assert proxied.ask("GET", "/api/v1/devices", mine).status == 401


def test_only_the_public_name_is_served_and_the_local_link_is_not(proxied: Proxied) -> None:
    assert proxied.ask("GET", "/pair").status == 200
    for host in ("evil.example", f"127.0.0.1:{proxied.web.port}", "localhost"):
        assert proxied.ask("GET", "/pair", {"host": host}).status == 421, host
    assert proxied.ask("GET", f"/?key={proxied.web.serving.key}").status == 401
    assert proxied.web.raw("GET", f"/?key={proxied.web.serving.key}", {}).status == 303  # it was not spent


def test_a_client_cannot_pretend_to_be_local_through_the_proxy(proxied: Proxied) -> None:
    """The proxy adds to X-Forwarded-For what it saw; what a client wrote there before does not count."""
    key = proxied.web.link.partition("=")[2]
    for forged in ({"x-forwarded-for": "127.0.0.1"}, {"x-forwarded-proto": "http"}, {"forwarded": "for=127.0.0.1"}):
        assert proxied.ask("GET", f"/?key={key}", forged).status == 401
