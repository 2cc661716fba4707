"""D08, D22: who ends the agent when one of ours dies. Each survivor does it alone; with all of them held still by
SIGSTOP the agent goes on, which shows that the deaths are their doing.
"""

import os
import signal
import time

import pytest

from bot_bottle.api import Host, Request, prepare
from bot_bottle.audit.recover import is_orphan
from bot_bottle.bottles import spawn
from bot_bottle.bottles.streams import Pipes
from e2e.lifecycle.test_verbs import detach, until
from e2e.lifecycle.world import HOST, World, processes

pytestmark = pytest.mark.bottle
WORDS = {"launcher": "bottles.session", "keeper": "keeper.main", "gateway": "egress.main"}
MARK = "31415"


def pid_of(world: World, who: str) -> int:
    return next(pid for pid, line in processes(str(world.home.parent)) if WORDS[who] in line)


def alive(world: World) -> bool:
    """Whether the agent still runs."""
    return any(MARK in line for _, line in processes(str(world.home.parent)))


def sleeper(world: World) -> None:
    """A detached bottle whose agent really runs: the start returns when it may begin."""
    detach(world, f"sleep {MARK}")
    until(lambda: alive(world))


@pytest.mark.parametrize(
    ("victim", "saviour"), [("keeper", "launcher"), ("keeper", "gateway"), ("gateway", "launcher")]
)
def test_d08_each_survivor_alone_ends_the_agent_of_a_dead_process(world: World, victim: str, saviour: str) -> None:
    sleeper(world)
    stopped = {who: pid_of(world, who) for who in WORDS if who != victim}
    for pid in stopped.values():
        os.kill(pid, signal.SIGSTOP)
    os.kill(pid_of(world, victim), signal.SIGKILL)
    time.sleep(0.5)
    assert alive(world), "the control: nobody is awake to end it"
    os.kill(stopped[saviour], signal.SIGCONT)
    until(lambda: not alive(world))
    for pid in stopped.values():
        os.kill(pid, signal.SIGCONT)
    assert world.quiet() == []
    assert world.cli("cleanup").returncode == 0
    assert "sealed" in world.verify().stdout


def test_d08_a_dead_gateway_leaves_no_door_open_while_nobody_else_is_awake(world: World) -> None:
    sleeper(world)
    first = world.cli("exec", "one", "--", "curl", "-sS", f"https://{HOST}/before")
    assert first.stdout == "hello\n"  # the control: the door was open
    sleepers = [pid_of(world, "launcher"), pid_of(world, "keeper")]
    for pid in sleepers:
        os.kill(pid, signal.SIGSTOP)
    os.kill(pid_of(world, "gateway"), signal.SIGKILL)
    done = world.cli("exec", "one", "--", "curl", "-sS", "-m", "5", f"https://{HOST}/after")
    assert done.returncode != 0
    assert [path for path, _ in world.upstream.seen] == ["/before"]
    for pid in sleepers:
        os.kill(pid, signal.SIGCONT)
    assert world.quiet() == []


def test_d08_the_launchers_death_alone_ends_the_agent_and_the_keeper_seals(world: World) -> None:
    """Keeper and gateway held still: the kernel ends the bottle (PDEATHSIG). Awake again, the keeper seals."""
    sleeper(world)
    stopped = [pid_of(world, "keeper"), pid_of(world, "gateway")]
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    assert alive(world)
    os.kill(pid_of(world, "launcher"), signal.SIGKILL)
    until(lambda: not alive(world))
    (run,) = world.runs()
    assert is_orphan(str(world.home / "log" / "runs" / run))
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    assert world.quiet() == []
    assert not is_orphan(str(world.home / "log" / "runs" / run))


# ---- acceptance 8: the clock

JUMPY = """
import runpy, sys, time
began, wall, wall_ns = time.monotonic(), time.time, time.time_ns
def leap():
    past = time.monotonic() - began
    return 0 if past < 1.5 else -400 * 86400 if past < 3 else 900 * 86400
time.time = lambda: wall() + leap()
time.time_ns = lambda: wall_ns() + leap() * 10**9
runpy.run_module({module!r}, run_name="__main__", alter_sys=True)
"""


def test_a_clock_that_jumps_in_keeper_and_gateway_breaks_neither_the_log_nor_a_request(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wall clock of both goes 400 days back and then 900 on while the agent works: time is for people; order,
    durations, limits and checkpoints go by the monotonic clock and by number."""
    become = spawn._become  # pyright: ignore[reportPrivateUsage]

    def jumpy(argv: list[str], *rest: object) -> None:
        become([*argv[:2], "-c", JUMPY.format(module=argv[-1])], *rest)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(spawn, "_become", jumpy)
    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    out = world.project / "out"
    ask = f"for n in 1 2 3 4 5 6 7 8 9; do curl -sS https://{HOST}/$n >> out; sleep 0.4; done"
    request = Request(
        bottles=("b",), workspace=str(world.project), argv=("sh", "-c", ask), at_end="apply", label="one"
    )
    outcome = prepare(request, Host()).start(Pipes())
    assert outcome.exit_code == 0
    assert out.read_text() == "hello\n" * 9
    assert outcome.sealed
    assert outcome.seconds < 60
    records = world.records()
    days = [int(str(record["time"])) / 86400e9 for record in records]
    assert max(days) - min(days) > 1200, "the control: the clock did jump, in the gateway"
    assert days[-1] - days[0] > 800, "and in the keeper, which wrote the first and the last record"
    monotonic = [int(str(record["mono"])) for record in records]
    assert monotonic == sorted(monotonic)
    assert all(float(str(record.get("ms", 0))) < 60_000 for record in records)
    monkeypatch.undo()
    done = world.verify()
    assert done.returncode == 0, done.stdout
    assert {line.split(": ")[1] for line in done.stdout.splitlines() if line[0] != " "} == {"sealed"}
    assert world.run("true").returncode == 0
