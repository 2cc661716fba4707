"""The gateway sees of the host's files only what resolving names and loading code needs, and writes none (D19).

landlock(7). Network connections stay free: dialling is the gateway's work; signals too, for it ends the bottle.
"""

import contextlib
import ctypes
import os
import struct
import sys

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_BIND_TCP = 1
_ABSTRACT_UNIX = 1
_FILES = (
    "/etc/resolv.conf",
    "/etc/hosts",
    "/etc/nsswitch.conf",
    "/etc/host.conf",
    "/etc/gai.conf",
    "/etc/services",
    "/etc/protocols",
    "/etc/ld.so.cache",
    "/etc/localtime",
)
_DIRECTORIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo")


def abi() -> int:
    """The kernel's version of Landlock, 0 without it."""
    return max(0, ctypes.CDLL(None, use_errno=True).syscall(_CREATE, None, 0, 1))


def restrict() -> int:
    """Confines this thread and all that it starts; the version that holds, 0 where it does not."""
    version = abi()
    if not version:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    attributes = struct.pack("QQQ", _handled(version), _BIND_TCP, _ABSTRACT_UNIX)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE, attributes, size, 0)
    if ruleset < 0:
        return 0
    try:
        for path in readable():
            _allow(libc, ruleset, path)
        return version if libc.syscall(_RESTRICT, ruleset, 0) == 0 else 0
    finally:
        os.close(ruleset)


def readable() -> list[str]:
    """Paths that stay readable: libraries, Python's modules, the resolver's configuration."""
    modules = [path for path in sys.path if os.path.isdir(path)]
    found = [*_FILES, *_DIRECTORIES, *modules, os.path.dirname(os.__file__)]
    resolver = os.path.dirname(os.path.realpath("/etc/resolv.conf"))
    if resolver != "/etc":
        found.append(resolver)  # it is replaced there, not rewritten, by the host's network manager
    return list(dict.fromkeys(os.path.realpath(path) for path in found))


def _handled(version: int) -> int:
    rights = 13
    for since, count in ((2, 14), (3, 15), (5, 16)):
        if version >= since:
            rights = count
    return (1 << rights) - 1


def _allow(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rights = _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE
            libc.syscall(_ADD, ruleset, 1, struct.pack("=Qi", rights, fd), 0)
        finally:
            os.close(fd)
