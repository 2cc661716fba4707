"""B59, B44 with the real dashboard: what an agent in a real bottle gets from it, also where a bottle file was written
so that its gateway may dial this very port.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.lifecycle.world import World, serving
from e2e.lifecycle.world import world as make
from web_stage import Stage, Web

pytestmark = [pytest.mark.bottle, pytest.mark.slow]

INSIDE = """
import http.client, json, sys
port, stolen = int(sys.argv[1]), sys.argv[2]
found = {}
def ask(name, method, url, headers, body=None):
    link = http.client.HTTPConnection("127.0.0.1", 3128, timeout=10)
    try:
        link.request(method, url, body, headers)
        reply = link.getresponse()
        text = reply.read().decode("utf-8", "replace")
        found[name] = [reply.status, "bot-bottle-" in str(reply.headers.get("set-cookie", "")), "Pair this device" in text, "items" in text]
    except OSError as error:
        found[name] = [0, False, False, False]
    finally:
        link.close()
form = {"content-type": "application/x-www-form-urlencoded"}
for name, host in (("by name", "dashboard.example"), ("by address", "127.0.0.1"), ("by localhost", "localhost")):
    base = f"http://{host}:{port}"
    at = {"host": f"{host}:{port}"}
    ask(f"{name}: page", "GET", f"{base}/pair", at)
    ask(f"{name}: api", "GET", f"{base}/api/v1/devices", at)
    ask(f"{name}: api with the person's cookie", "GET", f"{base}/api/v1/devices", at | {"cookie": stolen})
    ask(f"{name}: answer", "POST", f"{base}/api/v1/asks/a/answer", at | {"content-type": "application/json", "cookie": stolen}, b"{}")
    for _ in range(12):
        ask(f"{name}: pairing", "POST", f"{base}/pair", at | form | {"origin": base, "sec-fetch-site": "same-origin"}, b"code=AAAAAAAA")
print(json.dumps(found))
"""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    with Stage(tmp_path / "stage") as stage:
        yield stage.web().sign_in()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with serving(tmp_path) as server:
        one = make(tmp_path, server)
        (one.home / "bottles").mkdir()
        try:
            yield one
        finally:
            one.close()
        one.quiet()
        one.sweep()


def tried(world: World, web: Web, bottle: str) -> dict[str, list[object]]:
    (world.home / "bottles" / "b.md").write_text(f"---\nversion: 1\negress: {bottle}\n---\n")
    (world.project / "inside.py").write_text(INSIDE)
    done = world.run("python3", "inside.py", str(web.port), web.cookie, timeout=110)
    return dict(json.loads(done.stdout))


def test_b59_b44_a_bottle_has_no_way_to_the_dashboard(world: World, web: Web) -> None:
    """Neither by address nor by a name that means this host; not even with the person's own cookie."""
    found = tried(world, web, "{routes: [{host: a.example.com}]}")
    assert len(found) == 15
    for name, (status, cookie, page, items) in found.items():
        assert status in (0, 403, 421, 502) and not (cookie or page or items), name
    kinds = [one["kind"] for one in world.records()]
    assert "intent" not in kinds


def test_b59_b44_a_bottle_file_that_opens_this_port_opens_no_door(world: World, web: Web) -> None:
    """A person pins a route to the dashboard's own address, by mistake: its name is not ours; by its address an agent
    sees the page for a code and may guess ten times like everybody; it gets no answer of the API."""
    pin = f"scheme: http, ports: [{web.port}], address: '127.0.0.1:{web.port}'"
    routes = f"{{routes: [{{host: dashboard.example, {pin}}}, {{host: 127.0.0.1, {pin}}}]}}"
    found = tried(world, web, routes)
    code = web.code().code
    for name, (status, cookie, page, items) in found.items():
        assert not items and not cookie, name
        if not name.startswith("by address"):
            assert status in (0, 403, 421, 502) and not page, name
    assert found["by address: page"][2] is True  # the control: it was reached
    assert found["by address: api"][0] == 401
    assert found["by address: answer"][0] in (401, 403, 404)
    assert found["by address: pairing"][0] == 403
    web.cookie = ""
    assert web.post("/pair", {"code": code}).status == 303  # a fresh code is not spent by guesses before it
