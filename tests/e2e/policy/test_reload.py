"""A running bottle and its files: what `policy reload` opens and closes, seen from inside by a real client."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-I", "-c", "from bot_bottle.cli.main import main; main()"]
LOOP = """
until curl -s -m 5 https://new.example/ | grep -q upstream.unresolved; do sleep 0.1; done; echo opened
until curl -s -m 5 https://new.example/ | grep -q policy.host-not-allowed; do sleep 0.1; done; echo closed
"""


def bottle_file(home: Path, routes: str) -> None:
    (home / "bottles").mkdir(exist_ok=True)
    (home / "bottles/live.md").write_text(f"---\negress: {{routes: [{routes}]}}\n---\n")


@pytest.mark.bottle
def test_b62_a_reload_is_what_the_running_bottle_obeys(home: Path, tmp_path: Path) -> None:
    environ = {"BOT_BOTTLE_HOME": str(home), "PATH": os.environ["PATH"], "HOME": str(tmp_path / "person")}
    for folder in ("person", "project"):
        (tmp_path / folder).mkdir()
    bottle_file(home, "{name: old, host: old.example}")
    argv = [
        *PROGRAM,
        "run",
        "-w",
        str(tmp_path / "project"),
        "-b",
        "live",
        "--label",
        "live",
        "-q",
        "--",
        "sh",
        "-c",
        LOOP,
    ]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, cwd="/", text=True)
    assert running.stdout is not None
    try:
        reload(environ, until=time.monotonic() + 30)  # the label exists once this succeeds
        bottle_file(home, "{name: new, host: new.example}")
        reload(environ)
        assert running.stdout.readline() == "opened\n"
        bottle_file(home, "{name: old, host: old.example}")
        reload(environ)
        assert running.stdout.readline() == "closed\n"
        assert running.wait(30) == 0
    finally:
        running.kill()
        running.communicate()
    verified = subprocess.run(
        [*PROGRAM, "log", "verify"], env=environ, cwd="/", capture_output=True, text=True, check=False
    )
    assert verified.returncode == 0, verified.stderr


def reload(environ: dict[str, str], until: float = 0) -> None:
    """`policy reload live`; with `until`, again and again until the bottle is there."""
    while True:
        done = subprocess.run(
            [*PROGRAM, "policy", "reload", "live"], env=environ, cwd="/", capture_output=True, text=True, check=False
        )
        if done.returncode == 0 or time.monotonic() > until:
            assert done.returncode == 0, done.stderr
            return
