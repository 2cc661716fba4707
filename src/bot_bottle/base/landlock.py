"""What a process of ours that parses strangers' bytes may still reach of the host: landlock(7) (D17, D19).

The gateway sees only what resolving names and loading code needs, and writes nothing; it dials and ends its bottle,
so connections and signals stay free. The web process reads the home without its keys, writes its own places, and
neither dials nor signals. Nobody executes a program. Landlock does not know of connecting to unix sockets by path.
"""

import contextlib
import ctypes
import os
import struct
import sys
from collections.abc import Sequence

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_EXECUTE = 1
_BIND_TCP, _CONNECT_TCP = 1, 2
_ABSTRACT_UNIX, _SIGNAL = 1, 2
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


def restrict(read: Sequence[str] = (), write: Sequence[str] = (), dial: bool = True, signals: bool = True) -> int:
    """Confines this thread and all that it starts; the version that holds, 0 where it does not.

    read: paths that stay readable besides `readable`; what they hold, too. write: directories in which files may be
    made, changed and removed. dial: TCP connections; signals: to processes that are not confined likewise.
    """
    version = abi()
    if not version:
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    handled = _handled(version)
    ports = _BIND_TCP if dial else _BIND_TCP | _CONNECT_TCP
    attributes = struct.pack("QQQ", handled, ports, _ABSTRACT_UNIX if signals else _ABSTRACT_UNIX | _SIGNAL)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    ruleset = libc.syscall(_CREATE, attributes, size, 0)
    if ruleset < 0:
        return 0
    try:
        for path in (*readable(), *read):
            _allow(libc, ruleset, path)
        for path in write:
            _allow(libc, ruleset, path, handled & ~_EXECUTE)
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


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int = 0) -> None:
    """Reading where no rights are given."""
    with contextlib.suppress(OSError):
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rights = rights or (_READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE)
            libc.syscall(_ADD, ruleset, 1, struct.pack("=Qi", rights, fd), 0)
        finally:
            os.close(fd)
