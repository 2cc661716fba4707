"""Death of the launcher, the gateway or the sandbox at any time ends the bottle; stop and freeze are certain (D08).

BOT_BOTTLE_KILLS sets the number of random kills (CI: 150; 1000 before a release).
"""

import contextlib
import ctypes
import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from attacks.seal_run import Run, inside, nothing, python, running, spec, without
from bot_bottle.base.errors import SealFault
from bot_bottle.bottles.seal import layout, processes, start
from bot_bottle.bottles.seal.bottle import Bottle, kill, readable
from bot_bottle.bottles.seal.freeze import Freezer

pytestmark = pytest.mark.bottle
KILLS = int(os.environ.get("BOT_BOTTLE_KILLS", "150"))
PR_SET_CHILD_SUBREAPER = 36
SPACES = layout.namespaces
NO_OUTER: dict[str, Any] = {"NEWPID": 0, "own_process_view": nothing}  # a first process of no namespace of its own


@pytest.fixture
def subreaper() -> Iterator[None]:
    """Every orphan of a dead launcher becomes our child."""
    libc = ctypes.CDLL(None)
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    yield
    libc.prctl(PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)


def children() -> list[int]:
    return [process.pid for process in processes.children_of_all().get(os.getpid(), []) if process.state != "Z"]


def survivors(seconds: float, before: set[int]) -> int:
    """How many processes of a dead launcher live after this time; they are then ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        if not set(children()) - before:
            return 0
        time.sleep(0.002)
    left = set(children()) - before
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)
    if set(children()) - before:
        survivors(2, before)
    return len(left)


def launch() -> None:
    """A whole start, then a launcher that waits."""
    Run(("/bin/sleep", "60"))
    time.sleep(60)


def kill_at_random(count: int, span: float, launcher: Callable[[], None]) -> int:
    """How many launchers left something alive."""
    before, left = set(children()), 0
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            try:
                launcher()
            finally:
                os._exit(0)
        time.sleep(random.uniform(0, span))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        left += bool(survivors(1.0, before))
    return left


def usual_start() -> float:
    """Seconds of a whole start on this machine, as busy as it is."""
    began = time.monotonic()
    with running(("/bin/true",)) as run:
        run.bottle.wait(10)
    return time.monotonic() - began


@pytest.mark.usefixtures("subreaper")
@pytest.mark.timeout(600)
def test_d08_no_agent_survives_a_launcher_killed_at_a_random_time() -> None:
    assert kill_at_random(KILLS, max(0.06, 1.5 * usual_start()), launch) == 0


@pytest.mark.usefixtures("subreaper")
@pytest.mark.parametrize("bound", [True, False])
def test_d08_only_our_bindings_end_a_started_agent(bound: bool) -> None:
    """The control: neither PDEATHSIG of our own nor the outer namespace nor bubblewrap's option."""
    bare: dict[str, Any] = {**NO_OUTER, "arm": nothing, "arm_first": nothing}
    bare["init_script"] = lambda spec: b"exec sleep 60\n"
    bare["namespaces"] = lambda: [option for option in SPACES() if option != "--die-with-parent"]
    before = set(children())
    reader, writer = os.pipe()
    with contextlib.nullcontext() if bound else without(**bare):
        pid = os.fork()
        if pid == 0:
            try:
                Bottle(start.start(spec(("/bin/sleep", "60"))))
                os.write(writer, b"started")
                time.sleep(60)
            finally:
                os._exit(0)
    assert readable([reader], 20)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert survivors(1.0, before) == (0 if bound else 1)
    start.close_all((reader, writer))


@pytest.mark.usefixtures("subreaper")
@pytest.mark.parametrize("outer", [True, False])
def test_d08_bubblewrap_killed_at_its_clone_leaves_nothing(outer: bool) -> None:
    before, left = set(children()), 0
    for _ in range(10 if outer else 60):
        with contextlib.nullcontext() if outer else without(**NO_OUTER):
            bottle = Bottle(start.start(spec(("/bin/sleep", "60"))))
        until_it_forks(bottle.pid)
        bottle.stop()
        left += bool(survivors(0.5, before))
        release(bottle)
        if left:
            break
    assert (left == 0) == outer


def until_it_forks(pid: int) -> None:
    """Returns in the microseconds after bubblewrap's clone: its child waits for a first word that then never comes."""
    deadline = time.monotonic() + 2
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
        while not file.read() and time.monotonic() < deadline:
            file.seek(0)


def release(bottle: Bottle) -> None:
    bottle.close()
    start.close_all((*bottle.stdio, bottle.pidfd, *(fd for _, fd in bottle.doors)))


def test_d08_the_gateways_death_is_the_bottles() -> None:
    with running(("/bin/sleep", "60")) as run:
        os.kill(run.gate[0], signal.SIGKILL)
        began = time.monotonic()
        if readable([run.gate[1], run.bottle.pidfd], 5) == [run.gate[1]]:
            kill(run.bottle.pidfd)  # what the launcher does
        assert run.bottle.wait(5) == 128 + signal.SIGKILL
        assert time.monotonic() - began < 5


def test_d08_the_bottle_can_be_ended_by_the_gateway_alone() -> None:
    """The gateway holds the pidfd and a lifeline to the launcher."""
    with running(("/bin/sleep", "60")) as run:
        os.close(run.gate[2])
        assert run.bottle.wait(5) == 128 + signal.SIGKILL
        run.gate = (*run.gate[:2], os.open("/dev/null", os.O_RDONLY))


def test_d08_a_start_from_a_thread_is_refused() -> None:
    found: list[Any] = []

    def work() -> None:
        try:
            found.append(Bottle(start.start(spec(("/bin/sleep", "60")))))
        except SealFault as error:
            found.append(error.slug)

    for current in (threading.current_thread, threading.main_thread):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(start.threading, "current_thread", current)
            worker = threading.Thread(target=work)
            worker.start()
            worker.join()
    assert found[0] == "seal.thread"
    assert found[1].wait(5) == 128 + signal.SIGKILL  # without the check it dies with its thread
    found[1].stop()
    release(found[1])


def test_s11_stop_ends_sixty_processes_that_ignore_every_signal() -> None:
    for _ in range(3):
        with running(python("stubborn")) as run:
            assert run.line() == "up"
            began = time.monotonic()
            run.bottle.stop()
            assert time.monotonic() - began < 10
            os.set_blocking(run.bottle.stdio[1], False)
            assert os.read(run.bottle.stdio[1], 10) == b""  # every holder of the pipe is gone


def test_s11_killing_only_the_agent_would_leave_the_rest() -> None:
    with running(python("stubborn")) as run:
        assert run.line() == "up"
        members = processes.members(run.bottle.pid)
        os.kill(members[2].pid, signal.SIGKILL)
        assert len(members) > 60
        assert run.bottle.wait(5) is not None  # bubblewrap's init ends with its child, and takes the namespace along


def test_s06_without_the_go_word_the_agent_never_runs() -> None:
    bottle = Bottle(start.start(spec(("/bin/sh", "-c", "echo ran"))))
    bottle.wait_ready()
    bottle.close()  # a dying launcher
    assert bottle.wait(5) == 125
    assert os.read(bottle.stdio[1], 10) == b""
    bottle.stop()
    release(bottle)
    with without(init_script=lambda spec: b"echo ready >&4; exec sh -c 'echo ran' 3<&- 4>&-\n"):
        bottle = Bottle(start.start(spec(("/bin/true",))))
        bottle.wait_ready()
        bottle.close()
        assert bottle.wait(5) == 0
        assert os.read(bottle.stdio[1], 10) == b"ran\n"
        bottle.stop()
        release(bottle)


def test_s06_any_other_word_ends_it_too() -> None:
    bottle = Bottle(start.start(spec(("/bin/true",))))
    bottle.wait_ready()
    bottle.say("gone")
    assert bottle.wait(5) == 125
    bottle.stop()
    release(bottle)


def test_s06_b78_a_step_that_fails_starts_nothing_and_says_why() -> None:
    def broken(named: tuple[int, ...]) -> None:
        raise OSError(98, "address in use")

    before, already = set(os.listdir("/proc/self/fd")), set(children())
    with without(listeners=broken), pytest.raises(SealFault, match="address in use"):
        start.start(spec(("/bin/true",)))
    assert set(os.listdir("/proc/self/fd")) == before
    assert survivors(5, already) == 0  # bubblewrap starts beside the doors, and ends by itself without a go


def drained(fd: int) -> int:
    """Bytes that arrive within a moment."""
    total = 0
    while readable([fd], 0.15):
        part = len(os.read(fd, 65536))
        total += part
        if not part or total > 10**6:
            break
    return total


def test_freeze_stops_processes_that_wake_each_other_and_thaw_lets_them_go_on() -> None:
    with running(python("counting")) as run:
        assert run.line() == "up"
        freezer = Freezer(run.bottle.pid, ())
        freezer.freeze()
        drained(run.bottle.stdio[2])
        assert not readable([run.bottle.stdio[2]], 0.5)
        freezer.thaw()
        assert readable([run.bottle.stdio[2]], 2)


def test_stop_of_a_frozen_bottle() -> None:
    with running(python("counting")) as run:
        assert run.line() == "up"
        Freezer(run.bottle.pid, ()).freeze()
        run.bottle.stop()
        assert run.bottle.wait(0) == 128 + signal.SIGKILL


def test_exit_statuses() -> None:
    for script, status in (("exit 0", 0), ("exit 3", 3), ("kill -TERM $$", 143), ("kill -KILL $$", 137)):
        with running(("/bin/sh", "-c", script)) as run:
            assert run.bottle.wait(10) == status
    assert inside("status")["NoNewPrivs"] == "1"
