"""`serve`: three processes, one command; each may die (acceptance 1, D08); late answers and starts from the web."""

import http.client
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot_bottle.bottles import lease
from e2e.approvals.conftest import Approvals, until
from e2e.lifecycle.world import HOST, PROGRAM
from web_stage import csrf

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(120)]
URL = f"https://{HOST}/in"


class Serve:
    """`serve --json`, and a browser that is signed in by its link."""

    def __init__(self, world: Approvals, *words: str) -> None:
        self.process = subprocess.Popen(
            [*PROGRAM, "serve", "--json", "--port", "0", *words], cwd="/", env=world.env, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        self.facts: dict[str, Any] = json.loads(self.process.stdout.readline())
        self.port = int(self.facts["url"].split(":")[2].partition("/")[0])
        self.cookie = ""

    def fetch(self, method: str, path: str, headers: dict[str, str], body: bytes | None = None) -> Any:
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            link.request(method, path, body, headers)
            reply = link.getresponse()
            return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
        finally:
            link.close()

    def sign_in(self, link: str = "") -> None:
        path = "/" + (link or self.facts["url"]).partition("//")[2].partition("/")[2]
        status, headers, _ = self.fetch("GET", path, {})
        assert status == 303
        self.cookie = headers["set-cookie"].partition(";")[0]

    def api(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        origin = f"http://127.0.0.1:{self.port}"
        token = csrf(self.cookie.partition("=")[2])
        headers = {
            "cookie": self.cookie,
            "origin": origin,
            "sec-fetch-site": "same-origin",
            "x-bot-bottle-csrf": token,
        }
        raw = None
        if body is not None:
            raw = json.dumps(body).encode()
            headers["content-type"] = "application/json"
        status, _, data = self.fetch(method, f"/api/v1{path}", headers, raw)
        return status, json.loads(data or b"null")

    def answers(self) -> bool:
        try:
            return self.fetch("GET", "/", {})[0] > 0
        except OSError:
            return False

    def close(self) -> tuple[str, str]:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.communicate(timeout=20)


@pytest.fixture
def serve(world: Approvals) -> Iterator[Serve]:
    one = Serve(world)
    yield one
    one.close()


def living(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def test_ctrl_c_ends_all_three_cleanly(world: Approvals) -> None:
    serve = Serve(world)
    assert {"url", "urls", "web", "keeper", "pid", "confinement"} <= serve.facts.keys()
    assert "landlock" in serve.facts["confinement"]
    out, err = serve.close()
    assert (serve.process.returncode, out, err) == (0, "", "")
    assert not living(serve.facts["web"])
    assert not living(serve.facts["keeper"])


def test_a_second_serve_says_so_and_a_new_link_signs_in(world: Approvals, serve: Serve) -> None:
    again = world.cli("serve")
    assert (again.returncode, "runs here already" in again.stderr) == (6, True)
    serve.sign_in()
    link = json.loads(world.cli("serve", "--link", "--json").stdout)["url"]
    serve.sign_in(link)
    assert serve.api("GET", "/asks")[0] == 200
    status, _, _ = serve.fetch("GET", "/" + link.partition("//")[2].partition("/")[2], {})
    assert status != 303, "a link works once"


def test_web_that_is_killed_comes_back_on_the_same_port(serve: Serve) -> None:
    serve.sign_in()
    os.kill(serve.facts["web"], signal.SIGKILL)
    until(lambda: not living(serve.facts["web"]))
    until(serve.answers)
    assert serve.api("GET", "/asks")[0] == 200  # the session survives


def test_the_keepers_death_costs_no_answer(world: Approvals, serve: Serve) -> None:
    """A late yes, by the web, after the warm keeper was killed."""
    world.asks_first("  ask_wait: 1s\n")
    world.curl("-d", "x=1", URL).communicate(timeout=30)
    serve.sign_in()
    os.kill(serve.facts["keeper"], signal.SIGKILL)
    (ask,) = json.loads(world.cli("supervise", "--missed", "--json").stdout)["asks"]
    said = {"request": ask["request"], "allow": True, "late": True}
    status, body = serve.api("POST", f"/asks/{ask['id']}/answer", said)
    assert status in (200, 201), body
    assert world.state(ask["id"]) == "allowed"
    out, err = world.curl("-d", "x=1", URL, label="two").communicate(timeout=30)
    assert out == "took x=1\n", err
    assert world.verify().returncode == 0


def test_the_starters_death_ends_the_others(world: Approvals) -> None:
    serve = Serve(world)
    os.kill(serve.facts["pid"], signal.SIGKILL)
    until(lambda: not living(serve.facts["web"]) and not living(serve.facts["keeper"]))
    serve.process.communicate(timeout=10)
    again = Serve(world)  # nothing of the first is in its way
    again.close()
    assert again.process.returncode == 0


def test_d08_what_a_dead_run_left_is_sealed_by_serve(world: Approvals) -> None:
    world.asks_first()
    child = world.curl("-d", "x=1", URL)
    (ask,) = world.asked()
    held = lease.read(world.place, "one")
    assert held is not None
    for process in held.processes:
        os.kill(process.pid, signal.SIGKILL)
    child.communicate(timeout=30)
    serve = Serve(world)
    serve.close()
    assert world.state(ask["id"]) == "ended"
    assert world.verify().returncode == 0


def test_a_bottle_is_started_from_the_web_and_its_ask_answered_there(world: Approvals, serve: Serve) -> None:
    world.asks_first()
    serve.sign_in()
    wish = {"agent": "command", "bottles": ["b"], "argv": ["curl", "-sS", "-d", "x=1", URL], "label": "web-one"}
    status, body = serve.api("POST", "/bottles", wish)
    assert status in (200, 201, 202), body
    (ask,) = world.asked()
    assert ask["label"] == "web-one"
    status, body = serve.api("POST", f"/asks/{ask['id']}/answer", {"request": ask["request"], "allow": True})
    assert status in (200, 201), body
    until(lambda: world.upstream.seen == [("/in", "x=1")])
    answer = next(one for one in world.records("web-one") if one.kind == "answer")
    assert answer.detail["via"] == "web"


def test_phone_facts_are_printed_with_phone(world: Approvals) -> None:
    serve = Serve(world, "--phone")
    try:
        assert serve.facts["phone"]["link"].startswith("https://")
        assert serve.facts["phone"]["code"].replace("-", "") in serve.facts["phone"]["link"]
        new = json.loads(world.cli("serve", "--pair", "--json").stdout)
        assert new["code"] != serve.facts["phone"]["code"]
        key = world.home / "keys" / "web-authority.pem"
        assert key.stat().st_mode & 0o777 == 0o600
    finally:
        serve.close()


def test_a_changed_settings_file_is_taken_while_serve_runs(world: Approvals, serve: Serve) -> None:
    out = world.home.parent / "out.jsonl"
    serve.sign_in()
    fresh = world.home / "settings.new"
    fresh.write_text(f'[sink.file]\nkind = "file"\npath = "{out}"\n')
    fresh.rename(world.home / "settings.toml")
    assert serve.api("POST", "/tokens", {"name": "first"})[0] == 201
    until(lambda: out.exists() and "first" in out.read_text(), 60)
    fresh.write_text("[sink.file]\nkind = 'nothing-like-it'\n")
    fresh.rename(world.home / "settings.toml")
    status, body = serve.api("GET", "/settings")
    assert (status, body["slug"]) == (422, "settings.invalid")
    assert serve.api("POST", "/tokens", {"name": "second"})[0] == 201
    until(lambda: "second" in out.read_text(), 60)  # what the file said before goes on
