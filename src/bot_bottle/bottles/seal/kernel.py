"""Linux calls that Python lacks: namespaces, detached mounts, raw clone, prctl. Each raises OSError with its name.

Numbers are those of x86_64 and aarch64; calls from 424 on have one number everywhere (linux/unistd.h).
"""

import ctypes
import os
import platform
import signal
import struct

NEWNS, NEWCGROUP, NEWUTS, NEWIPC = 0x20000, 0x02000000, 0x04000000, 0x08000000
NEWUSER, NEWPID, NEWNET = 0x10000000, 0x20000000, 0x40000000
CLONE_VM, CLONE_PARENT, CLONE_PIDFD = 0x100, 0x8000, 0x1000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_SLAVE = 1, 2, 4, 8, 0x1000, 0x4000, 0x80000
AT_FDCWD, AT_EMPTY_PATH = -100, 0x1000
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, 0x80000
MOVE_MOUNT_FROM_EMPTY = 4
MOUNT_ATTR_IDMAP = 0x00100000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP = 1, 4, 24, 38, 22
PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
SECCOMP_MODE_FILTER = 2
KEYCTL_JOIN_SESSION_KEYRING = 1
LAST_CAPABILITY = 63
FIRST_REALTIME_SIGNAL = 32
SLEEPER_STACK, SLEEPER_MICROSECONDS = 65536, 200_000

_NUMBERS = {
    "x86_64": {"clone": 56, "keyctl": 250, "capset": 126},
    "aarch64": {"clone": 220, "keyctl": 219, "capset": 91},
}
_OPEN_TREE, _MOVE_MOUNT, _CLOSE_RANGE, _MOUNT_SETATTR = 428, 429, 436, 442

libc = ctypes.CDLL(None, use_errno=True)
_held = ctypes.PyDLL(None, use_errno=True)  # keeps the interpreter lock over a raw clone


def check(result: int, what: str) -> int:
    """The result of a libc call, or OSError with the call's name."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def number(call: str) -> int:
    """The number of a system call that differs between the two architectures."""
    try:
        return _NUMBERS[platform.machine()][call]
    except KeyError:
        raise OSError(f"{call}: no system call table for {platform.machine()}") from None


def unshare(flags: int) -> None:
    check(libc.unshare(flags), "unshare")


def setns(fd: int, flags: int) -> None:
    check(libc.setns(fd, flags), "setns")


def mount(source: str, target: str, kind: str, flags: int, data: str = "") -> None:
    result = libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    check(result, f"mount {target}")


def close_from(first: int) -> None:
    """Closes every descriptor from this one on (D01)."""
    check(libc.syscall(_CLOSE_RANGE, ctypes.c_uint(first), ctypes.c_uint(0xFFFFFFFF), 0), "close_range")


def prctl(option: int, second: int = 0, third: int = 0) -> None:
    arguments = (ctypes.c_ulong(value) for value in (second, third, 0, 0))
    check(libc.prctl(option, *arguments), f"prctl {option}")


def die_with_parent() -> None:
    """SIGKILL when the thread that forked us ends. The kernel forgets it at every change of uid."""
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def own_session_keyring() -> None:
    """S09: an empty session keyring instead of the launcher's."""
    libc.syscall(number("keyctl"), KEYCTL_JOIN_SESSION_KEYRING, None)


def default_signals() -> None:
    """What is ignored stays so across an exec; Python ignores SIGPIPE, a caller perhaps SIGHUP."""
    for number in range(1, FIRST_REALTIME_SIGNAL):
        libc.signal(number, None)  # SIG_DFL; fails for SIGKILL and SIGSTOP


def clone_tree(path: str) -> int:
    """A detached copy of the mount at `path`, as a descriptor (open_tree)."""
    flags = OPEN_TREE_CLOEXEC | OPEN_TREE_CLONE
    return check(libc.syscall(_OPEN_TREE, AT_FDCWD, path.encode(), flags), f"open_tree {path}")


def map_owner(tree: int, table: int) -> None:
    """The detached mount shows its files through the ids of the user namespace `table` (mount_setattr)."""
    attribute = ctypes.create_string_buffer(struct.pack("QQQQ", MOUNT_ATTR_IDMAP, 0, 0, table))
    check(libc.syscall(_MOUNT_SETATTR, tree, b"", AT_EMPTY_PATH, attribute, 32), "mount_setattr")


def attach_tree(tree: int, target: str) -> None:
    """A detached mount becomes visible at `target` (move_mount)."""
    result = libc.syscall(_MOVE_MOUNT, tree, b"", AT_FDCWD, target.encode(), MOVE_MOUNT_FROM_EMPTY)
    check(result, f"move_mount {target}")


def sleeper(flags: int) -> tuple[int, object]:
    """A child in new namespaces that never runs our code: it sleeps on a stack of its own in our memory.

    Neither a copy of our page tables nor a turn on the processor is needed before it can be used. Its pid, and its
    stack, which must be kept until it has been killed. By itself it ends after a fifth of a second, so that a caller
    that is killed leaves nothing behind.
    """
    stack = ctypes.create_string_buffer(SLEEPER_STACK)
    top = ctypes.c_void_p((ctypes.addressof(stack) + SLEEPER_STACK) & ~0xF)
    program = ctypes.cast(libc.usleep, ctypes.c_void_p)
    how = ctypes.c_int(CLONE_VM | flags | signal.SIGCHLD)
    return check(libc.clone(program, top, how, ctypes.c_void_p(SLEEPER_MICROSECONDS)), "clone"), stack


def sibling() -> tuple[int, int]:
    """Forks a child of our parent, as os.fork() answers, and its pidfd: (0, -1) in the child."""
    pidfd = ctypes.c_int(-1)
    flags = ctypes.c_long(CLONE_PARENT | CLONE_PIDFD | signal.SIGCHLD)
    zero = ctypes.c_long(0)
    pid = _held.syscall(ctypes.c_long(number("clone")), flags, zero, ctypes.byref(pidfd), zero, zero)
    return check(pid, "clone"), pidfd.value


def drop_capabilities() -> None:
    """No capability in any set, and none to gain by an exec."""
    for capability in range(LAST_CAPABILITY + 1):
        libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0)  # EINVAL above the kernel's last one
    libc.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0)
    head = struct.pack("II", 0x20080522, 0)
    check(libc.syscall(number("capset"), head, bytes(24)), "capset")


def install_filter(program: bytes) -> None:
    """The seccomp filter for this thread and all that it executes."""
    code = ctypes.create_string_buffer(program, len(program))
    filter_program = struct.pack("HxxxxxxQ", len(program) // 8, ctypes.addressof(code))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    buffer = ctypes.create_string_buffer(filter_program)
    check(libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), buffer, 0, 0), "seccomp")
