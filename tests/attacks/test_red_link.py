"""The one-time link of `serve` is a sign-in: no other user of the machine may read it from a command line."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bot_bottle.cli import serve


def test_red_link_of_serve_is_in_no_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    program = tmp_path / "xdg-open"
    program.write_text(f'#!/bin/sh\nprintf %s "$*" > "{told}.new" && mv "{told}.new" "{told}"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("DISPLAY", ":9")
    folder = tmp_path / "run"
    children: list[subprocess.Popen[Any]] = []
    real = subprocess.Popen

    def begun(*given: Any, **named: Any) -> subprocess.Popen[Any]:
        children.append(real(*given, **named))
        return children[-1]

    monkeypatch.setattr(subprocess, "Popen", begun)
    serve.browse("http://127.0.0.1:1/?key=SECRETKEY", str(folder))
    assert [child.wait(10) for child in children] == [0]
    arguments = told.read_text()
    assert "SECRETKEY" not in arguments
    page = Path(re.sub("^file://", "", arguments))
    assert "/?key=SECRETKEY" in page.read_text()
    assert page.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0
