"""After an exploit of a parser in the web process: what its code can reach (D17). Each attempt is made confined and,
as the control, unconfined, by the same code in a process of its own.
"""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot_bottle.base.home import Home
from bot_bottle.bottles.spawn import listed, spawn
from bot_bottle.web import confine
from web_stage import Stage

INSIDE = Path(__file__).with_name("web_inside.py")
ROOT_ONLY = {"unshare", "mount", "read shadow", "open the keeper's memory", "read the keeper's memory", "trace the keeper", "take the keeper's descriptors"}  # fmt: skip
MOVED = {"list the keys", "change modes", "change owners", "mount"}  # an attempt before took what these need


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        yield found


@pytest.fixture
def keeper() -> Iterator[int]:
    """A real keeper process that waits for its launcher, hardened as ever."""
    ours, theirs = socket.socketpair()
    child = spawn("bot_bottle.keeper.main", [theirs.fileno()], listed(os.environ), quiet=True)
    theirs.close()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{child.pid}/limits").read_text().count("Max core file size        1") == 0:  # until it is hard
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield child.pid
    ours.close()
    child.kill()
    child.reap(5)


def unix_sockets(stage: Stage) -> list[socket.socket]:
    """What programs of the person listen at: by path, datagrams, a keeper's, by abstract name."""
    os.makedirs(stage.home.runtime, 0o700, exist_ok=True)
    stream, datagram, abstract = socket.SOCK_STREAM, socket.SOCK_DGRAM, f"\0{os.urandom(8).hex()}"
    names = {f"{stage.directory}/agent": stream, f"{stage.directory}/datagram": datagram}
    made: list[socket.socket] = []
    for name, kind in (names | {f"{stage.home.runtime}/control": stream, abstract: stream}).items():
        sock = socket.socket(socket.AF_UNIX, kind)
        sock.bind(name)
        if kind == stream:
            sock.listen()
        made.append(sock)
    return made


def attempts(stage: Stage, keeper: int, confined: bool) -> dict[str, bool]:
    """What worked."""
    root = Path(stage.home.root)
    for name in ("keys", "secrets", "bottles", "web", "index", "leases"):
        (root / name).mkdir(mode=0o700, exist_ok=True)
    (root / "keys/log.pem").write_text("a key")
    (root / "secrets/store").write_text("a secret")
    (root / "bottles/web.md").write_text("---\n---\n")
    (root / "bottles/other.md").write_text("---\n---\n")
    (root / "settings.toml").write_text("")
    log = root / "log/runs/one/journal/0"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("a record\n")
    ssh = stage.directory / "id_ed25519"
    ssh.write_text("the person's key")
    listener = socket.create_server(("127.0.0.1", 0))
    spare = socket.create_server(("127.0.0.1", 0))
    free = socket.create_server(("127.0.0.1", 0))
    port = free.getsockname()[1]
    free.close()
    unix = unix_sockets(stage)
    given = {
        "home": stage.home.root, "runtime": stage.home.runtime, "keeper": keeper, "port": listener.getsockname()[1],
        "free": port, "log": str(log), "ssh": str(ssh), "elsewhere": str(stage.directory / "new"), "confine": confined,
        "sockets": str(stage.directory), "abstract": unix[-1].getsockname().decode(), "listening": spare.fileno(),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-I", str(INSIDE), json.dumps(given)], capture_output=True, text=True, cwd="/",
        pass_fds=(spare.fileno(),),
    )  # fmt: skip
    for sock in (listener, spare, *unix):
        sock.close()
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_d17_code_in_the_web_process_reaches_no_key_log_file_or_process(
    stage: Stage, keeper: int, tmp_path: Path
) -> None:
    """D17: a parser bug in web can ask the keeper, and that is all: no key, no secret, no record, no bottle file, no
    memory, no program, no network."""
    confined = attempts(stage, keeper, confined=True)
    own = {name: done for name, done in confined.items() if name.startswith("its own")}
    assert all(own.values()) and len(own) == 7, own
    assert [name for name, done in confined.items() if done and not name.startswith("its own")] == []
    assert not (Path(stage.home.root) / "web/keys").exists()
    (tmp_path / "free").mkdir()
    with Stage(tmp_path / "free") as other:
        free = attempts(other, keeper, confined=False)
    impossible = {name for name, done in free.items() if not done}
    allowed = MOVED | (set() if os.geteuid() == 0 else ROOT_ONLY)
    assert impossible <= allowed, impossible - allowed


@pytest.mark.parametrize("gone", ["landlock", "seccomp"])
def test_d17_neither_half_of_the_confinement_is_idle(
    stage: Stage, keeper: int, gone: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Without Landlock keys are read, without the filter modes are changed: each is needed."""
    text = INSIDE.read_text()
    broken = {
        "landlock": "import bot_bottle.base.landlock as it; it.restrict = lambda **_: 7",
        "seccomp": "import bot_bottle.base.seccomp as it; it.install = lambda *_: True",
    }[gone]
    without = tmp_path / "inside.py"
    without.write_text(
        text.replace(
            "    from bot_bottle.base.home import Home\n",
            f"    {broken}\n    from bot_bottle.base.home import Home\n",
        )
    )
    monkeypatch.setattr(sys.modules[__name__], "INSIDE", without)
    found = attempts(stage, keeper, confined=True)
    if gone == "landlock":
        assert found["read the log key"] and found["write an approval"] and found["append to a log"]
    else:
        assert found["change modes"] and found["change owners"] and not found["read the log key"]
        assert found["reach a socket of the person"] and found["write to a datagram socket"]
        assert found["dial by what it sends"] and not found["dial"]


def test_d17_the_real_web_process_is_confined_before_it_listens_to_anybody(stage: Stage) -> None:
    """It says so, and the kernel agrees: no new privileges, a filter, nothing to trace."""
    with stage.web() as web:
        status = Path(f"/proc/{web.process.pid}/status").read_text()
        assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
        assert web.serving.confinement.startswith("landlock-") and "seccomp" in web.serving.confinement
        assert os.stat(f"/proc/{web.process.pid}/environ").st_uid == 0 or os.geteuid() != 0
        for row in os.listdir(f"/proc/{web.process.pid}/fd"):
            target = os.readlink(f"/proc/{web.process.pid}/fd/{row}")
            assert "/keys" not in target and "/secrets" not in target and "/log/" not in target


def test_d17_without_landlock_nothing_is_served(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot_bottle.base import landlock
    from bot_bottle.base.errors import HostFault

    monkeypatch.setattr(landlock, "abi", lambda: 0)
    pid = os.fork()
    if pid == 0:  # its prctl calls must not be ours
        try:
            confine.confine(stage.home)
            os._exit(1)
        except HostFault as error:
            os._exit(0 if error.slug == "web.landlock" else 2)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_what_is_made_by_others_after_the_start_can_be_read(tmp_path: Path) -> None:
    """The first sink is used while the dashboard runs: Settings reads how far it has got."""
    home = Home(str(tmp_path / "home"), str(tmp_path / "runtime"))
    os.makedirs(home.root)
    found = confine.readable(home)
    assert home.forward in found
    assert os.path.isdir(home.forward)
