"""What the gateway gives up before it serves, in this order; it does not start without (D17, D19).

An exploit of a parser then has this bottle's secrets and nothing more: no program, no file, no unix socket, no other
process, and a log that it can only add to.
"""

import contextlib
import ctypes
import os
import resource
import socket

from bot_bottle.base import landlock
from bot_bottle.base.errors import HostFault
from bot_bottle.egress import seccomp

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


def harden(keep: int) -> None:
    """Step 1: no descriptor above `keep`, not dumpable, no core, no new privileges."""
    os.closerange(keep + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    with contextlib.suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        resource.setrlimit(resource.RLIMIT_CORE, (1, 1))  # not 0: a core_pattern that is a pipe ignores 0


def confine() -> str:
    """Step 3: Landlock, then the system call filter; what holds, for the keeper. Raises HostFault."""
    _warm()
    version = landlock.restrict()
    if not version:
        raise HostFault(
            "gateway.landlock",
            "This kernel has no Landlock, so the gateway cannot be confined and nothing was started.",
            "Use Linux 5.13 or newer with landlock in the lsm= list.",
        )
    if not seccomp.install():
        raise HostFault(
            "gateway.seccomp",
            "The gateway's system call filter cannot be installed, so nothing was started.",
            "Use an x86_64 or aarch64 kernel with seccomp.",
        )
    return f"landlock-{version} seccomp"


def _warm() -> None:
    """Loads what is loaded lazily, while it can still be found: the resolver's libraries and Python's IDNA codec."""
    "a".encode("idna")
    with contextlib.suppress(OSError):
        socket.getaddrinfo("127.0.0.1", None)
