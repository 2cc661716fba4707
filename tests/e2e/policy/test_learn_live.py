"""A timed learn mode of a running bottle: opened by a person, ended by hand and by itself, forbidden, learned from."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAM = [sys.executable, "-I", "-c", "from bot_bottle.cli.main import main; main()"]
ASK = "curl -s -m 5 https://new.example/v1/17"
LOOP = f"""
for turn in 1 2; do
  until {ASK} | grep -q upstream.unresolved; do sleep 0.1; done; echo opened
  until {ASK} | grep -q policy.host-not-allowed; do sleep 0.1; done; echo closed
done
curl -s -m 5 https://shut.example/ | grep -q policy.denied-by-rule && echo shut
sleep 60
"""


class Running:
    """One bottle with the label ``live``, and a person's commands."""

    def __init__(self, home: Path, folder: Path, egress: str) -> None:
        (home / "bottles").mkdir(exist_ok=True)
        (home / "bottles/live.md").write_text(f"---\negress: {egress}\n---\n")
        self.environ = {"BOT_BOTTLE_HOME": str(home), "PATH": os.environ["PATH"], "HOME": str(folder / "person")}
        for name in ("person", "project"):
            (folder / name).mkdir()
        argv = ["run", "-w", str(folder / "project"), "-b", "live", "--label", "live", "-q", "--", "sh", "-c", LOOP]
        self.process = subprocess.Popen(
            [*PROGRAM, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.environ, cwd="/", text=True
        )

    def heard(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def says(self, *argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *argv], env=self.environ, cwd="/", capture_output=True, text=True, check=False
        )

    def learns(self, how_long: str) -> subprocess.CompletedProcess[str]:
        """Again and again until the bottle is there."""
        until = time.monotonic() + 30
        while True:
            done = self.says("policy", "learn", "--live", "live", "--for", how_long)
            if done.returncode not in (2, 4) or not any(
                one in done.stderr for one in ("No bottle labelled", "does not answer")
            ):
                return done
            assert time.monotonic() < until, done.stderr

    def end(self) -> None:
        self.says("stop", "live")
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def started(home: Path, tmp_path: Path) -> Iterator[list[Running]]:
    some: list[Running] = []
    yield some
    for one in some:
        one.end()


@pytest.mark.bottle
def test_a_learn_mode_opens_ends_and_is_learned_from(home: Path, tmp_path: Path, started: list[Running]) -> None:
    live = Running(home, tmp_path, "{routes: [{name: no, host: shut.example, action: deny}]}")
    started.append(live)
    done = live.learns("1h")
    assert done.returncode == 0 and "LEARNING for 1h" in done.stderr, done.stderr
    assert live.heard() == "opened"
    assert live.learns("0s").returncode == 0
    assert live.heard() == "closed"
    assert live.learns("2s").returncode == 0
    assert [live.heard(), live.heard()] == ["opened", "closed"]  # nobody ended it
    assert live.heard() == "shut"  # what a route denies stayed denied all the while
    assert live.says("stop", "live").returncode == 0
    suggested = live.says("policy", "learn", "--json")
    routes = json.loads(suggested.stdout)["routes"]
    assert [route["host"] for route in routes] == ["new.example"]
    assert routes[0]["matches"][0]["methods"] == ["GET"]
    (run,) = os.listdir(home / "log/runs")
    log = live.says("log", "tail", run, "--json", "-n", "100000").stdout
    assert log.count('"kind":"learn"') == 4 and "default/learn" in log
    assert live.says("log", "verify").returncode == 0


@pytest.mark.bottle
def test_a_policy_can_forbid_it(home: Path, tmp_path: Path, started: list[Running]) -> None:
    live = Running(home, tmp_path, "{learn: forbid}")
    started.append(live)
    done = live.learns("1m")
    assert done.returncode == 3 and "forbid" in done.stderr, done.stderr
    assert live.learns("100d").returncode == 2


@pytest.mark.bottle
def test_a_policy_that_fails_its_assertions_is_not_loaded(home: Path, tmp_path: Path, started: list[Running]) -> None:
    live = Running(home, tmp_path, "{learn: forbid}")
    started.append(live)
    live.learns("1m")
    (home / "bottles/live.test.yaml").write_text("deny: [https://evil.example/]\n")
    assert live.says("policy", "reload", "live").returncode == 0
    (home / "bottles/live.md").write_text("---\negress: {routes: [{host: evil.example}]}\n---\n")
    refused = live.says("policy", "reload", "live")
    assert refused.returncode == 2 and "wanted deny, got allow" in refused.stderr
    assert live.says("policy", "reload", "live", "--untested").returncode == 0
