"""What the web process gives up before it parses the first byte (D17): writing anywhere but its own places, reading
keys and secrets, starting programs, dialling, signalling, and being traced or tracing others."""

import contextlib
import ctypes
import os
import resource
import sqlite3

from bot_bottle.base import landlock, seccomp
from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home

_PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS, _PR_SET_PTRACER = 4, 38, 0x59616D61
_SOCK_STREAM, _SOCK_FLAGS = 1, (0, 0o4000, 0o2000000, 0o2004000)  # with SOCK_NONBLOCK, SOCK_CLOEXEC, both
_MSG_FASTOPEN = 0x20000000
_REFUSED = frozenset((
    "execve", "execveat", "fork", "vfork", "clone", "clone3", "socket", "connect", "bind", "socketpair", "sendto",
    "sendmsg", "sendmmsg", "prctl", "ptrace", "process_vm_readv",
    "process_vm_writev", "pidfd_getfd", "pidfd_send_signal", "kill", "tkill", "chmod", "fchmod",
    "fchmodat", "fchmodat2", "chown", "fchown", "lchown",
    "fchownat", "setxattr", "lsetxattr", "fsetxattr", "utime", "utimes", "futimesat", "utimensat", "mknod", "mknodat",
    "io_uring_setup", "io_uring_enter", "io_uring_register", "bpf", "mount", "umount2", "unshare", "setns",
    "pivot_root", "chroot", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "mount_setattr", "keyctl",
    "add_key", "request_key", "userfaultfd", "perf_event_open", "personality", "name_to_handle_at",
    "open_by_handle_at", "acct", "swapon", "reboot", "init_module", "finit_module", "kexec_load", "setuid", "setgid",
    "setresuid", "setresgid", "capset",
))  # fmt: skip


def confine(home: Home) -> str:
    """What holds afterwards, for `serve`. Raises HostFault where Landlock is missing."""
    spill_to(f"{home.web}/spill")
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
    version = landlock.restrict(
        read=readable(home), write=(home.web, os.path.dirname(home.index)), dial=False, signals=False
    )
    if not version:
        raise HostFault(
            "web.landlock", "This kernel has no Landlock, so the dashboard cannot be confined.",
            "Use Linux 5.13 or newer with landlock in the lsm= list.",
        )  # fmt: skip
    if not seccomp.install(_REFUSED, _block):
        raise HostFault(
            "web.seccomp", "The dashboard's system call filter cannot be installed.",
            "Use an x86_64 or aarch64 kernel with seccomp.",
        )  # fmt: skip
    return f"landlock-{version} seccomp"


def _block(name: str) -> list[seccomp.Instruction]:
    """Landlock knows neither modes, owners and times of files nor UDP and unix sockets: what it leaves is refused
    here. The person's unix sockets are their keys, their session and their containers, so nothing is dialled at all:
    a keeper's socket comes from the starter, connected. Pairs, by which the event loop wakes itself, are streams:
    a datagram socket may write to any path. A listener that was shut down could dial by TCP Fast Open. Threads are
    what requests run in."""
    match name:
        case "clone":
            return seccomp.threads_only()
        case "clone3":
            return [seccomp.fail(seccomp.ENOSYS)]
        case "socketpair":
            return seccomp.only(1, tuple(_SOCK_STREAM | flags for flags in _SOCK_FLAGS), seccomp.EPERM)
        case "sendto" | "sendmmsg":
            return seccomp.unless_any_bit(3, _MSG_FASTOPEN, seccomp.EPERM)
        case "sendmsg":
            return seccomp.unless_any_bit(2, _MSG_FASTOPEN, seccomp.EPERM)
        case "prctl":
            return seccomp.never(0, (_PR_SET_DUMPABLE, _PR_SET_PTRACER))
        case _:
            return [seccomp.fail(seccomp.EPERM)]


def spill_to(directory: str) -> None:
    """Where a sort goes that its memory does not hold. SQLite looked at the environment when it was loaded, so it is
    told by its pragma, which holds for the whole process."""
    os.makedirs(directory, 0o700, exist_ok=True)
    os.environ["TMPDIR"] = directory
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        quoted = directory.replace("'", "''")
        database.execute(f"PRAGMA temp_store_directory = '{quoted}'")


def readable(home: Home) -> tuple[str, ...]:
    """All of the home but keys and secrets: Landlock only grants, so its entries are named one by one, and what
    others would make later (at the first run, at the first use of a sink) is made here."""
    kept = {os.path.basename(home.keys), os.path.basename(home.secrets)}
    wanted = {"agents", "bottles", "contrib", "log", "state", "leases", "approvals", "harnesses", "forward"}
    for name in wanted:
        os.makedirs(f"{home.root}/{name}", 0o700, exist_ok=True)
    found = [f"{home.root}/{name}" for name in sorted(os.listdir(home.root)) if name not in kept]
    os.makedirs(home.runtime, 0o700, exist_ok=True)
    return (*found, home.runtime, "/etc/mime.types", "/proc/self", "/dev/urandom")
