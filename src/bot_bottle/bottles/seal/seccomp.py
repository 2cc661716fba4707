"""The bottle's seccomp filter as classic BPF bytes (seccomp(2), linux/filter.h), for x86_64 and aarch64.

A refusal list with a ceiling: TCP, UDP, unix and the routing netlink are the only sockets (S01, S07, B26, B57), no
io_uring (S02), no namespaces, mounts, keys, bpf, perf, userfaultfd (S09, B58), nothing that reaches pid 1 (D03), no
TIOCSTI (D15), and no set-id bit on any file, because a workspace file belongs to a person outside (S03).
"""

import platform
import struct
from functools import cache

from bot_bottle.base.errors import HostFault
from bot_bottle.bottles.seal.seccomp_table import ABSENT, ARCHITECTURES, EXAMINED, MODES, NEWEST, OPENS, REFUSED, Pair

LOAD, JEQ, JGT, JSET, MASK, RET = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
ALLOW, KILL, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
EPERM, ENOSYS, EAFNOSUPPORT = 1, 38, 97
NAMESPACE_FLAGS = 0x7E020000
SET_ID_BITS = 0o6000
CREATING = 0o100 | 0o20000000  # O_CREAT and the own bit of O_TMPFILE: only then is there a mode
TIOCSTI, TIOCLINUX, TIOCSETD = 0x5412, 0x541C, 0x5423
AF_UNIX, AF_INET, AF_INET6, AF_NETLINK = 1, 2, 10, 16


@cache
def program(machine: str = "") -> bytes:
    """The filter for this machine. Raises HostFault for one whose table we do not have."""
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        raise HostFault("host.no-filter", f"There is no system call filter for {machine}.", "Use x86_64 or aarch64.")
    side = list(ARCHITECTURES).index(machine)
    out = op(LOAD, 4) + op(JEQ, ARCHITECTURES[machine], 1, 0) + op(RET, KILL) + op(LOAD, 0)
    out += op(JGT, NEWEST, 0, 1) + fail(ENOSYS)  # x32 numbers lie above as well
    for table, errno in ((ABSENT, ENOSYS), (REFUSED, EPERM)):
        out += b"".join(when(pair, side, fail(errno)) for pair in table.values())
    return out + argument_rules(side) + mode_rules(side) + op(RET, ALLOW)


def op(code: int, k: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, k)


def fail(errno: int) -> bytes:
    return op(RET, ERRNO | errno)


def low(argument: int) -> bytes:
    """The low word: the kernel takes these arguments as 32 bits; comparing 64 was a known bypass."""
    return op(LOAD, 16 + 8 * argument)


def when(pair: Pair, side: int, body: bytes) -> bytes:
    """`body`, which returns, for this call; nothing on an architecture without it."""
    number = pair[side]
    return b"" if number is None else op(JEQ, number, 0, len(body) // 8) + body


def refuse_values(argument: int, values: tuple[int, ...], errno: int = EPERM) -> bytes:
    return low(argument) + b"".join(op(JEQ, v, 0, 1) + fail(errno) for v in values) + op(RET, ALLOW)


def allow_values(argument: int, values: tuple[int, ...], errno: int = EPERM) -> bytes:
    return low(argument) + b"".join(op(JEQ, v, 0, 1) + op(RET, ALLOW) for v in values) + fail(errno)


def branch(value: int, body: bytes) -> bytes:
    return op(JEQ, value, 0, len(body) // 8) + body


def socket_rules() -> bytes:
    """unix; inet and inet6 as plain TCP or UDP; the routing netlink, which glibc asks for its addresses."""
    plain_type = low(1) + op(MASK, 0xF) + op(JEQ, 1, 2, 0) + op(JEQ, 2, 1, 0) + fail(EPERM)
    inet = plain_type + allow_values(2, (0, 6, 17))
    rules = branch(AF_UNIX, op(RET, ALLOW)) + branch(AF_INET, inet) + branch(AF_INET6, inet)
    return low(0) + rules + branch(AF_NETLINK, allow_values(2, (0,))) + fail(EAFNOSUPPORT)


def argument_rules(side: int) -> bytes:
    no_namespaces = low(0) + op(JSET, NAMESPACE_FLAGS, 0, 1) + fail(EPERM) + op(RET, ALLOW)
    out = when(EXAMINED["socket"], side, socket_rules())
    out += when(EXAMINED["socketpair"], side, allow_values(0, (AF_UNIX,), EAFNOSUPPORT))
    out += when(EXAMINED["clone"], side, no_namespaces)
    out += when(EXAMINED["ioctl"], side, refuse_values(1, (TIOCSTI, TIOCLINUX, TIOCSETD)))
    out += when(EXAMINED["personality"], side, allow_values(0, (0, 0xFFFFFFFF)))
    out += when(EXAMINED["ptrace"], side, refuse_values(1, (1,)))
    for call in ("process_vm_readv", "process_vm_writev", "pidfd_open"):
        out += when(EXAMINED[call], side, refuse_values(0, (1,)))
    return out


def mode_rules(side: int) -> bytes:
    """No set-uid or set-gid file: as root an idmapped workspace would make it root's on the host."""
    out = b""
    for pair, mode in MODES.values():
        out += when(pair, side, low(mode) + op(JSET, SET_ID_BITS, 0, 1) + fail(EPERM) + op(RET, ALLOW))
    for pair, flags, mode in OPENS.values():
        not_creating = low(flags) + op(JSET, CREATING, 1, 0) + op(RET, ALLOW)
        out += when(pair, side, not_creating + low(mode) + op(JSET, SET_ID_BITS, 0, 1) + fail(EPERM) + op(RET, ALLOW))
    return out
