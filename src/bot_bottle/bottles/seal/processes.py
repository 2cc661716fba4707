"""The processes of one bottle as the host sees them: down from its first process, and by its pid namespace.

Orphans inside are adopted by the bottle's own init; a process that forks while we look is found by looking again.
"""

import contextlib
import os
import stat
from dataclasses import dataclass

PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Process:
    """state: R, S, D, T, Z ... as in proc(5)."""

    pid: int
    parent: int
    state: str
    command: str


def children_of_all() -> dict[int, list[Process]]:
    """parent pid -> its children, for every process we can see, in one pass over /proc."""
    table: dict[int, list[Process]] = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        process = read_process(int(name))
        if process:
            table.setdefault(process.parent, []).append(process)
    return table


def read_process(pid: int) -> Process | None:
    """From /proc/PID/stat; the command may hold any byte, so the fields start after its last parenthesis."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        text = file.read()
        command = text[text.index(b"(") + 1 : text.rindex(b")")].decode("utf-8", "replace")
        state, parent = text[text.rindex(b")") + 2 :].split()[:2]
        return Process(pid, int(parent), state.decode(), command)
    return None


def born(pid: int) -> int:
    """Start time in clock ticks since boot, field 22 of proc(5) stat; 0 when there is no such process."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/stat", "rb") as file:
        text = file.read()
        return int(text[text.rindex(b")") + 2 :].split()[19])
    return 0


def members(first: int) -> list[Process]:
    """The first process, its descendants, and all that entered its pid namespace; parents before children."""
    table = children_of_all()
    top = read_process(first)
    found = [top] if top else []
    for process in found:
        found += table.get(process.pid, [])
    known = {process.pid for process in found}
    inner = namespace(found[1].pid) if len(found) > 1 else ""
    others = [process for row in table.values() for process in row if process.pid not in known]
    return [*found, *(process for process in others if inner and namespace(process.pid) == inner)]


def namespace(pid: int) -> str:
    """The pid namespace of a process, "" when it is gone or not ours to look at."""
    with contextlib.suppress(OSError):
        return os.readlink(f"/proc/{pid}/ns/pid")
    return ""


def inner_init(first: int) -> int:
    """Host pid of the init that bubblewrap made inside: the one child of the first process; 0 when there is none."""
    for process in children_of_all().get(first, []):
        return process.pid
    return 0


def resident_bytes(pid: int) -> int:
    """Private resident memory of one process, from statm: pages that it shares with files are not counted."""
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/statm", "rb") as file:
        _, resident, shared = (int(word) for word in file.read().split()[:3])
        return max(resident - shared, 0) * PAGE
    return 0


def shared_bytes(pid: int) -> int:
    """This process's share of mapped shared memory (memfd, SysV, shared anonymous, tmpfs), from smaps_rollup.

    It walks page tables, so only where statm says that something is shared. 0 where the kernel keeps it from us.
    """
    with contextlib.suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/smaps_rollup", "rb") as file:
        for line in file:
            if line.startswith(b"Pss_Shmem:"):
                return int(line.split()[1]) * 1024
    return 0


def memfd_bytes(pid: int, seen: set[int], most: int) -> int:
    """Bytes of the memory files that this process holds open and that are not in `seen`; looks at `most` of them."""
    return sum(size for path, _, size in _held(pid, seen, most) if path.startswith("/memfd:"))


def deleted_bytes(pid: int, seen: set[int], most: int, devices: set[int]) -> int:
    """The same for files on these devices that have no name any more: no walk of a tree finds them."""
    held = _held(pid, seen, most)
    return sum(size for path, device, size in held if path.endswith(" (deleted)") and device in devices)


def _held(pid: int, seen: set[int], most: int) -> list[tuple[str, int, int]]:
    """(path, device, bytes) of the nameless files that a process holds open."""
    found: list[tuple[str, int, int]] = []
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd")[:most]:
            with contextlib.suppress(OSError):
                path = f"/proc/{pid}/fd/{name}"
                target, facts = os.readlink(path), os.stat(path)
                if stat.S_ISREG(facts.st_mode) and not facts.st_nlink and facts.st_ino not in seen:
                    seen.add(facts.st_ino)
                    found.append((target, facts.st_dev, facts.st_blocks * 512))
    return found
