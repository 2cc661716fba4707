"""Acceptance 2: the real agents write a file in a sealed bottle with a placeholder; the model demands the real key."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bot_bottle.harnesses import load, placement
from e2e.agents.evidence import SCRIPT, holders
from e2e.agents.person import Person

pytestmark = [pytest.mark.bottle, pytest.mark.agents, pytest.mark.slow, pytest.mark.timeout(600)]
AGENTS = [
    ("claude", "anthropic"),
    ("claude", "anthropic-oauth"),
    ("codex", "openai"),
    ("pi", "anthropic"),
    ("mini", "openai"),
]


@pytest.mark.parametrize(("name", "secret"), AGENTS)
def test_an_agent_writes_the_file_and_never_sees_the_key(
    person: Callable[..., Person], name: str, secret: str
) -> None:
    somebody = person(name, SCRIPT, secret)
    result = somebody.folder / "result.json"
    done = somebody.start("--result", str(result), "--apply", prompt="Create hello.txt")
    assert done.returncode == 0, done.stderr
    assert (somebody.project / "hello.txt").read_text() == "hello from fake model\n"
    asked = somebody.model.asked()
    assert any(str(one["path"]).startswith("/v1/") for one in asked)
    assert not [one for one in asked if one.get("result") == 401], "the gateway gave another key than the real one"
    outcome = json.loads(result.read_text())
    assert outcome["success"] == "succeeded"
    dump = (somebody.project / "dump.txt").read_text(errors="replace")
    assert "HTTPS_PROXY" in dump, "the agent's own view was not taken, so it proves nothing"
    assert holders(somebody.key, somebody.folder) == []
    assert somebody.key not in done.stdout + done.stderr


def test_the_search_finds_a_key_that_lies_about(person: Callable[..., Person]) -> None:
    """Positive control of the search above."""
    somebody = person("pi", SCRIPT)
    (somebody.project / "leak.txt").write_bytes(b"x" + somebody.key.encode().hex().encode())
    assert holders(somebody.key, somebody.folder) == [str(somebody.project / "leak.txt")]


def test_codex_over_a_websocket_route(person: Callable[..., Person]) -> None:
    """Its built-in provider prewarms a WebSocket; the key is swapped at the upgrade, and goes to no other host."""
    somebody = person("codex", SCRIPT)
    provider = next(one for one in load.shipped()["codex"].headless.argv if one.startswith("model_providers."))
    somebody.own_harness(('"-c", "model_provider=bottle", "-c",', ""), (f"'{provider}',", ""))
    auth = ", protocols: [http1, websocket], auth: {scheme: bearer, secret: openai}"
    somebody.bottle(somebody.route("api.openai.com", "/v1/responses", auth, "GET, POST"))
    done = somebody.start("--apply", prompt="Create hello.txt")
    assert done.returncode == 0, done.stderr
    assert (somebody.project / "hello.txt").exists()
    kinds = {str(one.get("kind")) for one in somebody.model.asked()}
    assert "ws-upgrade" in kinds and "ws:response.create" in kinds
    assert {str(one["host"]) for one in somebody.model.asked()} == {"api.openai.com"}
    assert holders(somebody.key, somebody.folder) == []


def test_the_hosts_own_copy_works_as_well(person: Callable[..., Person], cache: Path) -> None:
    somebody = person("claude")
    (somebody.home / "harnesses").unlink()
    tools = somebody.folder / ".local" / "bin"
    tools.mkdir(parents=True)
    entry = placement.entry_file(load.shipped()["claude"])
    (tools / "claude").symlink_to(cache / "harnesses" / "claude" / load.shipped()["claude"].install.version / entry)
    somebody.env["PATH"] = f"{tools}:{somebody.env['PATH']}"
    chosen = subprocess.run(
        somebody.command("harness", "install", "claude", "--host"), env=somebody.env, capture_output=True, text=True
    )
    assert chosen.returncode == 0, chosen.stderr
    done = somebody.start("--apply", prompt="Create hello.txt")
    assert done.returncode == 0, done.stderr
    assert (somebody.project / "hello.txt").exists()
