"""What every backend must do, run for each that this machine can run (see bottles/ports.py)."""

import contextlib
import os
import pty
import select
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot_bottle.base.errors import BottleError, OperatorFault, SealFault
from bot_bottle.bottles.backends import BACKENDS, backend
from bot_bottle.bottles.plan import Limit, Mount, Plan, Workspace
from bot_bottle.bottles.ports import Backend, Layout, Started
from bot_bottle.bottles.seal.bottle import exit_status
from bot_bottle.policy.effective import Policy, Route

pytestmark = pytest.mark.bottle
PATH = {"PATH": "/usr/bin:/bin"}


@pytest.fixture(params=sorted(BACKENDS))
def kind(request: pytest.FixtureRequest) -> Backend:
    return backend(request.param)


def plan(*argv: str, **fields: Any) -> Plan:
    route = Route("default/x", "git.example.com", ports=(443, 8443))
    values: dict[str, Any] = {
        "label": "contract", "bottle": "default", "agent": "command", "harness": "command", "harness_digest": "",
        "argv": argv, "env": {**PATH, "HOME": "/home/agent"}, "cwd": "/srv/work", "home": "/home/agent",
        "policy": Policy("default", (route,)), "workspace": Workspace("/srv/work", "copy"),
    }  # fmt: skip
    return Plan(**values | fields)


def layout(top: Path, **fields: Any) -> Layout:
    for name in ("home", "work"):
        (top / name).mkdir(exist_ok=True)
    return Layout(state=str(top), home=str(top / "home"), **{"workspace": str(top / "work"), **fields})


@contextlib.contextmanager
def started(kind: Backend, a_plan: Plan, a_layout: Layout, go: bool = True, **fields: Any) -> Iterator[Started]:
    bottle = kind.start(a_plan, a_layout, **fields)
    try:
        assert bottle.probe() == []
        if go:
            bottle.go()
        yield bottle
    finally:
        bottle.stop()
        for fd in {*bottle.stdio, bottle.pidfd, *(fd for _, fd in bottle.doors)}:
            os.close(fd)


def text(bottle: Started) -> str:
    out = b""
    while part := os.read(bottle.stdio[1], 65536):
        out += part
    return out.decode()


def test_the_agent_runs_in_its_workspace_with_its_environment(kind: Backend, tmp_path: Path) -> None:
    script = "pwd; echo made >file; echo $HOME; echo kept >~/kept; cat; exit 9"
    with started(kind, plan("/bin/sh", "-c", script), layout(tmp_path)) as bottle:
        os.write(bottle.stdio[0], b"typed\n")
        os.close(os.dup(bottle.stdio[0]))
        os.close(bottle.stdio[0])
        bottle.stdio = (os.open("/dev/null", os.O_RDONLY), *bottle.stdio[1:])
        assert text(bottle) == "/srv/work\n/home/agent\ntyped\n"
        assert bottle.wait(10) == 9
    assert (tmp_path / "work/file").read_text() == "made\n"
    assert (tmp_path / "home/kept").stat().st_uid == os.getuid()


def test_doors_are_named_and_reserved_ports_stay_the_agents(kind: Backend, tmp_path: Path) -> None:
    with started(kind, plan("/bin/sleep", "30"), layout(tmp_path)) as bottle:
        kinds = [name for name, _ in bottle.doors]
        assert set(kinds) == {"forward", "http", "https", "dns-tcp", "dns-udp", "port"}
    with started(kind, plan("/bin/sleep", "30"), layout(tmp_path), reserved=(8443,)) as bottle:
        assert "port" not in [name for name, _ in bottle.doors]


def test_too_many_named_ports_are_an_operators_fault(kind: Backend, tmp_path: Path) -> None:
    many = Policy("default", (Route("default/x", "x.example", ports=tuple(range(9000, 9100))),))
    with pytest.raises(OperatorFault, match="100 ports"):
        kind.start(plan("/bin/true", policy=many), layout(tmp_path))


def test_mounts_files_masks_and_the_authority(kind: Backend, tmp_path: Path) -> None:
    for name in ("tools", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "tools/tool").write_text("tool")
    (tmp_path / "work/.env").write_text("secret")
    (tmp_path / "bundle.pem").write_text("our authority\n")
    (tmp_path / "settings").write_text("settings\n")
    place = layout(
        tmp_path,
        authority=str(tmp_path / "bundle.pem"),
        masks=("/srv/work/.env",),
        files={"/etc/agent/settings.json": str(tmp_path / "settings")},
    )
    mounts = (Mount(str(tmp_path / "tools"), "/opt/tools"), Mount(str(tmp_path / "tools"), "/srv/work/inner", "rw"))
    script = (
        "cat /opt/tools/tool .env /etc/agent/settings.json /etc/ssl/certs/ca-certificates.crt; touch inner/new;"
        "touch /opt/tools/x 2>/dev/null || echo ro; ls /etc/ssl/certs; cat /etc/gitconfig"
    )
    with started(
        kind, plan("/bin/sh", "-c", script, mounts=mounts, git_user=("Ann", "a@b.example")), place
    ) as bottle:
        out = text(bottle)
    assert out.startswith("toolsettings\nour authority\nro\nca-certificates.crt\n")
    assert "insteadOf = git@git.example.com:" in out and 'name = "Ann"' in out
    assert (tmp_path / "tools/new").exists()


def test_an_overlay_instead_of_a_copy(kind: Backend, tmp_path: Path) -> None:
    for name in ("lower", "cow/up", "cow/work"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "lower/file").write_text("old")
    place = layout(
        tmp_path, workspace="", lower=str(tmp_path / "lower"), upper=str(tmp_path / "cow/up"),
        work=str(tmp_path / "cow/work"),
    )  # fmt: skip
    with started(kind, plan("/bin/sh", "-c", "echo new >file; cat file"), place) as bottle:
        assert text(bottle) == "new\n"
    assert (tmp_path / "lower/file").read_text() == "old"
    assert (tmp_path / "cow/up/file").read_text() == "new\n"


def test_a_terminal_is_one_pty(kind: Backend, tmp_path: Path) -> None:
    with started(kind, plan("/bin/sh", "-c", "stty size; tty", terminal=True), layout(tmp_path)) as bottle:
        assert len(set(bottle.stdio)) == 1
        assert bottle.wait(10) == 0
        out = b""
        with contextlib.suppress(OSError):  # EIO at the end of a terminal
            while part := os.read(bottle.stdio[0], 4096):
                out += part
        assert b"/dev/" in out and b"not a tty" not in out


def test_execute_runs_beside_the_agent_and_sees_its_files(kind: Backend, tmp_path: Path) -> None:
    with started(kind, plan("/bin/sleep", "30"), layout(tmp_path)) as bottle:
        reader, writer = os.pipe()
        null = os.open("/dev/null", os.O_RDWR)
        pidfd = bottle.execute(["sh", "-c", "touch here; id -u; exit 4"], PATH, (null, writer, null), False)
        os.close(writer)
        assert os.read(reader, 100) != b"0\n"
        assert exit_status(pidfd) == 4
        assert (tmp_path / "work/here").exists()
        with pytest.raises(BottleError, match=r"not found|No such file"):
            bottle.execute(["no-such-program"], PATH, (null, null, null), False)
        slow = bottle.execute(["sleep", "30"], PATH, (null, null, null), False)
        began = time.monotonic()
        bottle.stop()  # though nobody has waited for what was executed
        assert time.monotonic() - began < 10
        assert exit_status(slow) == 137
        with pytest.raises(SealFault):
            bottle.execute(["true"], PATH, (null, null, null), False)
        for fd in (reader, null, pidfd, slow):
            os.close(fd)


def test_execute_with_a_terminal(kind: Backend, tmp_path: Path) -> None:
    with started(kind, plan("/bin/sleep", "30"), layout(tmp_path)) as bottle:
        master, slave = pty.openpty()
        pidfd = bottle.execute(["sh", "-c", "echo x >/dev/tty"], PATH, (slave, slave, slave), True)
        os.close(slave)
        assert exit_status(pidfd) == 0
        assert b"x" in os.read(master, 100)
        os.close(master)
        os.close(pidfd)


def test_dial_reaches_a_server_inside(kind: Backend, tmp_path: Path) -> None:
    script = "exec perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Listen=>1,LocalPort=>7777);print STDERR 1;"
    script += '$c=$s->accept;print $c "hello";close $c;sleep 9\''
    with started(kind, plan("/bin/sh", "-c", script), layout(tmp_path)) as bottle:
        assert os.read(bottle.stdio[2], 1) == b"1"
        fd = bottle.dial(7777)
        assert os.read(fd, 100) == b"hello"
        os.close(fd)
        with pytest.raises(SealFault, match="7778"):
            bottle.dial(7778)


def test_freeze_and_thaw(kind: Backend, tmp_path: Path) -> None:
    with started(kind, plan("/bin/sh", "-c", "while :; do echo .; done"), layout(tmp_path)) as bottle:
        os.read(bottle.stdio[1], 65536)
        reader, writer = os.pipe()
        other = bottle.execute(["sh", "-c", "while :; do echo .; done"], PATH, (reader, writer, writer), False)
        os.close(writer)
        os.read(reader, 10)
        began = time.monotonic()
        bottle.freeze()
        assert time.monotonic() - began < 5
        poll = select.poll()
        for fd in (bottle.stdio[1], reader):
            poll.register(fd, select.POLLIN)
        while ready := poll.poll(0):
            os.read(ready[0][0], 65536)
        assert not poll.poll(300)
        bottle.thaw()
        assert poll.poll(2000)
        bottle.freeze()
        bottle.stop()  # a frozen bottle can be stopped
        assert exit_status(other) == 137
        os.close(reader)
        os.close(other)


def test_a_breach_of_a_watched_limit_is_named(kind: Backend, tmp_path: Path) -> None:
    script = "head -c 60000000 /dev/zero >big; sleep 30"
    with started(
        kind, plan("/bin/sh", "-c", script, limits=(Limit("disk", 30_000_000),)), layout(tmp_path)
    ) as bottle:
        assert bottle.wait(20) == 137
        assert bottle.breach().startswith("disk: ")
    with started(kind, plan("/bin/true"), layout(tmp_path)) as bottle:
        assert bottle.wait(10) == 0
        assert bottle.breach() == ""


def test_a_start_that_fails_leaves_nothing(kind: Backend, tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for bad in (plan("/bin/true", cwd="/nowhere"), plan("/bin/true", mounts=(Mount("/nowhere", "/x"),))):
        with pytest.raises(BottleError):
            kind.start(bad, layout(tmp_path))
    with pytest.raises(OperatorFault):
        kind.start(plan("/bin/true", mounts=(Mount("/usr", "/etc"),)), layout(tmp_path))
    assert sorted(os.listdir("/proc/self/fd")) == before
    assert "BOT_BOTTLE_CANARY" not in os.environ


def test_descriptors_after_a_whole_life(kind: Backend, tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with started(kind, plan("/bin/true"), layout(tmp_path)) as bottle:
            assert bottle.wait(10) == 0
    assert sorted(os.listdir("/proc/self/fd")) == before


def test_capabilities_are_words_that_the_plan_knows(kind: Backend) -> None:
    found = kind.capabilities()
    assert {"memory", "pids", "cpus", "disk"} <= set(found)
    assert set(found.values()) <= {"enforced", "watched", "not enforced"}
