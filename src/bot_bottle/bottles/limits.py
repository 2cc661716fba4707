"""From the plan's limits to what holds them: a cgroup where we may make one, else rlimits and a watchdog.

The plan says which: enforced (the kernel refuses), watched (we look every second and end the bottle), not enforced.
D16, S12: a bottle cannot stop the others. RLIMIT_AS is never used: it kills Node.
"""

from dataclasses import dataclass

from bot_bottle.bottles.limits_cgroup import Place
from bot_bottle.bottles.plan import Limit
from bot_bottle.bottles.seal.spec import Ceilings

ENFORCED, WATCHED, NOT_ENFORCED = "enforced", "watched", "not enforced"
DEFAULTS = {"memory": 4_000_000_000, "pids": 512, "disk": 10_000_000_000}
TMP_SHARE, SHM_SHARE = 4, 8
TMP_MOST, SHM_MOST = 2_000_000_000, 512_000_000
FILES = 65536  # never more than a quarter of our own (helper.limits)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one bottle may use. memory, disk: bytes; cpus: 0 = all. watched: names that only the watchdog holds."""

    memory: int
    pids: int
    disk: int
    cpus: int
    watched: tuple[str, ...]

    def ceilings(self) -> Ceilings:
        """For the helper: the sum of the tmpfs stays below the memory of the bottle (D16)."""
        data = self.memory if "memory" in self.watched else 0
        return Ceilings(
            tmp=min(self.memory // TMP_SHARE, TMP_MOST),
            shm=min(self.memory // SHM_SHARE, SHM_MOST),
            files=FILES,
            processes=self.pids,
            data=data,
        )


def budget(limits: tuple[Limit, ...], place: Place) -> Budget:
    """The plan's limits over our defaults."""
    wanted = DEFAULTS | {limit.name: limit.value for limit in limits if limit.value}
    held = capabilities(place)
    watched = tuple(name for name in ("memory", "disk") if held[name] == WATCHED)
    return Budget(wanted["memory"], wanted["pids"], wanted["disk"], wanted.get("cpus", 0), watched)


def capabilities(place: Place) -> dict[str, str]:
    """How each limit of a manifest holds on this host."""
    return {
        "memory": ENFORCED if "memory" in place.controllers else WATCHED,
        "pids": ENFORCED,  # by cgroup or by RLIMIT_NPROC, which counts inside the user namespace
        "cpus": ENFORCED if "cpu" in place.controllers else NOT_ENFORCED,
        "disk": WATCHED,
        "wall_clock": WATCHED,
        "tmp": ENFORCED,
    }
