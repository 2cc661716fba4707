"""System call filters of our own processes, put together from names: seccomp(2), linux/seccomp.h.

Gateway (egress/seccomp.py) and web (web/confine.py) each say what they refuse; here are the numbers, for x86_64 and
aarch64, and the assembling. Everything that is not named stays allowed.
"""

import ctypes
import platform
import struct
from collections.abc import Callable, Collection

ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
EPERM, ENOSYS, EACCES, EAFNOSUPPORT = 1, 38, 13, 97
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16
_X32 = 0x40000000
_CLONE_THREAD = 0x00010000

_X86_64 = {
    "open": 2, "creat": 85, "openat": 257, "openat2": 437, "socket": 41, "socketpair": 53, "clone": 56, "clone3": 435,
    "fcntl": 72, "ioctl": 16, "prctl": 157, "fork": 57, "vfork": 58, "execve": 59, "execveat": 322, "ptrace": 101,
    "process_vm_readv": 310, "process_vm_writev": 311, "pidfd_getfd": 438, "kill": 62, "tkill": 200,
    "truncate": 76, "ftruncate": 77, "pwrite64": 18, "pwritev": 296, "pwritev2": 328, "fallocate": 285,
    "copy_file_range": 326, "rename": 82, "renameat": 264, "renameat2": 316, "unlink": 87, "unlinkat": 263,
    "link": 86,
    "linkat": 265, "symlink": 88, "symlinkat": 266, "mkdir": 83, "mkdirat": 258, "rmdir": 84, "mknod": 133,
    "mknodat": 259, "chmod": 90, "fchmod": 91, "fchmodat": 268, "chown": 92, "fchown": 93, "lchown": 94,
    "fchownat": 260,
    "setxattr": 188, "lsetxattr": 189, "fsetxattr": 190, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "bpf": 321, "mount": 165, "umount2": 166, "unshare": 272, "setns": 308,
    "pivot_root": 155,
    "chroot": 161, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "mount_setattr": 442,
    "keyctl": 250, "add_key": 248, "request_key": 249, "userfaultfd": 323, "perf_event_open": 298, "personality": 135,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "acct": 163, "swapon": 167, "reboot": 169, "init_module": 175,
    "finit_module": 313, "kexec_load": 246, "setuid": 105, "setgid": 106, "setresuid": 117, "setresgid": 119,
    "capset": 126, "mmap": 9, "sendfile": 40, "splice": 275, "tee": 276, "vmsplice": 278, "io_setup": 206,
    "io_submit": 209, "fchmodat2": 452, "utime": 132, "utimes": 235, "futimesat": 261, "utimensat": 280,
    "pidfd_send_signal": 424, "connect": 42, "bind": 49, "sendto": 44, "sendmsg": 46, "sendmmsg": 307,
}  # fmt: skip
_AARCH64 = {
    "openat": 56, "openat2": 437, "socket": 198, "socketpair": 199, "clone": 220, "clone3": 435, "fcntl": 25,
    "ioctl": 29,
    "prctl": 167, "execve": 221, "execveat": 281, "ptrace": 117, "process_vm_readv": 270, "process_vm_writev": 271,
    "pidfd_getfd": 438, "kill": 129, "tkill": 130, "truncate": 45, "ftruncate": 46, "pwrite64": 68, "pwritev": 70,
    "pwritev2": 287, "fallocate": 47, "copy_file_range": 285, "renameat": 38, "renameat2": 276, "unlinkat": 35,
    "linkat": 37, "symlinkat": 36, "mkdirat": 34, "mknodat": 33, "fchmod": 52, "fchmodat": 53, "fchown": 55,
    "fchownat": 54, "setxattr": 5, "lsetxattr": 6, "fsetxattr": 7, "io_uring_setup": 425, "io_uring_enter": 426,
    "io_uring_register": 427, "bpf": 280, "mount": 40, "umount2": 39, "unshare": 97, "setns": 268, "pivot_root": 41,
    "chroot": 51, "open_tree": 428, "move_mount": 429, "fsopen": 430, "fsconfig": 431, "fsmount": 432,
    "mount_setattr": 442,
    "keyctl": 219, "add_key": 217, "request_key": 218, "userfaultfd": 282, "perf_event_open": 241, "personality": 92,
    "name_to_handle_at": 264, "open_by_handle_at": 265, "acct": 89, "swapon": 224, "reboot": 142, "init_module": 105,
    "finit_module": 273, "kexec_load": 104, "setuid": 146, "setgid": 144, "setresuid": 147, "setresgid": 149,
    "capset": 91, "mmap": 222, "sendfile": 71, "splice": 76, "tee": 77, "vmsplice": 75, "io_setup": 0,
    "io_submit": 2, "fchmodat2": 452, "utimensat": 88, "pidfd_send_signal": 424,
    "connect": 203, "bind": 200, "sendto": 206, "sendmsg": 211, "sendmmsg": 269,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}
Instruction = tuple[int, int, int, int]
Block = Callable[[str], list[Instruction]]


def program(machine: str, refused: Collection[str], block: Block) -> list[Instruction]:
    """The filter as (code, jump if true, jump if false, operand).

    block: what follows when a number matched; every path of it returns. refused: names; what a machine does not have
    is left out. Raises KeyError for an unknown machine.
    """
    arch, numbers = _MACHINES[machine]
    out: list[Instruction] = [(LOAD, 0, 0, _ARCH), (EQUAL, 1, 0, arch), (RETURN, 0, 0, _KILL), (LOAD, 0, 0, _NR)]
    out += [(AT_LEAST, 0, 1, _X32), fail(ENOSYS)]
    for name, number in numbers.items():
        if name in refused:
            found = block(name)
            out += [(EQUAL, 0, len(found), number), *found]
    return [*out, (RETURN, 0, 0, ALLOW)]


def names(machine: str = "x86_64") -> frozenset[str]:
    """All calls that a filter can name."""
    return frozenset(_MACHINES[machine][1])


def fail(code: int) -> Instruction:
    return (RETURN, 0, 0, _ERRNO | code)


def argument(index: int) -> Instruction:
    return (LOAD, 0, 0, _ARGS + 8 * index)


def unless_any_bit(index: int, bits: int, code: int) -> list[Instruction]:
    return [argument(index), (ANY_BIT, 0, 1, bits), fail(code), (RETURN, 0, 0, ALLOW)]


def threads_only() -> list[Instruction]:
    """clone(2) for a thread, not for a process."""
    return [argument(0), (ANY_BIT, 1, 0, _CLONE_THREAD), fail(EPERM), (RETURN, 0, 0, ALLOW)]


def only(index: int, values: tuple[int, ...], code: int) -> list[Instruction]:
    tests = [(EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [argument(index), *tests, fail(code), (RETURN, 0, 0, ALLOW)]


def never(index: int, values: tuple[int, ...]) -> list[Instruction]:
    tests = [(EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [argument(index), *tests, (RETURN, 0, 0, ALLOW), fail(EPERM)]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install(refused: Collection[str], block: Block) -> bool:
    """Installs a filter for this thread and all that it starts; False where the machine is unknown."""
    machine = platform.machine()
    if machine not in _MACHINES:
        return False
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program(machine, refused, block))
    buffer = ctypes.create_string_buffer(code)
    whole = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.prctl(22, 2, ctypes.byref(whole), 0, 0) == 0
