"""One lease per label: who runs under it, and whether that process still lives (D08, D22: nothing stays behind).

The lock is an open-file-description lock on `<label>.lock`: the kernel drops it when the holder dies, however it
dies, and asking about it does not take it. The facts lie beside it in `<label>.json`, replaced by rename.
"""

import errno
import fcntl
import os
import struct
from collections.abc import Collection

import msgspec

from bot_bottle.base.errors import BusyFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.base.ids import is_label
from bot_bottle.base.text import visible
from bot_bottle.bottles.seal.enter import Handle

_FLOCK = struct.Struct("hhqqi4x")


class Process(msgspec.Struct, frozen=True):
    """A pid with its start time (clock ticks since boot), so that a reused pid is never mistaken for it."""

    name: str
    pid: int
    start: int


class Held(msgspec.Struct):
    """What the lease of a label says. state: starting | running | ending | kept. started: wall clock ns.

    work: whether its changes matter when its launcher dies (not where they are thrown away anyway). handle: how
    another process of this user enters the bottle (exec, forward). env: of the agent, for exec; placeholders only:
    what a bottle file shows with ``visible: true`` is left out, so that no key lies on the disk. frozen: why, or "".
    task, leaf: as in the plan. policy: digest at the start.
    """

    label: str
    run: str
    bottle: str
    agent: str
    harness: str
    workspace: str
    started: int
    state: str = "starting"
    detached: bool = False
    work: bool = False
    frozen: str = ""
    log: str = ""
    backend: str = "bubblewrap"
    processes: tuple[Process, ...] = ()
    handle: Handle | None = None
    env: dict[str, str] = {}
    task: str = ""
    policy: str = ""
    leaf: str = ""


class Lease:
    """A label that this process holds until `release` or its death."""

    def __init__(self, home: Home, held: Held, lock: int) -> None:
        self._home = home
        self.held = held
        self._lock = lock

    def update(self, **changes: object) -> None:
        """Writes changed facts; readers see the old or the new ones, never a half."""
        self.held = msgspec.structs.replace(self.held, **changes)
        _write(_path(self._home, self.held.label, "json"), msgspec.json.encode(self.held))

    def release(self, keep: bool = False) -> None:
        """Frees the label. keep: the facts stay, for changes that somebody will apply or discard later."""
        if self._lock < 0:
            return
        if not keep:
            for kind in ("json", "lock"):
                _remove(_path(self._home, self.held.label, kind))
        os.close(self._lock)
        self._lock = -1

    def fileno(self) -> int:
        return self._lock


def take(home: Home, held: Held) -> Lease:
    """The lease of a free label. Raises BusyFault where another process or kept changes have it."""
    label = held.label
    _path(home, label, "lock")  # before anything is made
    os.makedirs(_directory(home), 0o700, exist_ok=True)
    while True:
        lock = os.open(_path(home, label, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.fcntl(lock, fcntl.F_OFD_SETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
        except OSError as taken:
            os.close(lock)
            raise busy(label) from taken
        if _same(lock, _path(home, label, "lock")):
            break
        os.close(lock)
    before = read(home, label)
    if before is not None and before.state == "kept":
        os.close(lock)
        raise busy(label, before)
    lease = Lease(home, held, lock)
    lease.update()
    return lease


def free_label(home: Home, name: str, refused: Collection[str] = ()) -> str:
    """`name`, or `name-2` and so on: the first that nobody has and that is not among the refused."""
    taken = {held.label for held, lives in leases(home) if lives or held.state == "kept"} | set(refused)
    base = name.lower().replace("_", "-")[:50]
    return next(label for n in range(1, 10000) if (label := base if n == 1 else f"{base}-{n}") not in taken)


def busy(label: str, held: Held | None = None) -> BusyFault:
    """The sentence for a label that somebody has."""
    if held is not None and held.state == "kept":
        what = f"The label {label} has changes that wait."
        return BusyFault("label.kept", what, f"bot-bottle apply {label}, bot-bottle discard {label}, or --label.")
    hint = f"Choose another with --label, or end it: bot-bottle stop {label}."
    return BusyFault("label.busy", f"A bottle labelled {label} is running.", hint)


def read(home: Home, label: str) -> Held | None:
    """The facts of a label, or None where there are none (or they are unreadable)."""
    try:
        with open(_path(home, label, "json"), "rb") as file:
            return msgspec.json.decode(file.read(1 << 20), type=Held)
    except (FileNotFoundError, UsageFault, msgspec.MsgspecError):
        return None


def alive(home: Home, label: str) -> bool:
    """Whether a process holds the label's lock."""
    try:
        lock = os.open(_path(home, label, "lock"), os.O_RDONLY | os.O_CLOEXEC)  # web may only read the home
    except (OSError, UsageFault):
        return False
    try:
        answer = fcntl.fcntl(lock, fcntl.F_OFD_GETLK, _FLOCK.pack(fcntl.F_WRLCK, 0, 0, 0, 0))
    finally:
        os.close(lock)
    return _FLOCK.unpack(answer)[0] != fcntl.F_UNLCK


def leases(home: Home) -> list[tuple[Held, bool]]:
    """All leases with whether they live, oldest first."""
    try:
        names = sorted(os.listdir(_directory(home)))
    except FileNotFoundError:
        return []
    labels = [name[:-5] for name in names if name.endswith(".json") and is_label(name[:-5])]
    found = [(held, alive(home, label)) for label in labels if (held := read(home, label))]
    return sorted(found, key=lambda pair: pair[0].started)


def mark_kept(home: Home, held: Held) -> None:
    """The holder died, but the agent's work lies there: the label keeps it until somebody applies or discards it."""
    if not alive(home, held.label):
        kept = msgspec.structs.replace(held, state="kept", processes=(), handle=None, env={})
        _write(_path(home, held.label, "json"), msgspec.json.encode(kept))


def forget(home: Home, label: str) -> None:
    """Removes the lease of a label whose holder is dead. Does nothing while somebody holds it."""
    if not alive(home, label):
        for kind in ("json", "lock"):
            _remove(_path(home, label, kind))


def process(name: str, pid: int) -> Process:
    """A process with its start time."""
    return Process(name, pid, start_time(pid))


def start_time(pid: int) -> int:
    """Field 22 of /proc/PID/stat; 0 where there is no such process."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[19])
    except (OSError, IndexError, ValueError):
        return 0


def _directory(home: Home) -> str:
    return f"{home.root}/leases"


def _path(home: Home, label: str, kind: str) -> str:
    """Raises UsageFault for what is no label: it could name a file elsewhere, and the pids in it are to be killed."""
    if not is_label(label):
        what = f"{visible(label, 64)!r} is no label."
        raise UsageFault("label.bad", what, "Use lower-case letters, digits, dots and hyphens.")
    return f"{_directory(home)}/{label}.{kind}"


def _write(path: str, data: bytes) -> None:
    """By rename; on a full disk in place where the new text is no longer than the old: `kept` must be sayable."""
    part = f"{path}.{os.getpid()}"
    try:
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
        os.replace(part, path)
    except OSError as error:
        _remove(part)
        if error.errno not in (errno.ENOSPC, errno.EDQUOT) or not _fits(path, data):
            raise


def _fits(path: str, data: bytes) -> bool:
    try:
        with open(path, "r+b") as file:
            size = os.fstat(file.fileno()).st_size
            if len(data) > size:
                return False
            file.write(data + b" " * (size - len(data)))
    except OSError:
        return False
    return True


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass


def _same(fd: int, path: str) -> bool:
    """Whether the lock file is still the one that this path names (its last holder may have removed it)."""
    try:
        mine, there = os.fstat(fd), os.stat(path)
    except FileNotFoundError:
        return False
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)
