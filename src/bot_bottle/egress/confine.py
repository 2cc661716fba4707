"""What the gateway gives up before it serves (D17, D19)."""

import contextlib
import os
import resource
from ctypes import CDLL

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def harden(keep: tuple[int, ...]) -> None:
    """Step 1: no descriptor but 0-2 and `keep`, no core, not dumpable, no new privileges."""
    os.closerange(max(keep) + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    libc = CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))


def confine() -> str:
    """Step 3; filled in by confinement below."""
    return "none"
