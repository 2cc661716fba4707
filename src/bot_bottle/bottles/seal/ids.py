"""Who the agent is on the host: never uid 0, and as root a uid of its own per bottle (D16, S03).

Root takes uids from a range that nobody owns (above systemd's container range, outside every subordinate range);
a lock file per slot, held as long as its bottle lives, makes two bottles of one host differ. An ordinary user has
only itself.
"""

import contextlib
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bot_bottle.base.errors import HostFault

NOBODYS = range(0x70000000, 0x78000000)
INSIDE = 1000
SLOTS = 4096
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
    wanted = [range(s, s + SLOTS) for s in range(NOBODYS.start, NOBODYS.stop, SLOTS)]
    wanted += [range(s, s + SLOTS) for s in range(60000 - SLOTS, 20000, -SLOTS)]  # in a container of 65536 ids
    for candidate in wanted:
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


def write_maps(pid: int, ids: Ids) -> None:
    """Done by the launcher for its helper: only it may map ids that are not the helper's own."""
    if ids.by == "self":
        put(f"/proc/{pid}/setgroups", "deny")
    put(f"/proc/{pid}/uid_map", f"{ids.inside} {ids.uid} 1")
    put(f"/proc/{pid}/gid_map", f"{ids.inside} {ids.gid} 1")


def put(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)
