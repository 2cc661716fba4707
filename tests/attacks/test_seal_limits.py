"""One bottle cannot stop the others: sizes, inodes, processes, memory, processor, disk, descriptors (D16, S12)."""

import contextlib
import os
import resource
import select
import socket
from pathlib import Path
from typing import Any

import pytest

from attacks.seal_run import ROOT, inside, nothing, python, running, without
from bot_bottle.bottles import limits, limits_cgroup, limits_watch
from bot_bottle.bottles.plan import Limit
from bot_bottle.bottles.seal import kernel, layout
from bot_bottle.bottles.seal.bottle import readable
from bot_bottle.bottles.seal.ids import Ids, allocate, free_range
from bot_bottle.bottles.seal.spec import Bind, Ceilings

pytestmark = pytest.mark.bottle
MB = 1 << 20
SMALL = Ceilings(tmp=24 * MB, shm=24 * MB)


def test_d16_s12_every_tmpfs_has_a_size_and_a_number_of_inodes() -> None:
    sealed = inside("fill", ceilings=SMALL)
    assert all(sealed[place] <= 24 for place in ("/tmp", "/dev/shm", "/home/agent"))
    assert sealed["inodes"] <= 24 * 256
    with without(sized_tmpfs=lambda path, size, mode: unsized(path, mode)):
        control = inside("fill", ceilings=SMALL)
    assert control["/tmp"] == 200
    assert control["inodes"] > 24 * 256


def unsized(path: str, mode: str) -> None:
    kernel.mount("seal", path, "tmpfs", 6, f"mode={mode}")


def test_d16_everything_else_is_read_only() -> None:
    assert set(inside("read_only").values()) <= {"EROFS", "EACCES", "EPERM"}
    real = layout.options

    def writable_root(*args: Any) -> list[str]:
        return real(*args)[:-2]

    with without(options=writable_root):
        assert inside("read_only")["/"] == "OPEN"


def test_d16_the_sum_of_the_tmpfs_stays_below_the_memory() -> None:
    budget = limits.budget((Limit("memory", 1_000_000_000),), limits_cgroup.Place())
    ceilings = budget.ceilings()
    assert 2 * ceilings.tmp + ceilings.shm < 1_000_000_000


def test_s12_a_fork_bomb_stops_at_the_limit() -> None:
    assert inside("forks", ceilings=Ceilings(processes=50)) < 50
    with without(limits=nothing):
        assert inside("forks", ceilings=Ceilings(processes=50)) == 400


def test_s12_one_process_cannot_take_all_memory_and_node_still_starts() -> None:
    assert inside("memory", ceilings=Ceilings(data=128 * MB)) == "MemoryError"
    assert inside("limits")["as"] == resource.RLIM_INFINITY  # RLIMIT_AS kills Node
    with without(limits=nothing):
        assert inside("memory", ceilings=Ceilings(data=128 * MB)) == 300


def test_d16_descriptors_are_at_most_a_quarter_of_ours() -> None:
    ours = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    assert inside("limits", ceilings=Ceilings(files=10**6))["files"] <= max(ours // 4, 64)
    with without(limits=nothing):
        assert inside("limits", ceilings=Ceilings(files=10**6))["files"] == ours


def test_d16_descriptors_in_flight_of_one_bottle_do_not_stop_the_next() -> None:
    with running(python("park_fds"), ceilings=Ceilings(files=4096)) as run:
        assert run.line(30)["end"] in ("ETOOMANYREFS", "EMFILE")
        assert passing() == "OPEN"  # our own gateway still gets its doors
        assert inside("status")["NoNewPrivs"] == "1"  # and the next bottle starts
        if ROOT:
            assert inside("pass_fds") == {"pass": "OPEN", "epoll": "OPEN"}  # even a sibling is not touched
    if not ROOT:  # the same uid: only the limit on descriptors keeps our own passing alive
        with without(limits=nothing), running(python("park_fds")) as run:
            run.line(60)
            assert passing() != "OPEN"


def passing() -> str:
    """Whether this user can still send descriptors."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            socket.send_fds(ours, [b"x"], [0, 1])
        except OSError as error:
            return str(error)
    return "OPEN"


def test_d16_root_takes_uids_from_a_range_that_nobody_owns(tmp_path: Path) -> None:
    subuid = tmp_path / "subuid"
    subuid.write_text(f"a:{0x70000000}:65536\nbroken\n")
    uids = free_range([range(1 << 32)], (str(subuid),))
    assert uids.start == 0x70000000 + 65536
    first, lock = allocate(uids, str(tmp_path))
    second, other = allocate(uids, str(tmp_path))
    assert second == first + 1
    Ids(1000, first, first, "own", lock).release()
    again, lock = allocate(uids, str(tmp_path))
    assert again == first
    os.close(lock)
    os.close(other)


def cgroups() -> limits_cgroup.Place:
    return limits_cgroup.find()


def test_s12_a_control_group_bounds_memory_processes_and_processor() -> None:
    place = cgroups()
    if not place.controllers:  # an ordinary user without delegation: then the plan says watched
        assert limits.capabilities(place)["memory"] == "watched"
        return
    group = limits_cgroup.create(place, 64 * MB, 20, 1)
    try:
        unlimited = Ceilings(processes=0)
        assert inside("forks", cgroups=group.directories, ceilings=unlimited) < 20
        with running(python("memory"), cgroups=group.directories, ceilings=unlimited) as run:
            assert run.bottle.wait(20) == 137
        if "cpu" in place.controllers:
            assert inside("spin", cgroups=group.directories, ceilings=unlimited) < 1.5
    finally:
        group.remove()
    assert inside("forks", ceilings=Ceilings(processes=0)) == 400
    assert inside("memory") == 300
    assert not any(os.path.exists(directory) for directory in group.directories)


def watched(run: Any, **fields: Any) -> str:
    """Why the watchdog ended it, or "" when it did not within some seconds."""
    bottle = run.bottle
    measures = limits_watch.Measures(
        bottle.pid, bottle.pidfd, fields.get("memory", 0), fields.get("disk", 0), fields.get("trees", ()),
        tuple(bottle.meters),
    )  # fmt: skip
    with without(EVERY_SECONDS=0.2):
        pid, reader = limits_watch.fork(measures)
    bottle.wait(fields.get("seconds", 8))
    if bottle.wait(0) is None:
        bottle.stop()
    text = os.read(reader, 500).decode()
    os.waitpid(pid, 0)
    os.close(reader)
    return text


def test_s12_the_watchdog_sums_the_memory_of_many_small_processes() -> None:
    with running(python("many")) as run:
        assert run.line() == "grown"
        assert watched(run, memory=256 * MB).startswith("memory: ")
        assert run.bottle.wait(0) == 137
    with running(python("many")) as run:
        assert run.line() == "grown"
        assert watched(run, memory=4096 * MB, seconds=1.2) == ""


def test_s12_the_watchdog_counts_what_lies_in_the_tmpfs() -> None:
    with running(("/bin/sh", "-c", "head -c 60000000 /dev/zero >/tmp/x; echo 1; sleep 30")) as run:
        assert run.line() == 1
        assert watched(run, memory=50 * MB).startswith("memory: ")


def test_s12_the_watchdog_ends_a_bottle_that_fills_the_disk(tmp_path: Path) -> None:
    (tmp_path / "linked").touch()
    bind = Bind(str(tmp_path), "/work", writable=True)
    argv = ("/bin/sh", "-c", "ln -s /usr link; head -c 40000000 /dev/zero >big; sleep 30")
    with running(argv, cwd="/work", binds=(bind,)) as run:
        assert watched(run, disk=30 * MB, trees=(str(tmp_path),)).startswith("disk: ")
    with running(argv, cwd="/work", binds=(bind,)) as run:
        assert watched(run, disk=400 * MB, trees=(str(tmp_path),), seconds=1.2) == ""


def test_d16_poll_is_used_where_epoll_watches_could_be_used_up() -> None:
    """A bottle of the same user can take all of the user's epoll watches; waiting for a bottle must not need one."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(select, "epoll", nothing)
        with running(("/bin/true",)) as run:
            assert run.bottle.wait(10) == 0
            assert readable([run.bottle.pidfd], 0)
    with contextlib.suppress(OSError):
        select.epoll().close()
