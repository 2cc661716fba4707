"""Where control groups can be made, on hierarchies that are made of files: version 1, 2, delegated and not."""

import os
from pathlib import Path

import pytest

from bot_bottle.bottles import limits, limits_cgroup, limits_watch
from bot_bottle.bottles.plan import Limit

V2_MOUNT = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
V1_MOUNTS = (
    "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
)


def machine(top: Path, cgroup: str, mounts: str) -> str:
    proc = top / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(cgroup)
    (proc / "mountinfo").write_text("22 1 254:0 / / rw - ext4 /dev/vda rw\n" + mounts)
    return str(proc)


def group(top: Path, path: str, handed: str = "") -> Path:
    directory = top / "sys/fs/cgroup" / path
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "cgroup.subtree_control").write_text(handed)
    (directory / "cgroup.procs").touch()
    return directory


def test_version_two_uses_the_nearest_ancestor_that_hands_controllers_down(tmp_path: Path) -> None:
    proc = machine(tmp_path, "0::/user.slice/app.slice/shell.scope\n", V2_MOUNT)
    group(tmp_path, "")
    group(tmp_path, "user.slice", "memory")
    app = group(tmp_path, "user.slice/app.slice", "cpu memory pids")
    group(tmp_path, "user.slice/app.slice/shell.scope")
    place = limits_cgroup.find(proc, str(tmp_path))
    assert place.version == 2
    assert place.controllers == {"memory", "pids", "cpu", "freezer"}
    assert set(place.parents.values()) == {str(app)}
    assert limits.capabilities(place)["memory"] == "enforced"


def test_version_two_without_delegation_gives_nothing(tmp_path: Path) -> None:
    proc = machine(tmp_path, "0::/user.slice\n", V2_MOUNT)
    group(tmp_path, "", "hugetlb")
    group(tmp_path, "user.slice", "hugetlb")
    place = limits_cgroup.find(proc, str(tmp_path))
    assert place.controllers == frozenset()
    found = limits.capabilities(place)
    assert (found["memory"], found["cpus"], found["pids"]) == ("watched", "not enforced", "enforced")


def test_version_one_hierarchies_are_found_by_their_options(tmp_path: Path) -> None:
    proc = machine(tmp_path, "2:memory:/box\n1:cpu,cpuacct:/\n0::/\n", V1_MOUNTS)
    for name in ("memory/box", "cpu,cpuacct"):
        (tmp_path / "sys/fs/cgroup" / name).mkdir(parents=True)
    place = limits_cgroup.find(proc, str(tmp_path))
    assert place.version == 1
    assert place.parents["memory"].endswith("/memory/box")
    assert place.parents["cpu"].endswith("/cpu,cpuacct")


def test_settings_of_both_versions() -> None:
    assert ("cpu", "cpu.cfs_quota_us", "200000") in limits_cgroup.settings(1, 10, 5, 2)
    second = limits_cgroup.settings(2, 10, 5, 2)
    assert ("memory", "memory.max", "10") in second and ("memory", "memory.swap.max", "0") in second
    assert ("cpu", "cpu.max", "200000 100000") in second
    assert [row for row in limits_cgroup.settings(2, 10, 5, 0) if row[0] == "cpu"] == []


def test_create_writes_and_remove_removes_and_orphans_are_swept(tmp_path: Path) -> None:
    place = limits_cgroup.Place(2, dict.fromkeys(("memory", "pids"), str(tmp_path)))
    (tmp_path / f"bot-bottle-{limits_cgroup.pid_namespace()}-999999999-abc").mkdir()
    (tmp_path / f"bot-bottle-{limits_cgroup.pid_namespace()}-{os.getpid()}-abc").mkdir()
    made = limits_cgroup.create(place, 1000, 7, 0)
    assert not (tmp_path / f"bot-bottle-{limits_cgroup.pid_namespace()}-999999999-abc").exists()
    assert (tmp_path / f"bot-bottle-{limits_cgroup.pid_namespace()}-{os.getpid()}-abc").exists()
    assert (Path(made.directories[0]) / "memory.max").read_text() == "1000"
    assert (Path(made.directories[0]) / "pids.max").read_text() == "7"


def test_a_place_that_refuses_leaves_nothing(tmp_path: Path) -> None:
    place = limits_cgroup.Place(1, {"memory": str(tmp_path / "gone")})
    with pytest.raises(OSError, match="gone"):
        limits_cgroup.create(place, 1000, 7, 0)


def test_budget_takes_the_plans_limits_over_the_defaults() -> None:
    budget = limits.budget((Limit("memory", 100), Limit("pids", 3), Limit("cpus", 0)), limits_cgroup.Place())
    assert (budget.memory, budget.pids, budget.disk, budget.cpus) == (100, 3, 10_000_000_000, 0)
    assert budget.watched == ("memory", "disk")
    assert budget.ceilings().data == 100
    held = limits_cgroup.Place(2, {"memory": "/x", "cpu": "/x"})
    assert limits.budget((), held).watched == ("disk",)
    assert limits.budget((), held).ceilings().data == 0


def test_d22_disk_use_is_summed_without_following_links(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/file").write_bytes(b"x" * 100_000)
    os.symlink("/usr", tmp_path / "a/link")
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "closed").mkdir(mode=0o000)
    top = os.open(tmp_path, os.O_RDONLY)
    used = limits_watch.tree_bytes(top)
    os.close(top)
    assert 100_000 <= used < 200_000


def test_only_groups_of_the_own_pid_namespace_are_swept(tmp_path: Path) -> None:
    """A container that shares the cgroup tree: its launchers are no processes here, and they live."""
    ours, theirs = limits_cgroup.pid_namespace(), limits_cgroup.pid_namespace() + 1
    dead = 2**22 + 1  # above pid_max
    for namespace in (ours, theirs):
        (tmp_path / f"bot-bottle-{namespace}-{dead}-00").mkdir()
    limits_cgroup.sweep(limits_cgroup.Place(2, {"memory": str(tmp_path)}))
    assert [path.name for path in tmp_path.iterdir()] == [f"bot-bottle-{theirs}-{dead}-00"]
