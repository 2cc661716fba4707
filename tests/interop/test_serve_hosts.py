"""`bot-bottle serve` forwards, tells and purges while it runs: the real program, one ask, one sink, one notifier."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Ask, AskKind, Wanted
from bot_bottle.supervise.store import SqliteStore
from forward_world import PROGRAM, Growing


def until(found, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)


@pytest.mark.slow
def test_serve_forwards_tells_and_retains(tmp_path: Path) -> None:
    growing = Growing(tmp_path / "home")
    wanted = growing.finish()
    home = growing.home
    program = tmp_path / "notify"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/told"\n')
    program.chmod(0o700)
    Path(home.settings).write_text(
        f'[serve]\nport = 0\n[sink.disk]\nkind = "file"\npath = "{tmp_path}/out"\n[retention]\ndays = 30\n'
        f'[notify.here]\nkind = "desktop"\ncommand = "{program}"\n'
    )
    env = {"PATH": os.environ["PATH"], "HOME": home.root, "BOT_BOTTLE_HOME": home.root}
    with open(tmp_path / "errors", "wb") as errors:
        child = subprocess.Popen(
            [*PROGRAM, "serve", "--json"], env=env, cwd="/", stdout=subprocess.PIPE, stderr=errors
        )
    try:
        assert child.stdout is not None
        url = json.loads(child.stdout.readline())["url"].partition("/?key")[0]
        out = tmp_path / "out"
        until(lambda: out.exists() and wanted <= {_uid(line) for line in out.read_bytes().splitlines()})
        os.makedirs(os.path.dirname(home.approvals), mode=0o700, exist_ok=True)
        store, now = SqliteStore(home.approvals), time.time_ns()
        want = Wanted(Target("https", "api.example.com", 443), "POST", "/private")
        names = ("run", "bottle", "work", "agent", "claude", "/p")
        store.add(
            Ask("a1", *names, AskKind.REQUEST, 1, want, "r", "why", "", "q", "s", "p", 1, now, now + 600_000_000_000)
        )
        told = tmp_path / "told"
        until(lambda: told.exists() and told.read_text().endswith("\n"))
        assert "work asks for api.example.com." in told.read_text()
        assert f" {url}/inbox" in told.read_text()
        assert "private" not in told.read_text()
        store.close()
        until(lambda: b'"what":"retention"' in out.read_bytes())
    finally:
        child.terminate()
        child.wait(20)
        if child.stdout is not None:
            child.stdout.close()
    assert b"Traceback" not in (tmp_path / "errors").read_bytes()


def _uid(line: bytes) -> str:
    document = json.loads(line)
    return f"{document['log']}/{document.get('number', -1)}"
