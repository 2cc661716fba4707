"""What the demo tells a person to type."""

from pathlib import Path

import pytest

from bot_bottle.cli import demo_dashboard


def test_the_command_runs_also_where_nothing_is_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bot-bottle"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", "/nowhere")
    assert demo_dashboard.command() == str(program)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert demo_dashboard.command() == "bot-bottle"
