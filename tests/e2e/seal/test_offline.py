"""A sealed helper run without a door: what it answers, what it is capped by, and that it reaches nothing (D05)."""

import os
from pathlib import Path

import pytest

from bot_bottle.base.errors import BottleError
from bot_bottle.bottles.plan import Mount
from bot_bottle.bottles.seal.offline import run_sealed
from bot_bottle.bottles.seal.spec import Content

pytestmark = pytest.mark.bottle


def test_input_output_and_status() -> None:
    done = run_sealed(("/bin/sh", "-c", "cat; echo problem >&2; exit 3"), stdin=b"x" * 1_000_000)
    assert (done.status, len(done.stdout), done.stderr, done.ended) == (3, 1_000_000, b"problem\n", "")


def test_output_is_capped() -> None:
    done = run_sealed(("/usr/bin/yes",), stdout_limit=100_000)
    assert (len(done.stdout), done.ended, done.status) == (100_000, "output", 137)
    done = run_sealed(("/bin/sh", "-c", "yes | head -c 300000 >&2"), stderr_limit=1000)
    assert (len(done.stderr), done.status) == (1000, 0)


def test_it_ends_in_time() -> None:
    done = run_sealed(("/bin/sleep", "30"), timeout=0.3)
    assert (done.ended, done.status) == ("timeout", 137)


def test_processes_that_hold_the_output_open_do_not_hang_it() -> None:
    done = run_sealed(("/bin/sh", "-c", "sleep 30 & echo done"))
    assert (done.stdout, done.status) == (b"done\n", 0)


def test_mounts_keep_the_hosts_owner(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in/file").write_text("x")
    mounts = (Mount(str(tmp_path / "in"), "/in"), Mount(str(tmp_path / "out"), "/out", "rw"))
    done = run_sealed(("/bin/sh", "-c", "cp /in/file /out/; touch /in/no"), mounts, cwd="/out")
    assert done.status == 1 and b"Read-only" in done.stderr
    assert (tmp_path / "out/file").stat().st_uid == os.getuid()


def test_d05_nothing_is_reachable_not_even_itself() -> None:
    script = (
        "git ls-remote https://127.0.0.1/x; git ls-remote ssh://192.0.2.1/x; cat /proc/net/dev; cat /proc/net/route"
    )
    done = run_sealed(("/bin/sh", "-c", script))
    assert b"unreachable" in done.stderr or b"Couldn't connect" in done.stderr
    assert [line.split(b":")[0].strip() for line in done.stdout.splitlines() if b":" in line] == [b"lo"]


def test_d05_contents_exist_only_inside(tmp_path: Path) -> None:
    done = run_sealed(("/bin/sh", "/run/x/script"), contents=(Content("/run/x/script", b"echo inside"),))
    assert done.stdout == b"inside\n"
    assert list(tmp_path.iterdir()) == []


def test_a_program_that_does_not_exist() -> None:
    assert run_sealed(("/bin/none",)).status == 127
    with pytest.raises(BottleError):
        run_sealed(("/bin/true",), (Mount("/nowhere", "/x"),))


def test_no_descriptor_is_left() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        run_sealed(("/bin/cat",), stdin=b"x")
        run_sealed(("/bin/true",), stdin=b"x" * 200_000)
    assert sorted(os.listdir("/proc/self/fd")) == before
