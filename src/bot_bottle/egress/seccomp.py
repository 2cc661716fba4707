"""The gateway's own system call filter: what a parser exploit would want next does not exist (D17, D19).

Refused: new programs and processes, foreign memory, unix sockets, files opened for writing, and every way to change a
log that only grows (truncate, pwrite, fallocate, their ioctls, clearing O_APPEND, splicing or mapping it, aio and
io_uring, whose RWF_NOAPPEND writes anywhere). seccomp(2), linux/seccomp.h.
"""

import os

from bot_bottle.base import seccomp
from bot_bottle.base.seccomp import ALLOW, ANY_BIT, EACCES, EAFNOSUPPORT, ENOSYS, EPERM, RETURN, Instruction, fail

_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
_F_SETFL = 4
_PR_SET_DUMPABLE, _PR_SET_PTRACER = 4, 0x59616D61
_IOCTLS = (0x5421, 0x541B, 0x5401, 0x5450, 0x5451)  # FIONBIO, FIONREAD, TCGETS, FIONCLEX, FIOCLEX
_FAMILIES = (2, 10, 16)  # inet, inet6, netlink (getaddrinfo asks for the host's own addresses)
_NETWORK = {"connect", "bind", "sendto", "sendmsg", "sendmmsg"}
_REFUSED = seccomp.names() - _NETWORK - {"pidfd_send_signal"}  # it ends its bottle when a lifeline is gone
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | 0x400000  # and O_TMPFILE


def program(machine: str) -> list[Instruction]:
    """The filter as (code, jump if true, jump if false, operand). Raises KeyError for an unknown machine."""
    return seccomp.program(machine, _REFUSED, _block)


def _block(name: str) -> list[Instruction]:
    """What follows when the number matched; every path returns."""
    match name:
        case "open":
            return seccomp.unless_any_bit(1, _WRITING, EACCES)
        case "openat":
            return seccomp.unless_any_bit(2, _WRITING, EACCES)
        case "openat2" | "clone3":
            return [fail(ENOSYS)]  # their flags lie in memory; libc then falls back to the older call
        case "clone":
            return seccomp.threads_only()
        case "socket":
            return seccomp.only(0, _FAMILIES, EAFNOSUPPORT)
        case "ioctl":
            return seccomp.only(1, _IOCTLS, EPERM)
        case "mmap":  # shared memory of a file; private mappings (libraries) and anonymous ones stay
            tests = [seccomp.argument(3), (ANY_BIT, 0, 2, _MAP_SHARED), (ANY_BIT, 1, 0, _MAP_ANONYMOUS)]
            return [*tests, fail(EPERM), (RETURN, 0, 0, ALLOW)]
        case "fcntl":
            return seccomp.never(1, (_F_SETFL,))
        case "prctl":
            return seccomp.never(0, (_PR_SET_DUMPABLE, _PR_SET_PTRACER))
        case _:
            return [fail(EPERM)]


def install() -> bool:
    """Installs the filter for this thread and all that it starts; False where the machine is unknown."""
    return seccomp.install(_REFUSED, _block)
