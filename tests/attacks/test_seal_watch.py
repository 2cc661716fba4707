"""Memory that no process has resident: where it is only watched, a red team hid 1.5 GB from a limit of 512 MB (D16, S12)."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from attacks.seal_run import Run, code, running
from bot_bottle.bottles import limits_watch
from bot_bottle.bottles.limits_watch import Measures, host_free, memory_used
from bot_bottle.bottles.seal import buffers, kernel, processes
from bot_bottle.bottles.seal.spec import Bind

pytestmark = pytest.mark.bottle
MB = 1 << 20
MEMFD = """import os, time
fd = os.memfd_create("a")
for _ in range(100):
    os.write(fd, bytes(1 << 20))
os.dup(fd)
print(1, flush=True)
time.sleep(60)"""
SHARED = """import mmap, os, time
m = mmap.mmap(-1, 100 << 20)
m.write(b"x" * (100 << 20))
done = os.pipe()
child = os.fork() and os.fork()
for at in range(0, len(m), 4096):
    m[at]
os.write(done[1], b"x")
if child:
    [os.read(done[0], 1) for _ in range(3)]
    print(1, flush=True)
time.sleep(60)"""
DELETED = """import os, time
f = open("/mnt/out/x", "wb")
os.unlink("/mnt/out/x")
f.write(b"x" * (60 << 20))
f.flush()
print(1, flush=True)
time.sleep(60)"""

SYSV = """import ctypes, time
libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
{create}
print(1, flush=True)
time.sleep(60)"""
SEGMENTS = """for _ in range(10):
    where = ctypes.c_void_p(libc.shmat(libc.shmget(0, 10 << 20, 0o1600), None, 0))
    ctypes.memset(where, 1, 10 << 20)
    libc.shmdt(where)"""
SEMAPHORES = """for _ in range(60):
    assert libc.semget(0, 32000, 0o1600) >= 0"""
MESSAGES = """for _ in range(3500):
    queue = libc.msgget(0, 0o1600)
    for _ in range(2):
        libc.msgsnd(queue, ctypes.byref((ctypes.c_long * 1024)(1)), 8000, 0o4000)"""

PAIRS = """import socket, time
kept = []
def fill(sock, piece):
    sock.setblocking(False)
    try:
        while True:
            sock.send(piece)
    except BlockingIOError:
        pass
{fill}
print(1, flush=True)
time.sleep(60)"""
UNIX = """for _ in range(350):
    one, other = socket.socketpair()
    fill(one, bytes(65536))
    kept.append((one, other))"""
CLOSED = """for _ in range(600):
    one, other = socket.socketpair()
    fill(one, bytes(65536))
    kept.append(other)"""
TCP = """door = socket.create_server(("127.0.0.1", 0))
for _ in range(40):
    one = socket.create_connection(door.getsockname())
    fill(one, bytes(65536))
    kept.append((one, door.accept()))"""


@contextlib.contextmanager
def hidden(text: str) -> Iterator[Measures]:
    with running(code(text)) as run:
        assert run.line(20) == 1
        yield _measures(run)


def _measures(run: Run) -> Measures:
    bottle = run.bottle
    return Measures(bottle.pid, bottle.pidfd, 50 * MB, 0, (), tuple(bottle.meters))


@pytest.mark.parametrize(("text", "counter"), [(MEMFD, "memfd_bytes"), (SHARED, "shared_bytes")])
def test_d16_s12_the_watchdog_counts_memory_files_and_shared_memory_once(
    text: str, counter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with hidden(text) as measures:
        assert 100 * MB <= memory_used(measures) < 180 * MB
        assert limits_watch.until_breach(measures, []).startswith("memory: ")
        monkeypatch.setattr(processes, counter, lambda *_: 0)
        assert memory_used(measures) < 80 * MB


@pytest.mark.parametrize("create", [SEGMENTS, SEMAPHORES, MESSAGES])
def test_d16_s12_the_watchdog_counts_detached_system_v_objects(create: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with hidden(SYSV.replace("{create}", create)) as measures:
        assert 50 * MB <= memory_used(measures) < 180 * MB
        assert limits_watch.until_breach(measures, []).startswith("memory: ")
        monkeypatch.setattr(limits_watch, "sysv_bytes", lambda _: 0)
        assert memory_used(measures) < 40 * MB


@pytest.mark.parametrize("fill", [UNIX, CLOSED, TCP])
def test_d16_s12_the_watchdog_counts_what_waits_in_sockets(fill: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with hidden(PAIRS.replace("{fill}", fill)) as measures:
        assert 50 * MB <= memory_used(measures) < 300 * MB
        assert limits_watch.until_breach(measures, []).startswith("memory: ")
        monkeypatch.setattr(buffers, "held_bytes", lambda _: 0)
        assert memory_used(measures) < 40 * MB


def test_s12_a_bottle_has_system_v_objects_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "import os; print(len(os.readlink('/proc/self/ns/ipc')) * (os.readlink('/proc/self/ns/ipc') != {!r}))"
    ours = os.readlink("/proc/self/ns/ipc")
    with running(code(name.format(ours))) as run:
        assert run.line(20)
    monkeypatch.setattr(kernel, "NEWIPC", 0)  # control: nothing else makes it
    with running(code(name.format(ours))) as run:
        assert run.line(20) == 0


def test_s12_the_watchdog_counts_deleted_files_that_are_still_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binds = (Bind(str(tmp_path), "/mnt/out", writable=True, ours=True),)
    with running(code(DELETED), binds=binds) as run:
        assert run.line(20) == 1
        tree = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
        measures = Measures(run.bottle.pid, run.bottle.pidfd, 0, 50 * MB, (str(tmp_path),), ())
        assert limits_watch.until_breach(measures, [tree]).startswith("disk: ")
        monkeypatch.setattr(processes, "deleted_bytes", lambda *_: 0)
        assert limits_watch.disk_used(measures, [tree]) < MB
        os.close(tree)


def test_s12_a_watched_bottle_goes_before_the_host_runs_out(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    facts = tmp_path / "meminfo"
    facts.write_text("MemTotal: 1000 kB\nMemFree: 900 kB\nMemAvailable: 20 kB\n")
    assert host_free(str(facts)) == 0.02
    facts.write_text("")
    assert host_free(str(facts)) == 1.0
    reader, writer = os.pipe()
    measures = Measures(os.getpid(), reader, 1 << 50, 0, (), ())
    monkeypatch.setattr(limits_watch, "EVERY_SECONDS", 0.01)
    monkeypatch.setattr(limits_watch, "host_free", lambda: 0.02)
    assert "of this machine's memory" in limits_watch.until_breach(measures, [])
    monkeypatch.setattr(limits_watch, "host_free", lambda: 1.0)
    os.close(writer)
    assert limits_watch.until_breach(measures, []) == ""
    os.close(reader)
