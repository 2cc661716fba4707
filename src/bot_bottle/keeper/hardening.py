"""What a process that holds keys does to itself first (D19): no dump, no trace, no core, few descriptors."""

import ctypes
import os
import resource

_PR_SET_DUMPABLE = 4


def harden() -> None:
    """Afterwards no process of this user reads our memory or our /proc/PID files, and no core is written.

    RLIMIT_CORE is 1 and not 0: a piped core_pattern ignores 0, but not 1.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl")
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = min(256, hard if hard != resource.RLIM_INFINITY else 256)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(few, soft), few))
    os.umask(0o077)
