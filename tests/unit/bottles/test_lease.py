"""Leases: one holder per label, freed by death, never taken by asking; reaping what is left."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.base.errors import BusyFault, UsageFault
from bot_bottle.base.home import Home, locate
from bot_bottle.base.ids import is_label
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.lease import Held, Process
from bot_bottle.bottles.reap import end_processes, reap


def held(label: str = "one", **more: object) -> Held:
    return Held(label, "run", "b", "a", "h", "/w", 1, **more)  # pyright: ignore


@pytest.fixture
def where(tmp_path: Path) -> Home:
    return Home(str(tmp_path / "home"), str(tmp_path / "run"))


def test_a_label_has_one_holder_and_is_free_after_release(where: Home) -> None:
    one = leases.take(where, held())
    assert leases.alive(where, "one")
    with pytest.raises(BusyFault) as busy:
        leases.take(where, held())
    assert "bot-bottle stop one" in str(busy.value)
    leases.take(where, held("two")).release()
    one.release()
    assert not leases.alive(where, "one")
    assert leases.leases(where) == []
    leases.take(where, held()).release()


def test_asking_does_not_take_and_facts_are_replaced_whole(where: Home) -> None:
    one = leases.take(where, held())
    for _ in range(50):
        assert leases.alive(where, "one")
    one.update(state="running", log="/x")
    found = leases.read(where, "one")
    assert found is not None
    assert (found.state, found.log) == ("running", "/x")
    assert (Path(where.root) / "leases" / "one.json").stat().st_mode & 0o777 == 0o600
    one.release()


def test_a_killed_holder_frees_the_label_and_leaves_its_facts(where: Home) -> None:
    script = (
        "import sys, time; from bot_bottle.base.home import Home; from bot_bottle.bottles import lease\n"
        f"one = lease.take(Home({where.root!r}, {where.runtime!r}), lease.Held('one', 'r', 'b', 'a', 'h', '/w', 1))\n"
        "print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-I", "-c", script], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "held\n"
        assert leases.alive(where, "one")
        child.kill()
    assert not leases.alive(where, "one")
    (pair,) = leases.leases(where)
    assert pair[1] is False
    leases.take(where, held()).release()


def test_kept_changes_hold_the_label(where: Home) -> None:
    one = leases.take(where, held())
    one.update(state="kept")
    one.release(keep=True)
    with pytest.raises(BusyFault, match="apply one"):
        leases.take(where, held())
    assert reap(where) == []
    leases.forget(where, "one")
    leases.take(where, held()).release()


def test_two_that_start_at_once_get_one_lease(where: Home) -> None:
    script = (
        "import sys; from bot_bottle.base.home import Home; from bot_bottle.bottles import lease\n"
        "sys.stdin.readline()\n"
        "try:\n"
        f"    one = lease.take(Home({where.root!r}, {where.runtime!r}), lease.Held('one', 'r', 'b', 'a', 'h', '/w', 1))\n"
        "    print('held', flush=True); sys.stdin.readline()\n"
        "except Exception as error: print(type(error).__name__, flush=True)\n"
    )
    children = [
        subprocess.Popen([sys.executable, "-I", "-c", script], stdin=-1, stdout=-1, text=True) for _ in range(4)
    ]
    for child in children:
        assert child.stdin is not None
        child.stdin.write("\n")
        child.stdin.flush()
    said = [child.stdout.readline().strip() for child in children if child.stdout]
    assert sorted(said) == ["BusyFault"] * 3 + ["held"]
    for child in children:
        child.communicate("\n")


@given(st.text(max_size=80))
def test_a_label_is_one_harmless_path_segment(text: str) -> None:
    if is_label(text):
        assert "/" not in text
        assert not text.startswith(".")
        assert text.isascii()


@pytest.mark.parametrize("label", ["", "..", "../x", "A", "a/b", ".a", "a" * 65, "a\n"])
def test_a_bad_label_is_refused(label: str, where: Home) -> None:
    with pytest.raises(UsageFault):
        leases.take(where, held(label))
    assert not os.path.exists(where.root)


def test_a_reused_pid_is_not_the_process_that_was_meant() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        known = leases.process("bottle", child.pid)
        end_processes((Process("bottle", child.pid, known.start + 1),), 0)
        assert child.poll() is None
        end_processes((known,), 1)
        assert child.wait(5) == -signal.SIGKILL


def test_reaping_removes_state_and_sockets(where: Home) -> None:
    one = leases.take(where, held())
    one.release(keep=True)
    for path in (where.state("one"), where.sockets("one")):
        os.makedirs(path)
    (Path(where.state("one")) / "link").symlink_to("/")
    sock = socket.socket(socket.AF_UNIX)
    directory = os.open(where.sockets("one"), os.O_RDONLY)
    sock.bind(f"/proc/self/fd/{directory}/control")
    os.close(directory)
    assert [found.label for found in reap(where)] == ["one"]
    assert not os.path.exists(where.state("one"))
    assert not os.path.exists(where.sockets("one"))
    sock.close()


def test_a_moved_home_keeps_its_sockets_to_itself() -> None:
    assert locate({"HOME": "/h", "XDG_RUNTIME_DIR": "/r"}) == Home("/h/.bot-bottle", "/r/bot-bottle")
    assert locate({"HOME": "/h"}) == Home("/h/.bot-bottle", "/h/.bot-bottle/run")
    moved = {"HOME": "/h", "XDG_RUNTIME_DIR": "/r", "BOT_BOTTLE_HOME": "/m/"}
    assert locate(moved) == Home("/m", "/m/run")
