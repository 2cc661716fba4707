"""Control groups, versions 1 and 2, where the kernel lets us make one for a bottle (cgroups(7)).

Version 2 needs a parent of ours whose controllers are delegated to its children; the group lies beside our own, since
a group with processes has no controlled children. What is left of a killed launcher is removed by the next start.
"""

import contextlib
import os
import secrets
from dataclasses import dataclass, field

PREFIX = "bot-bottle-"
V1_WANTED = ("memory", "pids", "cpu", "freezer")
PERIOD_US = 100_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where groups can be made. parents: controller -> directory; version 2 has one directory for all."""

    version: int = 0
    parents: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def controllers(self) -> frozenset[str]:
        return frozenset(self.parents)


def find(proc: str = "/proc/self", root: str = "") -> Place:
    """The place on this host, empty where there is none. root: prefix of mount points, for tests."""
    with open(f"{proc}/cgroup") as file:
        own = [line.rstrip("\n").split(":", 2) for line in file]
    mounts = cgroup_mounts(proc)
    first = version_one(own, mounts, root)
    if "memory" in first or "pids" in first:
        return Place(1, first)
    second = version_two(own, mounts, root)
    return Place(2, second) if second else Place()


def cgroup_mounts(proc: str) -> list[tuple[str, str, str, set[str]]]:
    """(kind, root in the hierarchy, mount point, options) of every mounted hierarchy."""
    found: list[tuple[str, str, str, set[str]]] = []
    with open(f"{proc}/mountinfo") as file:
        for line in file:
            left, _, right = line.partition(" - ")
            kind, _, options = [*right.split(), "", "", ""][:3]
            if kind in ("cgroup", "cgroup2"):
                found.append((kind, left.split()[3], left.split()[4], set(options.split(","))))
    return found


def version_one(own: list[list[str]], mounts: list[tuple[str, str, str, set[str]]], root: str) -> dict[str, str]:
    parents: dict[str, str] = {}
    for kind, top, point, options in mounts:
        for _, names, path in own:
            for name in set(names.split(",")) & options & set(V1_WANTED) if kind == "cgroup" else ():
                directory = (root + point + below(path, top)).rstrip("/")
                if os.access(directory, os.W_OK | os.X_OK):
                    parents[name] = directory
    return parents


def version_two(own: list[list[str]], mounts: list[tuple[str, str, str, set[str]]], root: str) -> dict[str, str]:
    """The nearest ancestor of our group that hands controllers to its children and that we may write."""
    paths = [path for number, names, path in own if number == "0" and not names]
    for _, top, point, _ in [mount for mount in mounts if mount[0] == "cgroup2"]:
        at = below(paths[0], top) if paths else "/"
        while True:
            directory = (root + point + at).rstrip("/")
            handed = read_words(f"{directory}/cgroup.subtree_control") & {"memory", "pids", "cpu"}
            if handed and all(os.access(f"{directory}{name}", os.W_OK) for name in ("", "/cgroup.procs")):
                return dict.fromkeys((*handed, "freezer"), directory)
            if at in ("/", ""):
                break
            at = os.path.dirname(at)
    return {}


def below(path: str, top: str) -> str:
    return path[len(top) :] if top != "/" and path.startswith(top) else path


def read_words(path: str) -> set[str]:
    with contextlib.suppress(OSError), open(path) as file:
        return set(file.read().split())
    return set()


@dataclass(slots=True)
class Group:
    """One bottle's groups. directories: one per controller (version 1) or one (version 2)."""

    directories: tuple[str, ...] = ()

    def remove(self) -> None:
        """After the last process is gone; a group that is still dying is left to the next start."""
        for directory in self.directories:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        self.directories = ()


def create(place: Place, memory: int, pids: int, cpus: int) -> Group:
    """Groups with these limits, where the place has the controllers. Raises OSError and leaves nothing."""
    sweep(place)
    name = f"{PREFIX}{pid_namespace()}-{os.getpid()}-{secrets.token_hex(4)}"
    made: dict[str, str] = {}
    for directory in sorted(set(place.parents.values())):
        made[directory] = f"{directory}/{name}"
    group = Group(tuple(made.values()))
    try:
        for directory in group.directories:
            os.mkdir(directory, 0o755)
        for controller, file, value in settings(place.version, memory, pids, cpus):
            if controller in place.parents:
                write(f"{made[place.parents[controller]]}/{file}", value)
    except OSError:
        group.remove()
        raise
    return group


def settings(version: int, memory: int, pids: int, cpus: int) -> list[tuple[str, str, str]]:
    """(controller, file, value) in the order in which the kernel accepts them."""
    quota = cpus * PERIOD_US
    if version == 1:
        out = [("memory", "memory.limit_in_bytes", str(memory)), ("pids", "pids.max", str(pids))]
        return out + ([("cpu", "cpu.cfs_quota_us", str(quota))] if cpus else [])
    out = [("memory", "memory.max", str(memory)), ("memory", "memory.swap.max", "0"), ("pids", "pids.max", str(pids))]
    return out + ([("cpu", "cpu.max", f"{quota} {PERIOD_US}")] if cpus else [])


def write(path: str, value: str) -> None:
    """memory.swap.max is absent without swap accounting; nothing else may be missing."""
    if path.endswith("memory.swap.max") and not os.path.exists(path):
        return
    with open(path, "w") as file:
        file.write(value)


def sweep(place: Place) -> None:
    """Removes empty groups of ours whose launcher is gone; a group with processes cannot be removed anyway.

    Only of our own pid namespace: a container that shares the tree has launchers whose pids say nothing here.
    """
    ours = f"{PREFIX}{pid_namespace()}-"
    for directory in set(place.parents.values()):
        with contextlib.suppress(OSError):
            left = [name for name in os.listdir(directory) if _is_left(name, ours)]
            for name in left:
                with contextlib.suppress(OSError):
                    os.rmdir(f"{directory}/{name}")


def _is_left(name: str, ours: str) -> bool:
    """Whether a group of ours has no launcher any more. ours: how the names of our groups begin."""
    owner = name.removeprefix(ours).split("-")[0]
    return name.startswith(ours) and owner.isdigit() and not os.path.exists(f"/proc/{owner}")


def pid_namespace() -> int:
    """Inode of the pid namespace that /proc shows us; 0 where it cannot be read."""
    with contextlib.suppress(OSError):
        return os.stat("/proc/self/ns/pid").st_ino
    return 0
