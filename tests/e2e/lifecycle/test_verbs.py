"""A detached bottle and the verbs that reach it: list, info, exec, logs, freeze, thaw, forward, stop, cleanup."""

import json
import signal
import socket
import time
from collections.abc import Callable

import pytest

from e2e.lifecycle.world import HOST, World

pytestmark = pytest.mark.bottle


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Waits for what another process does; fails where it does not happen."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def detach(world: World, script: str, label: str = "one") -> None:
    done = world.cli("start", "command", "--detach", "--bottle", "b", "--label", label, "--", "sh", "-c", script)
    assert (done.returncode, done.stdout) == (0, f"{label}\n"), done.stderr


def test_list_info_exec_logs_and_stop(world: World) -> None:
    detach(world, "echo started; sleep 60")
    listed = json.loads(world.cli("list", "--json").stdout)["bottles"]
    assert [(one["label"], one["state"]) for one in listed] == [("one", "running")]
    info = json.loads(world.cli("info", "one", "--json").stdout)
    assert info["identity"]["label"] == "one"
    assert "seccomp" in info["confinement"]
    done = world.cli("exec", "one", "--", "sh", "-c", "id -u; echo oops >&2; exit 9")
    assert (done.stderr, done.returncode) == ("oops\n", 9)
    assert done.stdout != "0\n"
    until(lambda: world.cli("logs", "one").stdout == "started\n")
    assert world.cli("stop", "one").returncode == 0
    assert world.quiet() == []
    assert json.loads(world.cli("list", "--json").stdout)["bottles"] == []
    assert world.cli("logs", "one").stdout == "started\n"
    assert "sealed" in world.verify().stdout


def test_exec_stands_under_the_same_seal(world: World) -> None:
    """The second command gets no other network, no other filter and no capability."""
    detach(world, "sleep 60")
    script = "cat /proc/self/status; ls /proc/self/fd; curl -s --noproxy '*' -m 2 http://192.0.2.1:81/ || echo closed"
    done = world.cli("exec", "one", "--", "sh", "-c", script)
    lines = done.stdout.splitlines()
    assert "CapEff:\t0000000000000000" in lines
    assert "NoNewPrivs:\t1" in lines
    assert "Seccomp:\t2" in lines
    assert lines[-1] == "closed"
    world.cli("stop", "one")


def test_freeze_stops_traffic_and_processes_until_thaw(world: World) -> None:
    detach(world, f"while :; do curl -s https://{HOST}/tick; done")
    until(lambda: len(world.upstream.seen) > 3)
    assert world.cli("freeze", "one").returncode == 0
    count = len(world.upstream.seen)
    time.sleep(0.5)
    assert len(world.upstream.seen) <= count + 1
    assert json.loads(world.cli("info", "one", "--json").stdout)["frozen"] == "asked"
    until(lambda: "frozen" in world.cli("list").stdout)
    done = world.cli("exec", "one", "--", "true")
    assert (done.returncode, "bot-bottle thaw one" in done.stderr) == (6, True), done.stderr
    assert world.cli("thaw", "one").returncode == 0
    until(lambda: len(world.upstream.seen) > count + 3)
    world.cli("stop", "one")
    kinds = [record["kind"] for record in world.records()]
    assert kinds.count("freeze") == 1
    assert kinds.count("thaw") == 1


def test_options_behind_the_command_are_the_commands(world: World) -> None:
    done = world.cli("run", "-q", "sh", "-c", "echo $0 $1", "--keep", "-b")
    assert done.stdout == "--keep -b\n", done.stderr
    detach(world, "sleep 60")
    done = world.cli("exec", "one", "sh", "-c", "echo $0", "-t")
    assert done.stdout == "-t\n", done.stderr
    world.cli("stop", "one")


def test_a_dry_run_starts_nothing(world: World) -> None:
    done = world.cli("run", "--dry-run", "--bottle", "b", "--", "touch", "made")
    assert done.returncode == 0, done.stderr
    assert f"https://{HOST}" in done.stdout
    assert world.runs() == []


def test_a_new_secret_reaches_a_running_bottle(world: World) -> None:
    detach(world, f"while :; do curl -s https://{HOST}/tick; sleep 0.05; done")
    until(lambda: bool(world.upstream.seen))
    world.secret(value="sk-real-the-second-value-9876543210")
    until(lambda: world.upstream.seen[-1][1].endswith("9876543210"))
    world.cli("stop", "one")


def test_forward_lets_the_host_in(world: World) -> None:
    detach(world, "exec python3 -m http.server 8000 --bind 127.0.0.1")
    child = world.begin("forward", "one", "8000", "--listen", "0")
    assert child.stdout is not None
    port = int(child.stdout.readline().split()[0].rpartition(":")[2])

    def answered() -> bool:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
            sock.sendall(b"GET /a.txt HTTP/1.0\r\n\r\n")
            data = b""
            while part := sock.recv(4096):
                data += part
        return data.endswith(b"a\n")

    until(answered)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=10)
    world.cli("stop", "one")


def test_a_result_file_of_a_detached_run(world: World) -> None:
    result = world.project.parent / "r.json"
    done = world.cli(
        "start",
        "command",
        "-d",
        "--bottle",
        "b",
        "--label",
        "two",
        "--result",
        str(result),
        "--",
        "sh",
        "-c",
        "exit 5",
    )
    assert done.returncode == 0, done.stderr
    until(result.exists)
    assert json.loads(result.read_text())["exit_code"] == 5


def test_a_detached_start_that_fails_says_why(world: World) -> None:
    done = world.cli("start", "command", "-d", "--bottle", "b", "--", "/nowhere/program")
    assert done.returncode in (0, 127)
    (world.home / "secrets" / "secrets.enc").unlink()
    done = world.cli("start", "command", "-d", "--bottle", "b", "--", "true")
    assert done.returncode == 3
    assert "secret set example" in done.stderr
