"""The watchdog: a small forked process that sums what a bottle uses and ends it when that is too much.

It holds nothing but the bottle's pidfd, descriptors of the trees that it measures and a pipe for its last word. It
never follows a link that an agent made, and opens nothing but directories (D22). S12, D16.
"""

import contextlib
import os
import select
import signal
import stat
import time
from dataclasses import dataclass
from typing import NoReturn

from bot_bottle.bottles.seal import buffers, kernel, processes
from bot_bottle.bottles.seal.bottle import kill

EVERY_SECONDS = 1.0
MOST_ENTRIES = 2_000_000
ENTRY_BYTES = 256
SYSV_BYTES = {b"rss": 1, b"swap": 1, b"cbytes": 1, b"nsems": 64}  # columns; a semaphore has a cache line
MOST_FILES = 50_000
HOST_FREE = 0.03  # a bottle whose memory is only watched goes before the host swaps or kills
DISK_SHARE = 5  # of the time at most one part in so many is spent walking


@dataclass(frozen=True, slots=True)
class Measures:
    """memory, disk: bytes, 0 = not watched. trees: directories that count as disk. meters: see `meter_bytes`."""

    first: int
    pidfd: int
    memory: int
    disk: int
    trees: tuple[str, ...]
    meters: tuple[int, ...]


def fork(measures: Measures) -> tuple[int, int]:
    """Starts the watchdog: its pid, and the pipe on which it says why it ended the bottle (EOF: it did not)."""
    reader, writer = os.pipe()
    launcher = os.getpid()
    pid = os.fork()
    if pid == 0:
        watch(measures, writer, launcher)
    os.close(writer)
    return pid, reader


def watch(measures: Measures, writer: int, launcher: int) -> NoReturn:
    try:
        kernel.die_with_parent()
        if os.getppid() != launcher:
            os._exit(1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN if number == signal.SIGINT else signal.SIG_DFL)
        trees = [os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC) for tree in measures.trees]
        close_but({measures.pidfd, writer, *measures.meters, *trees})
        reason = until_breach(measures, trees)
        if reason:
            os.write(writer, reason.encode())
            kill(measures.pidfd)
    finally:
        os._exit(0)


def close_but(keep: set[int]) -> None:
    for fd in [int(name) for name in os.listdir("/proc/self/fd")]:
        if fd not in keep:
            with contextlib.suppress(OSError):
                os.close(fd)


def until_breach(measures: Measures, trees: list[int]) -> str:
    """The sentence of what was too much, or "" at the end of the bottle."""
    poll = select.poll()
    poll.register(measures.pidfd, select.POLLIN)
    next_walk = 0.0
    while not poll.poll(EVERY_SECONDS * 1000):
        if measures.memory and (used := memory_used(measures)) > measures.memory:
            return f"memory: {used} bytes of {measures.memory}"
        if measures.memory and (free := host_free()) < HOST_FREE:
            return f"memory: only {free:.1%} of this machine's memory was left"
        if measures.disk and time.monotonic() >= next_walk:
            began = time.monotonic()
            if (used := disk_used(measures, trees)) > measures.disk:
                return f"disk: {used} bytes of {measures.disk}"
            next_walk = time.monotonic() + (time.monotonic() - began) * DISK_SHARE
    return ""


def memory_used(measures: Measures) -> int:
    """Private memory of all its processes, and the larger of: mapped shared memory; all that has a meter, and memory
    files.

    The larger, not the sum: what is mapped of those is in both. Nothing counts page tables and pipes (the kernel
    bounds them for each user); against those stands `host_free`.
    """
    found = processes.members(measures.first)
    resident = sum(processes.resident_bytes(process.pid) for process in found)
    metered = sum(meter_bytes(meter) for meter in measures.meters)
    mapped = sum(processes.shared_bytes(process.pid) for process in found)
    seen: set[int] = set()
    files = sum(processes.memfd_bytes(process.pid, seen, MOST_FILES // max(len(found), 1)) for process in found)
    return resident + max(metered + files, mapped)


def disk_used(measures: Measures, trees: list[int]) -> int:
    """What lies in the trees, and what was deleted there but is still open."""
    devices = {os.fstat(tree).st_dev for tree in trees}
    found = processes.members(measures.first)
    seen: set[int] = set()
    most = MOST_FILES // max(len(found), 1)
    nameless = sum(processes.deleted_bytes(process.pid, seen, most, devices) for process in found)
    return nameless + sum(tree_bytes(tree) for tree in trees)


def host_free(path: str = "/proc/meminfo") -> float:
    """The part of this machine's memory that is available, 0 to 1; 1 where the kernel does not say."""
    with contextlib.suppress(OSError, ValueError, KeyError, ZeroDivisionError), open(path) as file:
        facts = dict(line.split(":", 1) for line in file)
        return int(facts["MemAvailable"].split()[0]) / int(facts["MemTotal"].split()[0])
    return 1.0


def meter_bytes(meter: int) -> int:
    """Of a tmpfs by its directory, of all sockets by a link to sock_diag, or of the System V objects of one kind by
    their table (proc(5), sysvipc)."""
    mode = os.fstat(meter).st_mode
    if stat.S_ISDIR(mode):
        return tmpfs_bytes(meter)
    return buffers.held_bytes(meter) if stat.S_ISSOCK(mode) else sysv_bytes(meter)


def sysv_bytes(table: int) -> int:
    """Resident and swapped bytes of segments, bytes in queues, or the kernel's own of semaphores."""
    os.lseek(table, 0, os.SEEK_SET)
    with open(table, "rb", closefd=False) as file:
        head, *rows = (line.split() for line in file)
    return sum(SYSV_BYTES.get(name, 0) * int(value) for row in rows for name, value in zip(head, row, strict=False))


def tmpfs_bytes(meter: int) -> int:
    with contextlib.suppress(OSError):
        found = os.fstatvfs(meter)
        return (found.f_blocks - found.f_bfree) * found.f_frsize
    return 0


def tree_bytes(top: int) -> int:
    """Allocated bytes below a directory, one descriptor per level. Entries count: empty files are not free."""
    total, entries = 0, 0
    levels = [(os.dup(top), [""])]
    while levels:
        at, names = levels[-1]
        if not names:
            os.close(levels.pop()[0])
            continue
        with contextlib.suppress(OSError):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            directory = os.open(names.pop() or ".", flags, dir_fd=at)
            size, count, below = directory_bytes(directory)
            total, entries = total + size, entries + count
            levels.append((directory, below if entries < MOST_ENTRIES else []))
    return total


def directory_bytes(directory: int) -> tuple[int, int, list[str]]:
    """(bytes, entries, names of subdirectories) of one directory."""
    total, count = 0, 0
    below: list[str] = []
    with os.scandir(directory) as found:
        for entry in found:
            count += 1
            with contextlib.suppress(OSError):
                total += entry.stat(follow_symlinks=False).st_blocks * 512 + ENTRY_BYTES
                if entry.is_dir(follow_symlinks=False):
                    below.append(entry.name)
    return total, count, below
