"""Acceptance 8: kill -9 of command line, keeper, gateway and sandbox, at every numbered step and at random times.

Nothing is sent that is not recorded, no agent keeps an open door, nothing is left behind, the next start works and
every log verifies as sealed. BOT_BOTTLE_KILLS=1000 for the long run; the kills of one test share a home, as a
person's do.
"""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot_bottle.bottles.run import STEPS
from e2e.lifecycle.world import HOST, World, processes

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(3600)]
KILLER = str(Path(__file__).with_name("killer.py"))
VICTIMS = ("launcher", "keeper", "gateway", "bottle")
CHATTER = f"while :; do curl -s -m 5 https://{HOST}/chatter >/dev/null; done"
KILLS = int(os.environ.get("BOT_BOTTLE_KILLS", "12"))


def killed(world: World, step: str, victim: str) -> subprocess.CompletedProcess[str]:
    """One run in which `victim` dies at `step`."""
    return subprocess.run(
        [sys.executable, "-I", KILLER, step, victim, "sh", "-c", CHATTER], cwd=world.project, env=world.env,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def settled(world: World) -> None:
    """What must hold after any death: see the module."""
    assert world.quiet() == []
    done = world.run("curl", "-sS", f"https://{HOST}/after")
    assert (done.stdout, done.returncode) == ("hello\n", 0), done.stderr
    done = world.cli("cleanup")
    assert done.returncode == 0, done.stderr
    done = world.verify()
    assert done.returncode == 0, done.stdout
    states = [line.split(": ")[1] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert set(states) == {"sealed"}, done.stdout
    assert world.intents() >= len(world.upstream.seen)
    assert world.leases() == {}
    assert list((world.home / "state").glob("*")) == []
    assert [path for path in (world.home / "run").rglob("*") if not path.is_dir()] == []


@pytest.mark.parametrize("step", STEPS)
def test_d08_a_death_at_each_numbered_step_leaves_no_agent_and_no_gap(world: World, step: str) -> None:
    for victim in VICTIMS:
        done = killed(world, step, victim)
        if victim == "launcher":
            assert done.returncode == -signal.SIGKILL
        assert "Traceback" not in done.stderr, (victim, done.stderr)
        assert done.stderr.count("\n") <= 3, (victim, done.stderr)
        assert world.quiet() == [], (step, victim)
    settled(world)


def test_d08_random_deaths_leave_no_agent_and_no_gap(world: World) -> None:
    """At random times, before and while the agent talks; which process, is random too."""
    seed = int(os.environ.get("BOT_BOTTLE_SEED", time.time_ns() % 1_000_000))
    print(f"BOT_BOTTLE_SEED={seed}")
    chance = random.Random(seed)
    for _ in range(KILLS):
        child = world.begin("run", "-q", "--bottle", "b", "--label", "crash", "--", "sh", "-c", CHATTER)
        time.sleep(chance.uniform(0.0, 1.2))
        victim = chance.choice(VICTIMS)
        for pid in pids(world, child.pid, victim):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if victim != "launcher":
            time.sleep(0.1)
            child.kill()
        child.communicate(timeout=60)
        assert world.quiet() == [], (seed, victim)
    settled(world)


def pids(world: World, launcher: int, victim: str) -> list[int]:
    """Processes of that kind that live now."""
    if victim == "launcher":
        return [launcher]
    words = {"keeper": "keeper.main", "gateway": "egress.main", "bottle": "bwrap"}[victim]
    return [pid for pid, line in processes(str(world.home.parent)) if words in line]


def test_a_death_of_one_bottle_leaves_another_working(world: World) -> None:
    world.cli("start", "command", "-d", "--bottle", "b", "--label", "other", "--", "sleep", "120")
    for victim in VICTIMS:
        killed(world, "relay", victim)
    done = world.cli("exec", "other", "--", "curl", "-sS", f"https://{HOST}/other")
    assert done.stdout == "hello\n", done.stderr
    assert world.cli("stop", "other").returncode == 0
    settled(world)


def test_a_killed_launcher_does_not_cost_the_agents_work(world: World) -> None:
    """The next start and `cleanup` keep it under its label; it is looked at and applied like any other."""
    for step in ("relay", "changes"):
        script = "echo work > made.txt; echo up; sleep 60"
        child = world.begin("run", "--keep", "--bottle", "b", "--label", "one", "--", "sh", "-c", script)
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        if step == "changes":
            child.terminate()
            time.sleep(0.05)
        child.kill()
        child.communicate(timeout=30)
        assert world.quiet() == []
        done = world.run("true")
        assert done.returncode == 0, done.stderr
        assert world.cli("run", "--label", "one", "--", "true").returncode == 6
        shown = world.cli("changes", "show", "one")
        assert "made.txt" in shown.stdout, shown.stderr
        done = world.cli("apply", "one")
        assert done.returncode == 0, done.stderr
        assert (world.project / "made.txt").read_text() == "work\n"
        (world.project / "made.txt").unlink()
    settled(world)
