"""What an exploited gateway can still do (D01, D17, D19, S01, S02, S09, B47, B59): next to nothing.

Each attempt runs inside the real, confined process, after it serves; the control runs it before confinement.
"""

import os
from pathlib import Path

import pytest

from gateway_fixtures import Start
from gateway_stand import Stand, Upstream, get, route

ATTEMPTS = {
    "new program": "os.execv('/bin/true', ['true'])",
    "new process": "os._exit(9) if os.fork() == 0 else None",
    "posix_spawn": "os.posix_spawn('/bin/true', ['true'], {})",
    "unix socket": "socket.socket(socket.AF_UNIX)",
    "socket pair": "socket.socketpair()",
    "vsock": "socket.socket(40, socket.SOCK_STREAM)",
    "packet socket": "socket.socket(17, socket.SOCK_RAW)",
    "write a file": "open(DIR + '/new', 'w')",
    "append to a file": "open(DIR + '/new', 'a')",
    "read a host file": "open('/etc/passwd').read()",
    "list a host directory": "os.listdir('/root')",
    "read another's environment": "open('/proc/self/environ').read()",
    "truncate the log": "os.ftruncate(LOG, 0)",
    "rewrite the log": "os.pwrite(LOG, b'x', 0)",
    "punch the log": "libc.fallocate(LOG, 3, 0, 10) and fail()",
    "drop append": "fcntl.fcntl(LOG, fcntl.F_SETFL, 0)",
    "punch by ioctl": "fcntl.ioctl(LOG, 0x4030582b, bytes(48))",
    "reopen the log": "os.open(f'/proc/self/fd/{LOG}', os.O_WRONLY)",
    "trace": "libc.ptrace(16, os.getppid(), 0, 0) and fail()",
    "read memory": "libc.process_vm_readv(os.getppid(), 0, 0, 0, 0, 0) and fail()",
    "io_uring": "libc.syscall(425, 1, 0) < 0 and fail()",
    "be dumpable again": "libc.prctl(4, 1, 0, 0, 0) and fail()",
    "signal another": "os.kill(os.getppid(), 0)",
    "unshare": "libc.unshare(0x10000000) and fail()",
    "bind a port": "socket.socket().bind(('127.0.0.1', 0))",
}
HARNESS = """
import sys, os, socket, fcntl, ctypes
libc = ctypes.CDLL(None, use_errno=True)
LOG, DIR = {log}, {directory!r}
def fail():
    raise OSError(ctypes.get_errno(), "refused")
def attempt():
    for name, code in {attempts!r}.items():
        try:
            exec(code, globals())
            print(name, "WORKED", file=sys.stderr, flush=True)
        except OSError as error:
            print(name, "refused", error.errno, file=sys.stderr, flush=True)
import bot_bottle.egress.main as main
serve = main.Process.serve
start = main.Process.start
def late(self):
    LOG = globals()["LOG"] = self.gateway.journal.fd
    attempt()
    serve(self)
{when}
"""
LATE = "main.Process.serve = late"
CHANGES = {
    "clear O_APPEND": "fcntl.fcntl(FILE, fcntl.F_SETFL, os.O_WRONLY)",
    "pwrite64": "os.pwrite(FILE, b'x', 0)",
    "pwritev": "os.pwritev(FILE, [b'x'], 0)",
    "pwritev2": "os.pwritev(FILE, [b'x'], 0, os.RWF_DSYNC)",
    "ftruncate": "os.ftruncate(FILE, 5)",
    "truncate": "os.truncate(f'/proc/self/fd/{FILE}', 5)",
    "fallocate": "os.posix_fallocate(FILE, 0, 100)",
    "copy_file_range": "os.copy_file_range(SOURCE, FILE, 1, 0, 0)",
    "sendfile": "os.sendfile(FILE, SOURCE, 0, 1)",
    "splice": "os.write(PIPE[1], b'x'); os.splice(PIPE[0], FILE, 1)",
    "mmap": "mmap.mmap(FILE, 1)[:1]",
    "aio": "libc.syscall(AIO, 1, ctypes.byref(ctypes.c_ulong(0))) and fail()",
    "open for writing": "os.open(f'/proc/self/fd/{FILE}', os.O_WRONLY)",
    "open for both": "os.open(f'/proc/self/fd/{FILE}', os.O_RDWR)",
    "open to append": "os.open(f'/proc/self/fd/{FILE}', os.O_WRONLY | os.O_APPEND)",
}
# The file is one that the kernel itself would let change (no O_APPEND): what refuses is the filter alone.
OPENED = """
import mmap, platform
AIO = 206 if platform.machine() == "x86_64" else 0
confine = {confine}
def prepared():
    global FILE, SOURCE, PIPE
    for name in ("file", "source"):
        with open(DIR + "/" + name, "wb") as file:
            file.write(b"0123456789" * 10)
    FILE, SOURCE = (os.open(DIR + "/" + name, os.O_RDWR) for name in ("file", "source"))
    PIPE = os.pipe()
    return confine()
main.confine = prepared
"""
NEVER = "main.confine = lambda: 'nothing'\n" + LATE


def run(start: Start, upstream: Upstream, tmp_path: Path, when: str, attempts: dict[str, str]) -> dict[str, str]:
    code = HARNESS.format(log=-1, directory=str(tmp_path), attempts=attempts, when=when)
    stand = start(routes=(route(upstream),), weaken=code)
    assert stand.connect().ask(get()).status == 200
    lines = [
        line.rsplit(" ", 2) if "refused" in line else line.rsplit(" ", 1)
        for line in stand.errors.read_text().splitlines()
    ]
    return {line[0]: line[1] for line in lines}


def test_d17_d19_s01_s02_s09_b59_a_taken_over_gateway_reaches_nothing(
    start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    found = run(start, upstream, tmp_path, LATE, ATTEMPTS)
    assert found == dict.fromkeys(ATTEMPTS, "refused")


def test_d17_d19_without_confinement_the_same_attempts_work(start: Start, upstream: Upstream, tmp_path: Path) -> None:
    harmless = {
        name: code
        for name, code in ATTEMPTS.items()
        if name in ("unix socket", "write a file", "read a host file", "list a host directory", "bind a port",
                    "truncate the log", "drop append", "rewrite the log", "read another's environment", "socket pair")
    }  # fmt: skip
    found = run(start, upstream, tmp_path, NEVER, harmless)
    assert found == dict.fromkeys(harmless, "WORKED")


@pytest.mark.parametrize("confined", [True, False])
def test_d17_no_call_changes_what_the_log_holds(
    confined: bool, start: Start, upstream: Upstream, tmp_path: Path
) -> None:
    """Confined, each way is refused by the filter (the kernel itself would allow it); the control: each works."""
    when = OPENED.format(confine="main.confine" if confined else "lambda: 'nothing'") + LATE
    found = run(start, upstream, tmp_path, when, CHANGES)
    assert found == dict.fromkeys(CHANGES, "refused" if confined else "WORKED")
    assert ((tmp_path / "file").read_bytes() == b"0123456789" * 10) is confined


def test_d17_one_way_left_open_is_seen(start: Start, upstream: Upstream, tmp_path: Path) -> None:
    """Control of the filter's rows: without the one of a call, that call works and nothing else does."""
    for name in ("sendfile", "splice", "mmap", "copy_file_range"):
        gap = f"from bot_bottle.base import seccomp\nfor table in seccomp._MACHINES.values(): del table[1]['{name}']"
        found = run(start, upstream, tmp_path, OPENED.format(confine="main.confine") + gap + "\n" + LATE, CHANGES)
        assert [way for way, end in found.items() if end == "WORKED"] == [name]


def test_d01_d19_the_gateway_keeps_no_descriptor_it_was_not_given(stand: Stand) -> None:
    inherited = os.open("/etc", os.O_RDONLY)
    os.set_inheritable(inherited, True)
    try:
        links = [
            os.readlink(f"/proc/{stand.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{stand.process.pid}/fd")
        ]
    finally:
        os.close(inherited)
    files = [
        link
        for link in links
        if link.startswith("/") and link not in ("/dev/null", str(stand.log), str(stand.spool), str(stand.errors))
    ]
    assert files == []


def test_d19_memory_core_and_environment_are_closed(stand: Stand) -> None:
    pid = stand.process.pid
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status
    limits = Path(f"/proc/{pid}/limits").read_text()
    core = next(line for line in limits.splitlines() if "core" in line).split()
    assert core[4:6] == ["1", "1"]
    assert os.stat(f"/proc/{pid}/mem").st_uid == 0
    assert stand.confinement.startswith("landlock-") and stand.confinement.endswith(" seccomp")


def test_d19_every_thread_is_confined(stand: Stand) -> None:
    tasks = Path(f"/proc/{stand.process.pid}/task")
    states = [(task / "status").read_text() for task in tasks.iterdir()]
    assert len(states) == 5
    assert all("Seccomp:\t2" in state for state in states)


def test_d19_without_landlock_it_does_not_start(start: Start, upstream: Upstream) -> None:
    with pytest.raises(AssertionError, match=r"gateway\.landlock"):
        start(routes=(route(upstream),), weaken="import bot_bottle.base.landlock as l\nl.abi = lambda: 0")
