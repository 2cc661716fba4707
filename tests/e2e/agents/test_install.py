"""D20: a package client runs in a bottle with the registry's routes only, by hashes, and the run is in the record."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bot_bottle.base.errors import UpstreamFault
from bot_bottle.bottles.registries import discover
from bot_bottle.harnesses import install, load, node, placement
from e2e.agents.conftest import pin_registries
from e2e.agents.person import PROGRAM

pytestmark = [pytest.mark.bottle, pytest.mark.agents, pytest.mark.slow, pytest.mark.timeout(600)]


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], capture_output=True, text=True, cwd="/")


def test_d20_an_installation_is_made_in_a_bottle_and_recorded(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "canary-of-the-environment")
    pin_registries(home)
    done = command("harness", "install", "node")
    assert done.returncode == 0, done.stderr
    record = placement.read_record(str(home / "harnesses" / "node" / node.VERSION))
    assert record and record.sealed
    assert subprocess.run([node.binary(str(home / "harnesses" / "node" / node.VERSION)), "-p", "1+1"], check=True)
    lines = command("log", "export", "--format", "jsonl").stdout.splitlines()
    records = [json.loads(line) for line in lines]
    asked = [one.get("record", one) for one in records if one.get("record", one).get("kind") == "intent"]
    hosts = {one.host for one in discover(("pypi",), os.environ).found}
    assert asked and {one["method"] for one in asked} <= {"GET", "HEAD"}
    assert {one["target"].removeprefix("https://").rsplit(":", 1)[0] for one in asked} <= hosts
    assert not any(one.get("secrets") for one in asked)
    assert "canary-of-the-environment" not in "".join(lines)


def test_d20_without_a_registry_nothing_is_installed(home: Path) -> None:
    """The client's bottle has no other way: where the registry's host is denied, the installation fails whole."""
    rows = "".join(f"    - {{host: {one.host}, action: deny}}\n" for one in discover(("pypi",), os.environ).found)
    (home / "bottles").mkdir()
    (home / "bottles" / "harness-install.md").write_text(f"---\nversion: 1\negress:\n  routes:\n{rows}---\nNone.\n")
    done = command("harness", "install", "node")
    assert done.returncode == 1, done.stderr
    assert "our gateway refused https://" in done.stderr
    assert not (home / "harnesses" / "node" / node.VERSION).exists()


def test_d20_a_file_with_another_hash_is_refused(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "locks").mkdir()
    text = (Path(load.DATA) / "locks" / "node.txt").read_text()
    (tmp_path / "locks" / "node.txt").write_text(_other_hashes(text))
    monkeypatch.setattr(install, "DATA", str(tmp_path))
    installer = install.Installer(str(home / "harnesses"), dict(os.environ), install.HostRunner())
    with pytest.raises(UpstreamFault):
        installer.install_node()
    assert not (home / "harnesses" / "node" / node.VERSION).exists()


def _other_hashes(text: str) -> str:
    """The same list with the first digit of every hash changed."""
    digits = "123456789abcdef0"
    parts = text.split("sha256:")
    return "sha256:".join([parts[0], *(digits[int(part[0], 16)] + part[1:] for part in parts[1:])])


@pytest.mark.parametrize("name", ["claude", "codex", "pi", "mini"])
def test_an_installation_is_what_was_installed(installed: Callable[[str], None], cache: Path, name: str) -> None:
    installed(name)
    env = {**os.environ, "BOT_BOTTLE_HOME": str(cache)}
    done = subprocess.run([*PROGRAM, "harness", "check", name], env=env, capture_output=True, text=True, cwd="/")
    assert done.returncode == 0 and f"{name}: good" in done.stdout, done.stderr
