"""What a tree of processes has cost: CPU from schedstat (nanoseconds), memory as proportional set size."""

import os
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            fields = stat_fields(int(entry))
            if fields:
                children.setdefault(int(fields[1]), []).append(int(entry))
    found, waiting = [], [root]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        waiting += children.get(pid, [])
    return found


def cpu_seconds(root: int) -> float:
    """Seconds on a processor since the start. Threads that ended are only in the coarse tick count."""
    pids = tree(root)
    return max(sum(map(scheduled, pids)) / 1e9, sum(map(ticks, pids)) / _TICK)


def pss_mib(root: int) -> float:
    """Proportional set size of the tree, MiB."""
    return sum(map(pss_kib, tree(root))) / 1024


def scheduled(pid: int) -> int:
    try:
        threads = os.listdir(f"/proc/{pid}/task")
        return sum(int(Path(f"/proc/{pid}/task/{thread}/schedstat").read_text().split()[0]) for thread in threads)
    except OSError:
        return 0


def ticks(pid: int) -> int:
    fields = stat_fields(pid)
    return int(fields[11]) + int(fields[12]) if fields else 0


def pss_kib(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def stat_fields(pid: int) -> list[str]:
    """Fields of /proc/PID/stat after the name, or none when it has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return []
