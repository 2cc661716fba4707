"""Programs and kernel features that bottles use, asked for their versions: bubblewrap, git, Node.js, Landlock."""

import ctypes
import re
import shutil
import subprocess
from collections.abc import Iterator

from bot_bottle.base.errors import HostFault
from bot_bottle.bottles.seal import kernel, which
from bot_bottle.bottles.seal.checks import FAIL, OK, WARN, Finding

LANDLOCK_CREATE_RULESET, LANDLOCK_VERSION = 444, 1
OLDEST_NODE = 20
_VERSION = re.compile(r"\d+(?:\.\d+)+")


def version(program: str) -> str:
    """What `program --version` names first, "" when it does not run. The environment is empty (D06)."""
    try:
        done = subprocess.run(
            [program, "--version"],
            capture_output=True,
            check=False,
            text=True,
            timeout=10,
            env={"PATH": "/usr/bin:/bin"},
            cwd="/",
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _VERSION.search(done.stdout)
    return found[0] if done.returncode == 0 and found else ""


def bubblewrap() -> Iterator[Finding]:
    try:
        found = which.bubblewrap()
    except HostFault as error:
        mend = "sudo chmod u-s /usr/bin/bwrap" if "setuid" in error.slug else "sudo apt-get install bubblewrap"
        yield Finding("bubblewrap", FAIL, error.what, (mend,))
        return
    yield Finding("bubblewrap", OK, f"bubblewrap {version(found.path) or '?'} ({found.origin}, {found.path}).")


def git() -> Iterator[Finding]:
    path = shutil.which("git")
    if path:
        yield Finding("git", OK, f"git {version(path)}.")
    else:
        yield Finding(
            "git", WARN, "git is not installed: no diff of what an agent did.", ("sudo apt-get install git",)
        )


def node() -> Iterator[Finding]:
    """claude, codex and pi need it; `harness install` can bring its own."""
    path = shutil.which("node")
    found = version(path) if path else ""
    if found and int(found.split(".")[0]) >= OLDEST_NODE:
        yield Finding("node", OK, f"Node.js {found}.")
    else:
        what = f"Node.js {found} is too old" if found else "Node.js is not installed"
        yield Finding(
            "node", WARN, f"{what}: `harness install` brings one of its own.", ("bot-bottle harness install claude",)
        )


def landlock() -> Iterator[Finding]:
    """The gateway confines itself with it, or by its own mount namespace (D19)."""
    abi = kernel.libc.syscall(LANDLOCK_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(LANDLOCK_VERSION))
    if abi >= 1:
        yield Finding("landlock", OK, f"Landlock ABI {abi}.")
    else:
        mend = ("add `landlock` to the lsm= list of the kernel's command line",)
        yield Finding("landlock", WARN, "Landlock is off: the gateway uses its own mount namespace instead.", mend)


def run() -> list[Finding]:
    return [finding for check in (bubblewrap, git, node, landlock) for finding in check()]
