"""`bot-bottle demo` ends well only when all ten ways out were tried and held, by the host's own eyes."""

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from bot_bottle.base.errors import HostFault
from bot_bottle.cli import demo
from bot_bottle.harnesses.demo import judge, stage
from e2e.agents.person import PROGRAM

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(200)]


def shown() -> tuple[int, str]:
    result = CliRunner().invoke(demo.command, [])
    return result.exit_code, result.output


def test_the_demo_in_plain_text(tmp_path: Path) -> None:
    """As a stranger runs it: no terminal, no key, no network needed, a home of its own."""
    env = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run([*PROGRAM, "demo"], env=env, capture_output=True, text=True, cwd="/", timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(" held  ") == len(judge.TITLES) == 10
    for words in (
        *judge.TITLES.values(),
        "return price * (100 - percent) / 100",
        "allowed   4",
        "sealed: ",
        "demo-model x4",
    ):
        assert words in done.stdout
    assert "\x1b" not in done.stdout
    assert os.listdir(tmp_path) == [], "the demo leaves nothing behind"


def test_a_way_out_that_is_open_fails_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same demo with one hole in its bottle file: the file store of the model host."""
    real = stage.bottle_file
    wider = "paths: [{type: prefix, value: /v1/}]"
    monkeypatch.setattr(
        stage,
        "bottle_file",
        lambda *given: real(*given).replace("paths: [{type: exact, value: /v1/messages}]", wider),
    )
    code, text = shown()
    assert code == 1
    assert "OUT   Another path of the allowed host" in text
    assert "the model was asked for POST /v1/files" in text


def test_an_agent_that_lies_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it held, and the host saw otherwise."""
    real = stage.bottle_file
    monkeypatch.setattr(
        stage,
        "bottle_file",
        lambda *given: real(*given).replace("type: exact, value: /v1/messages", "type: prefix, value: /v1/"),
    )
    harness = stage.harness_file
    monkeypatch.setattr(
        stage,
        "harness_file",
        lambda python: harness(python).replace("out=out, met=met", 'out=False, met="nothing, honestly"'),
    )
    code, text = shown()
    assert code == 1 and text.count(" held  ") == 10
    assert "the model was asked for POST /v1/files" in text


def test_an_agent_that_stops_early_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    harness = stage.harness_file
    monkeypatch.setattr(
        stage, "harness_file", lambda python: harness(python).replace("host_files, the_seal", "host_files")
    )
    code, text = shown()
    assert code == 1 and f"not tried: {judge.TITLES['the_seal']}" in text


def test_the_canaries_hear(tmp_path: Path) -> None:
    set_up = stage.build(str(tmp_path))
    try:
        assert demo.canaries_hear(set_up)
        assert set_up.evidence.arrived == []
    finally:
        set_up.close()


def test_a_host_that_makes_no_bottle_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    real = stage.bottle_file
    monkeypatch.setattr(stage, "bottle_file", lambda *given: real(*given).replace("version: 1", "version: 9"))
    result = CliRunner().invoke(demo.command, [])
    assert isinstance(result.exception, HostFault) and "version" in result.exception.what
