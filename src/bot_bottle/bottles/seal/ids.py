"""Who the agent is on the host: never uid 0, and as root a uid of its own per bottle (D16, S03).

Root takes uids from a range that nobody owns (above systemd's container range, outside every subordinate range);
a lock file per slot, held as long as its bottle lives, makes two bottles of one host differ. An ordinary user has
only itself.
"""

import contextlib
import fcntl
import itertools
import os
import signal
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot_bottle.base.errors import HostFault
from bot_bottle.bottles.seal import kernel

NOBODYS = range(0x70000000, 0x78000000)
INSIDE = 1000
SLOTS = 4096
ATTEMPTS = 10
LOCKS = ("/run/bot-bottle/uids", "/var/lib/bot-bottle/uids")


@dataclass(frozen=True, slots=True)
class Ids:
    """inside: uid and gid in the bottle. uid, gid: on the host. by: ``own`` (root) or ``self``.

    lock: descriptor that keeps the uid ours, -1 where there is none; closed by `release`.
    """

    inside: int
    uid: int
    gid: int
    by: str
    lock: int = -1

    def release(self) -> None:
        """Gives the uid back; only after the last process of the bottle is gone."""
        if self.lock >= 0:
            with contextlib.suppress(OSError):
                os.close(self.lock)


def choose() -> Ids:
    """The ids of the next bottle. Raises HostFault where root has no uid to spare."""
    if os.getuid() != 0:
        return Ids(os.getuid(), os.getuid(), os.getgid(), "self")
    mapped = mapped_uids()
    if len(mapped) == 1 and len(mapped[0]) == 1 and mapped[0].start == 0:
        return Ids(INSIDE, 0, 0, "self")  # "root" of a user namespace with one id: the host knows it as a user
    uid, lock = allocate(free_range(mapped), lock_directory())
    return Ids(INSIDE, uid, uid, "own", lock)


def mapped_uids(path: str = "/proc/self/uid_map", host: bool | None = None) -> list[range]:
    """The uids that exist here. On the host itself that is everything; in a container only what it was given."""
    with open(path) as file:
        rows = [[int(word) for word in line.split()] for line in file]
    whole = (
        host if host is not None else any(count > 0xFFFF0000 and inside == outside for inside, outside, count in rows)
    )
    return [range(inside, inside + (count if whole else min(count, 0x7FFFFFFF))) for inside, _, count in rows]


def free_range(mapped: Iterable[range], subids: tuple[str, ...] = ("/etc/subuid", "/etc/subgid")) -> range:
    """SLOTS consecutive uids that are mapped and that no account and no subordinate range owns (D16)."""
    taken = list(owned(subids))
    starts = (range(NOBODYS.start, NOBODYS.stop, SLOTS), range(60000 - SLOTS, 20000, -SLOTS))  # a container has 65536
    for candidate in (range(first, first + SLOTS) for first in itertools.chain(*starts)):
        inside = any(candidate.start in have and candidate[-1] in have for have in mapped)
        if inside and not any(overlaps(candidate, other) for other in taken):
            return candidate
    raise HostFault("host.no-uids", "Root has no unused user id here for the bottle.", "Start bot-bottle as a user.")


def owned(subids: tuple[str, ...]) -> Iterator[range]:
    """Ranges of /etc/subuid and /etc/subgid; a broken line owns nothing."""
    for path in subids:
        with contextlib.suppress(OSError), open(path) as file:
            for line in file:
                with contextlib.suppress(ValueError):
                    _, first, count = line.strip().split(":")
                    yield range(int(first), int(first) + int(count))


def overlaps(a: range, b: range) -> bool:
    return a.start < b.stop and b.start < a.stop


def lock_directory(places: tuple[str, ...] = LOCKS) -> str:
    """A directory of root's only, the same for every bottle of this host."""
    for place in places:
        with contextlib.suppress(OSError):
            os.makedirs(place, 0o700, exist_ok=True)
            found = os.lstat(place)
            if stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022:
                return place
    raise HostFault("host.no-locks", f"None of {', '.join(places)} can be created.", "Make /run writable for root.")


def allocate(uids: range, directory: str) -> tuple[int, int]:
    """The first uid whose slot nobody locks, and the locked descriptor."""
    for uid in uids:
        fd = os.open(f"{directory}/{uid}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return uid, fd
        except BlockingIOError:
            os.close(fd)
    raise HostFault("host.no-uids", f"All {len(uids)} user ids for bottles are in use.", "Stop some bottles.")


def namespace(ids: Ids) -> int:
    """A descriptor of a user namespace in which only the agent's ids exist; made with our own rights outside it."""
    return user_namespace(f"{ids.inside} {ids.uid} 1", f"{ids.inside} {ids.gid} 1", deny=ids.by == "self")


def user_namespace(uids: str, gids: str, *, deny: bool = False) -> int:
    """A user namespace with these maps, user_namespaces(7). deny: no setgroups, as an ordinary user must say.

    The sleeper may be gone before a busy machine lets us use it: then once more.
    """
    for _ in range(ATTEMPTS - 1):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            return mapped_sleeper(uids, gids, deny)
    return mapped_sleeper(uids, gids, deny)


def mapped_sleeper(uids: str, gids: str, deny: bool) -> int:
    pid, stack = kernel.sleeper(kernel.NEWUSER)
    try:
        if deny:
            put(f"/proc/{pid}/setgroups", "deny")
        put(f"/proc/{pid}/uid_map", uids)
        put(f"/proc/{pid}/gid_map", gids)
        return os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.kill(pid, signal.SIGKILL)  # it never runs again, so its stack may go; reaped by `reap_sleepers`
        del stack


def reap_sleepers() -> None:
    """Waits for the children that `user_namespace` killed; not where anybody waits for us."""
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def put(path: str, text: str) -> None:
    """One write(2), as the files of /proc and of control groups want it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error
    finally:
        os.close(fd)
