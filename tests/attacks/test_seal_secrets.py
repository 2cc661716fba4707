"""Nothing of the launcher comes along: no descriptor, no environment, no memory, no key (D01, D03)."""

import contextlib
import ctypes
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks.seal_run import Run, inside, no_filter, nothing, opened, python, running, without
from bot_bottle.bottles.seal import kernel, layout, start
from bot_bottle.bottles.seal.bottle import exit_status
from bot_bottle.bottles.seal.enter import Entry, Handle, enter
from bot_bottle.bottles.seal.processes import born

pytestmark = pytest.mark.bottle


@contextlib.contextmanager
def leaks() -> Iterator[None]:
    """The launcher holds a directory at 9 and a connected socket at 8, both inheritable."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        saved = {fd: os.dup(fd) for fd in (8, 9) if os.path.exists(f"/proc/self/fd/{fd}")}
        root = os.open("/", os.O_PATH | os.O_DIRECTORY)
        high = {9: os.dup2(root, 200), 8: os.dup2(client.fileno(), 201)}
        os.close(root)
        for low, fd in high.items():
            os.dup2(fd, low)
            os.close(fd)
        try:
            yield
        finally:
            for low in (8, 9):
                os.dup2(saved[low], low) if low in saved else os.close(low)
            for fd in saved.values():
                os.close(fd)


def test_d01_b57_no_descriptor_of_the_launcher_is_inherited() -> None:
    with leaks():
        sealed = inside("inherited")
    assert (sealed["dirfd"], sealed["socket"], sealed["odd"]) == ("EBADF", "EBADF", [])
    with leaks(), without(close_others=nothing):
        control = inside("inherited")
    assert control["dirfd"] == control["socket"] == "OPEN"


def test_d01_the_callers_redirected_output_cannot_be_reopened(tmp_path: Path) -> None:
    assert inside("reopen_stdout") != "OPEN"
    log = tmp_path / "log"
    log.write_text("log of the caller")
    log.chmod(0o666)
    real = start.own_stdio

    def callers(terminal: bool) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        inner, outer = real(terminal)
        os.close(inner[2])
        return (inner[0], inner[1], os.open(log, os.O_WRONLY)), outer

    with without(own_stdio=callers):
        assert inside("reopen_stdout") == "OPEN"
    assert log.read_text() == "rewritten"


def unmasked() -> list[str]:
    """The views of /proc without the cover over pid 1."""
    views = VIEWS()
    return views[: views.index("--perms")]


VIEWS = layout.kernel_views


def test_d03_b47_the_launchers_environment_is_in_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    needle = secrets.token_hex(12)
    monkeypatch.setenv("CANARY", needle)
    hexed = needle.encode().hex()
    assert inside("canary", hexed) == []
    with without(bwrap_environment=lambda: dict(os.environ), kernel_views=unmasked):
        assert "1/environ" in inside("canary", hexed)
    with without(kernel_views=unmasked):
        assert inside("canary", hexed) == []  # even if the cover over pid 1 fell


def test_d03_agents_arguments_and_variables_are_in_no_process_list() -> None:
    with running(("/bin/sleep", "30"), env={"CANARY": "seen-outside"}) as run:
        for pid in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                text = Path(f"/proc/{pid}/cmdline").read_bytes() if pid.isdigit() else b""
                assert b"seen-outside" not in text, pid
                if pid == str(run.bottle.pid):
                    assert b"sleep" not in text


def test_d03_s09_pid_one_cannot_be_read_or_traced() -> None:
    assert opened(inside("pid_one")) == set()
    with without(kernel_views=unmasked), no_filter():
        control = inside("pid_one")
    assert {"mem", "seize", "pidfd_open"} <= opened(control)


def handle(run: Run) -> Handle:
    bottle = run.bottle
    ids = bottle.ids
    return Handle(bottle.pid, born(bottle.pid), ids.inside, ids.by, "/", 256, 100, 0)


def execute(run: Run, argv: tuple[str, ...]) -> tuple[int, bytes]:
    """(status, output) of another process in the bottle."""
    reader, writer = os.pipe()
    null = os.open("/dev/null", os.O_RDONLY)
    pidfd = enter(handle(run), Entry(argv, {"PATH": "/usr/bin:/bin"}, (null, writer, writer)))
    os.close(writer)
    with open(reader, "rb") as file:
        text = file.read()
    status = exit_status(pidfd)
    os.close(pidfd)
    os.close(null)
    return status, text


def readable_again() -> None:
    """As if nobody had thought of it; as root the change of uid alone would hide the memory, so it is undone."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 1)


@pytest.mark.parametrize("defended", [True, False])
def test_d03_a_process_that_enters_never_shows_the_launchers_memory(
    defended: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    needle = secrets.token_hex(12)
    monkeypatch.setenv("CANARY", needle)
    defence = contextlib.nullcontext() if defended else without(unreadable=readable_again)
    real = kernel.install_filter
    with running(python("canary_of_newcomers", needle.encode().hex())) as run:
        assert run.line() == "watching"
        with (
            defence,
            without(install_filter=lambda program: (pause(), real(program))[1]),
        ):  # the moment before the exec
            assert execute(run, ("true",))[0] == 0
        found = run.line()
    assert found["seen"] > 0
    assert (found["found"] == 0) == defended


def pause() -> None:
    """A third of a second in the forked child, with all of its memory still there."""
    ctypes.CDLL(None).usleep(333_000)


def test_s09_the_launchers_session_keyring_stays_outside() -> None:
    libc = kernel.libc
    libc.syscall(kernel.number("keyctl"), 1, None)
    libc.syscall(kernel.number("keyctl") - 2, b"user", b"seal-canary", b"secret", 6, ctypes.c_long(-3))
    with no_filter():
        assert inside("find_key") == "ENOKEY"
        with without(own_session_keyring=nothing):
            assert inside("find_key") == "OPEN"


def test_d01_a_process_that_enters_gets_its_own_three_descriptors() -> None:
    with leaks(), running(("/bin/sleep", "30")) as run:
        status, text = execute(run, ("sh", "-c", "ls /proc/self/fd"))
    assert status == 0
    assert text.split() == [b"0", b"1", b"2", b"3"]  # 3 is ls reading the directory


def test_b69_a_process_that_enters_is_confined_like_the_agent() -> None:
    with running(("/bin/sleep", "30")) as run:
        status, text = execute(run, python("status"))
        kernel_calls = execute(run, python("kernel"))[1]
    assert status == 0
    assert b'"CapBnd": "0000000000000000"' in text
    assert b'"NoNewPrivs": "1"' in text
    assert b'"Seccomp": "2"' in text
    assert b"OPEN" not in kernel_calls
