"""Sockets of the host that appear in a bound workspace while a bottle runs (D14)."""

import os
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from attacks.workspace_stage import Stage, mounts_of, plan, stage
from bot_bottle.bottles import sock_diag
from bot_bottle.bottles.plan import Mount, Workspace
from bot_bottle.bottles.seal.offline import run_sealed
from bot_bottle.bottles.workspace import sockets

PYTHON = "/usr/bin/python3"
CONNECT = "import socket, sys; socket.socket(socket.AF_UNIX).connect(sys.argv[1])"
BIND = "import socket; s = socket.socket(socket.AF_UNIX); s.bind('own'); print(open('/proc/net/unix').read())"


@pytest.fixture
def at(tmp_path: Path) -> Stage:
    return stage(tmp_path)


@pytest.fixture(params=["sock_diag", "names only"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "names only":
        monkeypatch.setattr(sock_diag, "FAMILY", 31)  # no such netlink family
    return request.param


def bind_watch(at: Stage) -> sockets.Watch:
    made = sockets.watch(plan(Workspace(str(at.source), "bind")))
    assert made is not None
    return made


@contextmanager
def listening(path: Path | str) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield server


@pytest.mark.bottle
@pytest.mark.skipif(not shutil.which(PYTHON), reason="the attack is written in Python")
def test_d14_a_socket_that_appears_later_is_seen_once(at: Stage, kernel: str) -> None:
    with listening(at.source / "early"):
        watch = bind_watch(at)
        prepared = at.prepare("bind")
        watch.masks = frozenset(prepared.masks)
        assert watch.appeared() == "", "what is masked does not count"
        with listening(at.source / "late"):
            attack = (PYTHON, "-c", CONNECT, str(at.source / "late"))
            done = run_sealed(attack, mounts_of(prepared, at.top), cwd=str(at.source))
            assert done.status == 0, "control: no mask covers it, it answers"
            assert watch.appeared() == f"{at.source}/late"
            assert watch.appeared() == "", "thawed: a person has seen it"


def test_d14_renaming_a_socket_hides_nothing(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    (at.source / "deep").mkdir()
    watch = bind_watch(at)
    with listening(at.source / "late"):
        os.rename(at.source / "late", at.source / "deep" / "other")
        assert f"{at.source}/late" in [one.name for one in sockets.bound()], "control: the name tells nothing"
        assert watch.appeared() == f"{at.source}/deep/other"
    monkeypatch.chdir(at.source)
    with listening("relative"):
        assert watch.appeared() == f"{at.source}/relative"


@pytest.mark.bottle
@pytest.mark.skipif(not shutil.which(PYTHON), reason="the attack is written in Python")
def test_d14_a_bottles_own_sockets_do_not_count(at: Stage, kernel: str) -> None:
    watch = bind_watch(at)
    done = run_sealed((PYTHON, "-c", BIND), mounts_of(at.prepare("bind"), at.top), cwd=str(at.source))
    assert b"own" in done.stdout and (at.source / "own").is_socket()
    assert watch.appeared() == ""


def test_d14_mounts_are_watched_and_a_copy_alone_is_not(at: Stage, tmp_path: Path) -> None:
    (tmp_path / "tools").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "tools")
    assert sockets.watch(plan(Workspace(str(at.source), "copy"))) is None
    mount = Mount(str(tmp_path / "link"), "/opt/tools")
    watch = sockets.watch(plan(Workspace(str(at.source), "copy"), mounts=(mount,)))
    assert watch is not None
    with listening(tmp_path / "link" / "s"), listening(at.source / "copied"), listening(tmp_path / "outside"):
        watch.masks = frozenset({"/opt/tools/s"})
        assert watch.appeared() == ""
        watch.masks = frozenset()
        assert watch.reason() == (
            f"a program of this machine opened the socket {tmp_path}/tools/s where the bottle reaches it"
        )
