"""B59 from inside a real bottle: no port of this host, no socket of ours, no other way than the bottle's own name."""

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from e2e.lifecycle.world import World, serving
from e2e.lifecycle.world import world as make
from gateway_stand import Authority, Setup, Stand

pytestmark = [pytest.mark.bottle, pytest.mark.slow]

INSIDE = Path(__file__).with_name("mcp_inside.py")
BOTTLE = "---\nversion: 1\negress: {default: ask, ask_wait: 2s, routes: [{host: a.example.com}]}\n---\n"


class Dashboard:
    """Stands for everything that listens on this host: it counts who comes."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("0.0.0.0", 0), backlog=64)
        self.port = int(self.listener.getsockname()[1])
        self.came = 0
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.came += 1
            sock.close()


@pytest.fixture
def dashboard() -> Iterator[Dashboard]:
    one = Dashboard()
    yield one
    one.listener.shutdown(socket.SHUT_RDWR)
    one.listener.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serving(tmp_path) as server:
        one = make(tmp_path, server)
        (one.home / "bottles").mkdir()
        (one.home / "bottles" / "b.md").write_text(BOTTLE)
        try:
            yield one
        finally:
            one.close()
        one.quiet()
        one.sweep()


def _addresses() -> list[str]:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as sock:
        try:
            sock.connect(("192.0.2.1", 9))
            own = [str(sock.getsockname()[0])]
        except OSError:
            own = []
    return ["127.0.0.1", "127.0.0.2", "0.0.0.0", "::1", *own]


def test_b59_the_agent_reaches_no_control_approval_or_dashboard_of_its_sandbox(
    world: World, dashboard: Dashboard
) -> None:
    """With `serve` running: its page, its own socket and the bottle's control socket are there, and not for it."""
    served = world.begin("serve", "--json", "--port", "0")
    assert served.stdout is not None
    page = int(json.loads(served.stdout.readline())["url"].partition("/?")[0].rpartition(":")[2])
    (world.project / "inside.py").write_text(INSIDE.read_text())
    places = [str(world.home), str(world.home / "run"), "/run", "/run/user/0/bot-bottle"]
    sockets: list[str] = []
    for port in (dashboard.port, page):
        argument = json.dumps({"port": port, "addresses": _addresses(), "places": places})
        running = world.begin("run", "--bottle", "b", "--", "python3", "inside.py", argument)
        while running.poll() is None:
            sockets += [str(path) for path in (world.home / "run").glob("*/control") if path.is_socket()]
        out, errors = running.communicate(timeout=100)
        assert out, errors
        found = json.loads(out)
        assert found["reached"] == [], "sockets, ports and doors that answered"
        assert found["own"] == "ok", (
            f"its own name answers, so the attempts were made by something that works {errors}"
        )
    assert any(path.endswith("/control") for path in sockets), "there was something to reach"
    assert dashboard.came == 0
    for port in (dashboard.port, page):
        with socket.create_connection(("127.0.0.1", port)):
            pass
    kinds = {str(one["kind"]) for one in world.records()}
    assert "intent" not in kinds and "ask" not in kinds, "nobody was asked about an address of this host"
    denied = [one for one in world.records() if one["kind"] == "denied"]
    assert len(denied) >= 16
    served.terminate()
    served.wait(20)


def test_b59_without_the_seal_the_same_attempts_arrive(tmp_path: Path, dashboard: Dashboard) -> None:
    """Control: on the host, with a gateway but no seal around it; the gateway's doors still lead nowhere."""
    stand = Stand(tmp_path, Setup(), Authority("upstream"))
    control = socket.socket(socket.AF_UNIX)
    control.bind(str(tmp_path / "control"))
    try:
        asked = {"port": dashboard.port, "addresses": ["127.0.0.1"], "places": [str(tmp_path)]}
        argument = json.dumps({**asked, "proxy": stand.port("forward")})
        done = subprocess.run(
            [sys.executable, "-I", str(INSIDE), argument], capture_output=True, text=True, timeout=60
        )
        found = json.loads(done.stdout)
        mine = [one for one in found["reached"] if not one.startswith("abstract")]
        assert mine == ["direct 127.0.0.1", f"socket {tmp_path}/control"] and found["own"] == "ok"
        assert dashboard.came == 1
    finally:
        control.close()
        stand.close()
