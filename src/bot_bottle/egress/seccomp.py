"""The gateway's own system call filter: what a parser exploit would want next does not exist (D17, D19).

Refused: new programs and processes, foreign memory, unix sockets, files opened for writing, and every way to change a
log that only grows (truncate, pwrite, fallocate, their ioctls, clearing O_APPEND, splicing or mapping it, aio and
io_uring, whose RWF_NOAPPEND writes anywhere). seccomp(2), linux/seccomp.h.
"""

import ctypes
import os
import platform
import struct

_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS, _EACCES, _EAFNOSUPPORT = 1, 38, 13, 97
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16
_X32 = 0x40000000
_CLONE_THREAD = 0x00010000
_MAP_SHARED, _MAP_ANONYMOUS = 0x01, 0x20
_F_SETFL = 4
_PR_SET_DUMPABLE, _PR_SET_PTRACER = 4, 0x59616D61
_IOCTLS = (0x5421, 0x541B, 0x5401, 0x5450, 0x5451)  # FIONBIO, FIONREAD, TCGETS, FIONCLEX, FIOCLEX
_FAMILIES = (2, 10, 16)  # inet, inet6, netlink (getaddrinfo asks for the host's own addresses)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | 0x400000  # and O_TMPFILE

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
    "io_submit": 209, "fchmodat2": 452,
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
    "io_submit": 2, "fchmodat2": 452,
}  # fmt: skip
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}
_BY_ARGUMENT = frozenset(
    ("open", "openat", "openat2", "socket", "clone", "clone3", "fcntl", "ioctl", "prctl", "mmap")
)
Instruction = tuple[int, int, int, int]


def program(machine: str) -> list[Instruction]:
    """The filter as (code, jump if true, jump if false, operand). Raises KeyError for an unknown machine."""
    arch, numbers = _MACHINES[machine]
    out: list[Instruction] = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, _KILL), (_LOAD, 0, 0, _NR)]
    out += [(_AT_LEAST, 0, 1, _X32), _fail(_ENOSYS)]
    for name, number in numbers.items():
        block = _block(name) if name in _BY_ARGUMENT else [_fail(_EPERM)]
        out += [(_EQUAL, 0, len(block), number), *block]
    return [*out, (_RETURN, 0, 0, _ALLOW)]


def _fail(code: int) -> Instruction:
    return (_RETURN, 0, 0, _ERRNO | code)


def _block(name: str) -> list[Instruction]:
    """What follows when the number matched; every path returns."""
    match name:
        case "open":
            return _unless_any_bit(1, _WRITING, _EACCES)
        case "openat":
            return _unless_any_bit(2, _WRITING, _EACCES)
        case "openat2" | "clone3":
            return [_fail(_ENOSYS)]  # their flags lie in memory; libc then falls back to the older call
        case "clone":
            return [_argument(0), (_ANY_BIT, 1, 0, _CLONE_THREAD), _fail(_EPERM), (_RETURN, 0, 0, _ALLOW)]
        case "socket":
            return _only(0, _FAMILIES, _EAFNOSUPPORT)
        case "ioctl":
            return _only(1, _IOCTLS, _EPERM)
        case "mmap":  # shared memory of a file; private mappings (libraries) and anonymous ones stay
            tests = [_argument(3), (_ANY_BIT, 0, 2, _MAP_SHARED), (_ANY_BIT, 1, 0, _MAP_ANONYMOUS)]
            return [*tests, _fail(_EPERM), (_RETURN, 0, 0, _ALLOW)]
        case "fcntl":
            return _never(1, (_F_SETFL,))
        case _:
            return _never(0, (_PR_SET_DUMPABLE, _PR_SET_PTRACER))


def _argument(index: int) -> Instruction:
    return (_LOAD, 0, 0, _ARGS + 8 * index)


def _unless_any_bit(index: int, bits: int, code: int) -> list[Instruction]:
    return [_argument(index), (_ANY_BIT, 0, 1, bits), _fail(code), (_RETURN, 0, 0, _ALLOW)]


def _only(index: int, values: tuple[int, ...], code: int) -> list[Instruction]:
    tests = [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_argument(index), *tests, _fail(code), (_RETURN, 0, 0, _ALLOW)]


def _never(index: int, values: tuple[int, ...]) -> list[Instruction]:
    tests = [(_EQUAL, len(values) - at, 0, value) for at, value in enumerate(values)]
    return [_argument(index), *tests, (_RETURN, 0, 0, _ALLOW), _fail(_EPERM)]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def install() -> bool:
    """Installs the filter for this thread and all that it starts; False where the machine is unknown."""
    machine = platform.machine()
    if machine not in _MACHINES:
        return False
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in program(machine))
    buffer = ctypes.create_string_buffer(code)
    whole = _Program(len(code) // 8, ctypes.cast(buffer, ctypes.c_void_p))
    libc = ctypes.CDLL(None, use_errno=True)
    return libc.prctl(22, 2, ctypes.byref(whole), 0, 0) == 0
