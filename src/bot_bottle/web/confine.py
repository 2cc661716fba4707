"""What the web process gives up before it parses the first byte (D17): writing anywhere but its own places, reading
keys and secrets, starting programs, dialling, signalling, and being traced or tracing others."""

import ctypes
import os
import resource

from bot_bottle.base import landlock
from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def confine(home: Home) -> str:
    """What holds afterwards, for `serve`. Raises HostFault where Landlock is missing."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    version = landlock.restrict(
        read=readable(home), write=(home.web, os.path.dirname(home.index)), dial=False, signals=False
    )
    if not version:
        raise HostFault(
            "web.landlock", "This kernel has no Landlock, so the dashboard cannot be confined.",
            "Use Linux 5.13 or newer with landlock in the lsm= list.",
        )  # fmt: skip
    return f"landlock-{version}"


def readable(home: Home) -> tuple[str, ...]:
    """All of the home but keys and secrets: Landlock only grants, so its entries are named one by one."""
    kept = {os.path.basename(home.keys), os.path.basename(home.secrets)}
    wanted = {"agents", "bottles", "contrib", "log", "state", "leases", "approvals", "harnesses"}
    for name in wanted:
        os.makedirs(f"{home.root}/{name}", 0o700, exist_ok=True)
    found = [f"{home.root}/{name}" for name in sorted(os.listdir(home.root)) if name not in kept]
    os.makedirs(home.runtime, 0o700, exist_ok=True)
    return (*found, home.runtime, "/etc/mime.types", "/proc/self", "/dev/urandom")
