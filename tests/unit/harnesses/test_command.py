"""`bot-bottle harness` on the command line."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bot_bottle.base.errors import ManifestFault, UsageFault
from bot_bottle.cli import harness

GOOD = 'format = 1\nname = "mine"\ntitle = "Mine"\n[headless]\nargv = ["{entry}"]\n[interactive]\n'


def call(*arguments: str) -> Any:
    return CliRunner().invoke(harness.command, list(arguments))


def test_list_names_every_harness_and_whether_it_is_there(home: Path) -> None:
    document = json.loads(call("list", "--json").stdout)
    rows = {row["name"]: row for row in document["harnesses"]}
    assert rows["claude"]["state"] == "not installed" and rows["command"]["state"] == "ready"
    assert rows["claude"]["secrets"] == ["anthropic", "anthropic-oauth"]
    assert "Claude Code" in call("list").stdout


def test_list_shows_a_broken_file_and_all_others(home: Path) -> None:
    (home / "contrib").mkdir()
    (home / "contrib" / "bad.toml").write_text("format = 1\nnme = 1\n")
    result = call("list")
    assert "claude" in result.stdout and "did you mean name?" in result.stderr


def test_show_tells_routes_guards_and_what_may_be_denied() -> None:
    text = call("show", "claude").stdout
    for words in (
        "POST api.anthropic.com /v1/messages",
        "safe to deny",
        "--setting-sources user",
        "messages as x-api-key",
    ):
        assert words in text
    assert "masked: .codex" in call("show", "codex").stdout
    assert json.loads(call("show", "pi", "--json").stdout)["install"]["node"] == "22.19"


def test_an_unknown_name_is_one_sentence_with_the_nearest(home: Path) -> None:
    result = call("show", "claudee")
    assert isinstance(result.exception, UsageFault) and "claude" in result.exception.hint


def test_check_tells_all_faults_of_a_file_before_it_is_installed(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert call("check", str(path)).exit_code == 0
    path.write_text(GOOD + "[env]\nA = 1\n[sucess]\n")
    result = call("check", str(path))
    assert result.exit_code == 3 and "did you mean success?" in result.stderr and "env" in result.stderr


def test_check_without_names_covers_shipped_and_own(home: Path) -> None:
    result = call("check", "--json")
    assert result.exit_code == 0
    assert {row["name"] for row in json.loads(result.stdout)["checked"]} >= {
        "claude",
        "codex",
        "pi",
        "mini",
        "command",
    }
    (home / "contrib").mkdir()
    (home / "contrib" / "bad.toml").write_text("x")
    assert call("check").exit_code == 3


def test_installing_a_broken_harness_is_its_list_of_faults(home: Path) -> None:
    (home / "contrib").mkdir()
    (home / "contrib" / "bad.toml").write_text("x")
    assert isinstance(call("install", "bad").exception, ManifestFault)


@pytest.mark.parametrize("name", ["claude", "pi"])
def test_the_hosts_copy_must_exist(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    result = call("install", name, "--host")
    assert "no " + name in str(result.exception)


def test_a_shipped_file_can_be_copied_and_changed(home: Path) -> None:
    text = call("show", "codex", "--file").stdout
    (home / "contrib").mkdir()
    (home / "contrib" / "mycodex.toml").write_text(text.replace('name = "codex"', 'name = "mycodex"'))
    assert "mycodex" in call("list").stdout and call("check", "mycodex").exit_code == 0
