"""Attacks on the launcher's side: D06, D08, D19, D22, B59, B63, B78, S06, S11. Each with a control that shows the leak."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bot_bottle.api import Host, Request, prepare
from bot_bottle.base.errors import BottleError, SealFault
from bot_bottle.bottles.run import Run
from bot_bottle.bottles.streams import Pipes
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.egress.messages import Limits
from bot_bottle.keeper import control
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.control import Stop
from bot_bottle.keeper.messages.launcher import KeeperToLauncher
from bot_bottle.keeper.messages.questions import Survey
from bot_bottle.keeper.messages.replies import Done
from e2e.lifecycle.test_verbs import detach, until
from e2e.lifecycle.world import HOST, PROGRAM, World, processes

pytestmark = pytest.mark.bottle

SHADOWED = (
    "bot_bottle", "click", "msgspec", "ssl", "socket", "json", "os", "secrets", "httptools", "re2", "sitecustomize",
    "usercustomize", "cryptography", "typing", "ruamel", "rich", "enum",
)  # fmt: skip
DEAF = """trap '' TERM INT HUP
for i in 1 2 3 4 5 6 7 8; do (trap '' TERM INT HUP; exec setsid sleep 31416) & done
sleep 0.5; echo up; sleep 300"""
VERBS = (
    ["--version"], ["--help"], ["list"], ["info", "x"], ["stop", "x"], ["freeze", "x"], ["thaw", "x"], ["logs", "x"],
    ["cleanup"], ["exec", "x", "--", "true"], ["forward", "x", "80"], ["attach", "x"], ["changes", "x"], ["apply", "x"],
    ["keep", "x"], ["discard", "x"], ["doctor"], ["harness", "list"], ["manifest", "check"], ["manifest", "schema"],
    ["policy", "show"], ["policy", "check", "https://a.example/"], ["secret", "list"], ["log", "verify"],
    ["run", "--bottle", "b", "--", "true"], ["start", "command", "--dry-run", "--", "true"],
    ["start", "command", "--headless", "--bottle", "b", "--", "true"],
    ["start", "command", "--detach", "--bottle", "b", "--label", "det", "--", "true"], ["init", "--help"], ["edit", "--help"],
    ["demo", "--help"],
)  # fmt: skip


def plant(place: Path, mark: Path) -> None:
    """Modules that write a mark when somebody imports them from here."""
    body = f"open({str(mark)!r}, 'a').write(__name__ + chr(10))\nraise ImportError('planted')\n"
    for name in SHADOWED:
        (place / f"{name}.py").write_text(body)
    (place / "pyproject.toml").write_text("[tool.none]\n")
    (place / "conftest.py").write_text(body)


def test_d06_shadow_modules_in_the_cwd_of_every_command_are_never_imported(world: World) -> None:
    mark = world.home.parent / "imported"
    plant(world.project, mark)
    env = {**world.env, "PYTHONPATH": str(world.project), "PYTHONSTARTUP": str(world.project / "os.py")}
    command = Path(sys.executable).parent / "bot-bottle"
    for words in VERBS:
        done = subprocess.run(
            [str(command), *words], cwd=world.project, env=world.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert "planted" not in done.stderr, words
        done = subprocess.run(
            [*PROGRAM, *words], cwd=world.project, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
        assert "planted" not in done.stderr, words
    assert not mark.exists(), mark.read_text()


def test_d06_control_a_child_without_isolation_imports_them(world: World) -> None:
    """The same modules run when a Python is started the ordinary way."""
    mark = world.home.parent / "imported"
    plant(world.project, mark)
    subprocess.run([sys.executable, "-c", "import click"], cwd=world.project, capture_output=True, check=False)
    assert "click" in mark.read_text()


# ---- D08, B78, S06, S11: who dies, and what must not begin


def test_s06_b78_nothing_of_the_agent_runs_before_the_gateway_serves(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that never answers: the agent's first byte is never run; the control runs it."""
    begun = world.project / "begun"

    def stop_gateway(name: str, run: Run) -> None:
        if name == "doors":
            assert run.crew is not None and run.crew.gateway is not None
            os.kill(run.crew.gateway.pid, signal.SIGSTOP)
            run.live.wait_serving = lambda seconds: waited(run, seconds)  # pyright: ignore

    def waited(run: Run, _seconds: float) -> None:
        assert run.live is not None
        type(run.live).wait_serving(run.live, 1.0)

    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    ask = Request(bottles=("b",), workspace=str(world.project), argv=("touch", str(begun)), at_end="apply")
    with pytest.raises(BottleError, match="gateway"):
        prepare(ask, Host()).start(Pipes(), step=stop_gateway)
    assert not begun.exists()
    assert world.quiet() == []
    prepare(ask, Host()).start(Pipes())
    assert begun.exists()


def test_b78_a_probe_that_finds_a_way_out_starts_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = world.project / "begun"

    def leak(name: str, run: Run) -> None:
        if name == "probe":
            assert run.bottle is not None
            run.bottle.probe = lambda: ["tcp 192.0.2.1 answered"]  # pyright: ignore

    for name, value in world.env.items():
        monkeypatch.setenv(name, value)
    ask = Request(bottles=("b",), workspace=str(world.project), argv=("touch", str(begun)), at_end="apply")
    with pytest.raises(SealFault, match=r"192\.0\.2\.1"):
        prepare(ask, Host()).start(Pipes(), step=leak)
    assert not begun.exists()
    assert world.quiet() == []
    assert "sealed" in world.verify().stdout
    monkeypatch.setattr(Run, "_probe", lambda run: run._at("probe"))  # the control: nobody asks the probe
    prepare(ask, Host()).start(Pipes(), step=leak)
    assert begun.exists()


def test_s11_deaf_processes_that_relaunch_themselves_end_with_the_bottle(world: World) -> None:
    child = world.begin("run", "--bottle", "b", "--", "sh", "-c", DEAF)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    assert len(deaf(world)) >= 8
    began = time.monotonic()
    child.terminate()
    child.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert world.quiet() == []


def test_s11_control_outside_a_bottle_they_outlive_the_end_of_their_leader(world: World) -> None:
    child = subprocess.Popen(
        ["sh", "-c", DEAF], env=world.env, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    os.killpg(child.pid, signal.SIGTERM)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    left = deaf(world)
    assert len(left) >= 8
    for pid in left:
        os.kill(pid, signal.SIGKILL)


def deaf(world: World) -> list[int]:
    """The relaunched sleepers of DEAF that live."""
    return [pid for pid, line in processes(str(world.home.parent)) if line == "sleep 31416"]


def test_d08_the_keepers_death_closes_the_door_and_ends_the_agent(world: World) -> None:
    detach(world, f"while :; do curl -s https://{HOST}/tick >/dev/null; done")
    until(lambda: len(world.upstream.seen) > 2)
    kill(world, "keeper.main")
    assert world.quiet() == []
    count = len(world.upstream.seen)
    time.sleep(0.3)
    assert len(world.upstream.seen) == count
    assert world.cli("cleanup").returncode == 0
    assert world.intents() >= count


def test_d08_the_gateways_death_ends_the_agent_and_seals(world: World) -> None:
    child = world.begin("run", "--bottle", "b", "--", "sh", "-c", "echo up; sleep 300")
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    kill(world, "egress.main")
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 70
    assert "gateway" in errors
    assert world.quiet() == []
    assert "sealed" in world.verify().stdout


def kill(world: World, words: str) -> None:
    for pid, line in processes(str(world.home.parent)):
        if words in line:
            os.kill(pid, signal.SIGKILL)


# ---- D19: a process of the same user


READ = """
import ctypes, os, sys
pid = int(sys.argv[1])
out = []
for name in ("mem", "environ", "maps", "auxv", "fd"):
    try:
        path = f"/proc/{pid}/{name}"
        os.readlink(path + "/0") if name == "fd" else open(path, "rb").close()
        open(path, "rb").read(1) if name in ("environ", "maps", "auxv") else None
        out.append(name)
    except OSError:
        pass
libc = ctypes.CDLL(None, use_errno=True)
if libc.ptrace(16, pid, 0, 0) == 0:
    out.append("ptrace")
    os.waitpid(pid, 0x40000000)
    libc.ptrace(17, pid, 0, 0)
print(",".join(out))
"""


def spoken(world: World, words: str) -> int:
    return next(pid for pid, line in processes(str(world.home.parent)) if words in line)


DROP = (
    "import ctypes, os, struct, sys\n"
    "libc = ctypes.CDLL(None, use_errno=True)\n"
    "assert libc.capset(struct.pack('Ii', 0x20080522, 0), bytes(24)) == 0\n"
)


def without_capabilities(pid: int) -> str:
    """What a process of our own uid, whose capabilities are all dropped, reads of `pid`."""
    done = subprocess.run(
        ["/usr/bin/python3", "-I", "-c", DROP + READ, str(pid)], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@contextlib.contextmanager
def ordinary(*argv: str) -> Iterator[int]:
    """A process without capabilities, as an ordinary user's is, with a socketpair as its fd 3; its pid once it runs."""
    ours, theirs = socket.socketpair()
    program = DROP + "os.dup2(int(sys.argv[1]), 3); os.execv(sys.argv[2], sys.argv[2:])\n"
    setpcap = ["setpriv", "--bounding-set=-all"] if os.geteuid() == 0 else []
    child = subprocess.Popen(
        [*setpcap, "/usr/bin/python3", "-I", "-c", program, str(theirs.fileno()), *argv], pass_fds=[theirs.fileno()]
    )
    theirs.close()
    try:
        link: Channel[object, object] = Channel(ours, KeeperToLauncher)
        link.send(Survey("/nonexistent", "/nonexistent"))
        link.receive()
        yield child.pid
    finally:
        ours.close()
        child.kill()
        child.wait()


def test_d19_the_same_user_reads_neither_memory_nor_environment_of_a_keeper() -> None:
    """The real keeper and a reader of the same uid, both without capabilities. The control is the same keeper with
    its first line, `harden`, taken away."""
    with ordinary(sys.executable, "-I", "-m", "bot_bottle.keeper.main") as pid:
        assert without_capabilities(pid) == ""
    soft = "import bot_bottle.keeper.main as m; m.harden = lambda: None; m.main()"
    with ordinary(sys.executable, "-I", "-c", soft) as pid:
        found = without_capabilities(pid)
        assert "mem" in found
        assert "ptrace" in found


def test_d19_the_keeper_and_the_gateway_write_no_core_and_hold_no_foreign_descriptor(world: World) -> None:
    with open(world.project / "a.txt") as leaked:
        os.set_inheritable(leaked.fileno(), True)
        done = subprocess.run(
            [*PROGRAM, "start", "command", "-d", "--label", "one", "--bottle", "b", "--", "sleep", "60"], cwd=world.project,
            env=world.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, close_fds=False, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for words in ("keeper.main", "egress.main", "bottles.session"):
        pid = spoken(world, words)
        names = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
        assert str(world.project / "a.txt") not in names, words
        assert os.readlink(f"/proc/{pid}/cwd") == "/"
        if words != "bottles.session":
            limits = Path(f"/proc/{pid}/limits").read_text()
            core = next(line for line in limits.splitlines() if line.startswith("Max core"))
            assert core.split()[4] in ("0", "1"), core
    world.cli("stop", "one")


def test_d19_no_key_is_in_any_environment_or_argument(world: World) -> None:
    secret = "sk-real-from-the-environment-0123456789"
    world.cli("secret", "remove", "example")
    world.env["BOT_BOTTLE_SECRET_EXAMPLE"] = secret
    detach(world, "sleep 60")
    for pid, line in processes(str(world.home.parent)):
        environ = Path(f"/proc/{pid}/environ").read_bytes()
        assert secret not in line
        if "keeper.main" not in line and "bottles.session" not in line:
            assert secret.encode() not in environ, line
    world.cli("stop", "one")


# ---- B59, B63: the control sockets


def test_b59_the_agent_reaches_no_control_socket(world: World) -> None:
    """No unix socket of ours is visible inside, and none can be connected to by its path; the host can (control)."""
    detach(world, "sleep 60")
    place = world.home / "run" / "one"
    assert (place / "control").is_socket()
    script = (
        "import os, socket, sys\n"
        "found = [os.path.join(d, f) for d, _, fs in os.walk('/') if not d.startswith('/proc') for f in fs\n"
        "         if os.path.exists(os.path.join(d, f)) and (os.stat(os.path.join(d, f)).st_mode & 0o170000) == 0o140000]\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n"
        "        socket.socket(socket.AF_UNIX).connect(path)\n"
        "        found.append(path)\n"
        "    except OSError:\n"
        "        pass\n"
        "print(found)\n"
    )
    done = world.cli("exec", "one", "--", "python3", "-c", script, str(place / "control"), str(place / "session"))
    assert done.stdout == "[]\n", done.stdout + done.stderr
    with control.connect(str(place), "control") as sock:
        assert sock.getpeername()
    world.cli("stop", "one")


ANSWERED, CLOSED, UNREACHED = 0, 1, 2


@pytest.mark.skipif(os.geteuid() != 0, reason="another user needs root; CI is root")
def test_b59_b63_another_user_is_refused_at_the_control_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even where the file modes were opened by mistake: SO_PEERCRED decides. Controls: our own uid is answered, and
    so is the other one once `is_ours` is taken away."""
    place = tmp_path / "run"
    heard: list[object] = []

    def answer(message: object, reply: Callable[[Done], None]) -> None:
        heard.append(message)
        reply(Done())

    loop = Loop()
    server = control.ControlServer(loop, str(place), answer)  # pyright: ignore[reportArgumentType]
    for path in (place, *place.parents):
        if str(path).startswith("/tmp/"):
            with contextlib.suppress(OSError):
                path.chmod(0o755)
    assert asked_as(65530, loop, place) == UNREACHED, "0600 holds alone"
    (place / "control").chmod(0o666)
    assert asked_as(65530, loop, place) == CLOSED
    assert heard == []
    assert asked_as(0, loop, place) == ANSWERED
    assert len(heard) == 1
    monkeypatch.setattr(control, "is_ours", lambda _sock: True)
    assert asked_as(65530, loop, place) == ANSWERED
    server.close()


def asked_as(uid: int, loop: Loop, place: Path) -> int:
    """A process that has become this uid asks the keeper to stop; what came of it."""
    pid = os.fork()
    if pid == 0:
        os._exit(conversation(uid, place))
    pidfd = os.pidfd_open(pid)
    ended: list[int] = []
    loop.read(pidfd, lambda: ended.append(pid))
    assert loop.run(lambda: bool(ended), 20)
    loop.forget(pidfd)
    os.close(pidfd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def conversation(uid: int, place: Path) -> int:
    try:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        link: Channel[Stop, Done] = Channel(control.connect(str(place), "control"), Done)
    except OSError:
        return UNREACHED
    try:
        link.send(Stop("me"))
        link.receive()
    except (ChannelClosed, OSError):
        return CLOSED
    return ANSWERED


def test_b63_the_bottles_doors_are_not_on_the_hosts_loopback(world: World) -> None:
    """No other local process can use the gateway: it listens in the bottle's own namespace and nowhere else."""
    detach(world, "sleep 60")
    gateway = spoken(world, "egress.main")
    here = Path("/proc/net/tcp").read_text() + Path("/proc/net/tcp6").read_text()
    mine = {line.split()[9] for line in here.splitlines()[1:] if len(line.split()) > 9 and line.split()[3] == "0A"}
    held = {os.readlink(f"/proc/{gateway}/fd/{fd}") for fd in os.listdir(f"/proc/{gateway}/fd")}
    assert not mine & {name[8:-1] for name in held if name.startswith("socket:")}
    assert world.cli("exec", "one", "--", "curl", "-sS", f"https://{HOST}/x").stdout == "hello\n"
    world.cli("stop", "one")


# ---- D22: cleaning up after an agent


def test_d22_cleanup_follows_no_link_and_hangs_on_no_fifo(world: World) -> None:
    outside = world.home.parent / "outside"
    outside.mkdir()
    (outside / "precious").write_text("precious")
    script = f"ln -s {outside} link; mkfifo pipe $HOME/pipe; ln -s {outside} $HOME/link; ln -s / $HOME/root; mkdir -m 0 shut; echo up; sleep 60"
    child = world.begin("run", "--bottle", "b", "--label", "one", "--", "sh", "-c", script)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    child.kill()
    child.communicate(timeout=10)
    assert world.quiet() == []
    inside = world.home / "state" / "one" / "home"
    assert (inside / "link" / "precious").read_text() == "precious"  # the control: whoever follows it, is there
    assert (inside / "root" / "etc").is_dir()
    assert (inside / "pipe").is_fifo()
    done = world.cli("cleanup", timeout=30)
    assert done.returncode == 0, done.stderr
    assert "removed one" in done.stdout
    assert (outside / "precious").read_text() == "precious"
    assert not (world.home / "state" / "one").exists()


def test_d22_the_harvest_of_a_headless_run_follows_no_link(world: World) -> None:
    """A harness whose outcome lies in a file: the agent makes it a link to a file of the host."""
    from bot_bottle.api.headless import home_file

    secret = world.home.parent / "host-file"
    secret.write_text('{"info": {"exit_status": "Submitted"}}')
    place = world.home.parent / "agent-home"
    place.mkdir()
    (place / "trajectory.json").symlink_to(secret)
    os.mkfifo(place / "fifo.json")
    assert home_file(str(place), "trajectory.json") == b""
    assert home_file(str(place), "fifo.json") == b""
    (place / "real.json").write_text("{}")
    assert home_file(str(place), "real.json") == b"{}"
    assert json.loads((place / "trajectory.json").read_text())["info"]


# ---- S12: the gateway under many connections, and the other bottle


def test_s12_five_thousand_connections_and_a_slow_loris_leave_the_other_bottle_working(world: World) -> None:
    script = (
        "import socket, time\n"
        "held = []\n"
        "for n in range(5000):\n"
        "    s = socket.socket(); s.settimeout(1)\n"
        "    try:\n"
        "        s.connect(('127.0.0.1', 3128)); s.send(b'GET http://api.example.com/'); held.append(s)\n"
        "    except OSError:\n"
        "        s.close()\n"
        "    if len(held) > 3000: held.pop(0).close()\n"
        "print('flooded', flush=True)\n"
        "while True:\n"
        "    for s in held[:200]:\n"
        "        try: s.send(b'a')\n"
        "        except OSError: pass\n"
        "    time.sleep(0.2)\n"
    )
    (world.project / "flood.py").write_text(script)
    detach(world, "sleep 120", label="other")
    child = world.begin("run", "--bottle", "b", "--label", "flood", "--", "python3", "flood.py")
    assert child.stdout is not None
    assert child.stdout.readline() == "flooded\n"
    gateways = [pid for pid, line in processes(str(world.home.parent)) if "egress.main" in line]
    held = sorted(len(os.listdir(f"/proc/{pid}/fd")) for pid in gateways)
    most = Limits().connections
    assert held[0] < 64, held  # the other bottle's gateway has nothing of it
    assert most / 2 < held[1] < most + 64, held  # the control: the flood is real; the limit is what stops it
    done = world.cli("exec", "other", "--", "curl", "-sS", "-m", "10", f"https://{HOST}/x")
    assert done.stdout == "hello\n", done.stderr
    assert world.cli("stop", "flood").returncode == 0
    child.communicate(timeout=30)
    assert world.cli("stop", "other").returncode == 0
    assert "bad" not in world.verify().stdout
