"""What bubblewrap is told: the bottle's file system and the init script, all by descriptor.

D03: no environment and no argument of the agent in any process's argv or environ. S03, S09, D16: read-only root, no
writable sysctl, nothing of pid 1. S05: nothing of the host's /run or /tmp.
"""

import contextlib
import os
import re
import shlex

from bot_bottle.base.errors import HostFault, OperatorFault
from bot_bottle.bottles.seal import etc, seccomp
from bot_bottle.bottles.seal.ids import Ids
from bot_bottle.bottles.seal.spec import Content, Spec
from bot_bottle.bottles.seal.staging import STAGE, may_appear, staged

SHM, TMP = "/dev/shm", "/tmp"  # noqa: S108 - inside, each a sized tmpfs of the bottle's own
STAGED_TMP = f"{STAGE}/tmp"  # noqa: S108 - on the hidden stage
PRIVATE = "/run/bot-bottle"  # our own files inside
INIT, PROBE, PYTHON = f"{PRIVATE}/init", f"{PRIVATE}/probe.py", f"{PRIVATE}/python"
HOME = "/home/agent"
SETSID = "/usr/bin/setsid"
HOST_ETC = (  # copied: small files without a name, key or person in them
    "ld.so.cache",
    "localtime",
    "protocols",
    "services",
    "ssl/openssl.cnf",
)
HOST_ETC_BOUND = ("alternatives",)
HIDDEN_PROC = ("keys", "key-users", "kcore", "sysrq-trigger")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


def memfd(data: bytes) -> int:
    """An inheritable descriptor with these bytes."""
    fd = os.memfd_create("seal", 0)
    at = 0
    while at < len(data):
        at += os.pwrite(fd, data[at:], at)  # the position stays at the start
    return fd


def init_script(spec: Spec) -> bytes:
    """A tiny sh, not Python: it answers `probe`, waits for `go` and is replaced by the agent, so nothing of it stays.

    Descriptor 3 brings words, 4 takes answers; end of file on 3 ends it (D08).
    """
    lines = ["echo ready >&4"]
    lines += ["while read -r word more <&3; do case $word in"]
    if spec.probe:
        lines.append(f"  probe) {spec.probe} $more 3<&- </dev/null >&4 2>/dev/null || echo failed >&4;;")
    lines += ["  go) break;;", "  *) exit 125;;", "esac; done", '[ "$word" = go ] || exit 125', "unset word more"]
    for name, value in spec.env.items():
        if not _VARIABLE.match(name):
            raise OperatorFault(
                "plan.bad-variable", f"{name!r} is no name for an environment variable.", "Rename it."
            )
        lines.append(f"export {name}={shlex.quote(value)}")
    lines.append(_found(spec.argv[0]))
    lines.append("exec " + " ".join(map(shlex.quote, (*own_terminal(spec.terminal), *spec.argv))) + " 3<&- 4>&-")
    return "\n".join(lines).encode("utf-8", "surrogateescape") + b"\n"


def _found(program: str) -> str:
    """Said in words of ours: what sh or setsid say of a missing program names files that nobody knows."""
    name = shlex.quote(program)
    look = f"[ -e {name} ]" if "/" in program else f"command -v {name} >/dev/null 3<&- 4>&-"
    return f"{look} || {{ printf '%s: not found in the bottle\\n' {name} >&2; exit 127; }}"


def own_terminal(terminal: bool) -> tuple[str, ...]:
    """What makes the agent the leader of a session whose controlling terminal is our pty (D15).

    Not the first process's session: its number is 0 inside, and shells that save and restore the terminal's process
    group (dash) stumble over that. Raises HostFault where util-linux has no setsid.
    """
    if not terminal:
        return ()
    if not os.path.exists(SETSID):
        raise HostFault("host.no-setsid", f"There is no {SETSID} on this host.", "Install util-linux.")
    return SETSID, "--ctty"


def namespaces() -> list[str]:
    """Those that bubblewrap makes; of network and IPC the helper has made the bottle's own (S07, S12)."""
    new = [f"--unshare-{kind}" for kind in ("user", "pid", "uts", "cgroup-try")]
    return [*new, "--disable-userns", "--cap-drop", "ALL", "--die-with-parent"]


def system_tree(authority: bool) -> list[str]:
    """/usr and what points into it; of the host's /etc only what holds no name, key or person."""
    out = ["--ro-bind", "/usr", "/usr"]
    for name in ("bin", "sbin", "lib", "lib32", "lib64", "libx32"):
        if os.path.islink(f"/{name}"):
            out += ["--symlink", f"usr/{name}", f"/{name}"]
        elif os.path.isdir(f"/{name}"):
            out += ["--ro-bind", f"/{name}", f"/{name}"]
    for name in HOST_ETC_BOUND if authority else (*HOST_ETC_BOUND, "ssl/certs"):
        out += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    out += host_files()
    return [*out, "--symlink", "../usr/lib/os-release", "/etc/os-release"]


def kernel_views() -> list[str]:
    """S03, S09: sysctls read-only, no key list, and nothing of pid 1 to read or trace (D03)."""
    out = ["--proc", "/proc"]
    out += ["--ro-bind", "/proc/sys", "/proc/sys"]
    for name in HIDDEN_PROC:
        out += ["--ro-bind", "/dev/null", f"/proc/{name}"] if os.path.exists(f"/proc/{name}") else []
    return [*out, "--perms", "0555", "--size", "4096", "--tmpfs", "/proc/1", "--remount-ro", "/proc/1"]


def host_files() -> list[str]:
    """Copies of small files, by a descriptor each; bubblewrap reads them."""
    out: list[str] = []
    for name in HOST_ETC:
        with contextlib.suppress(OSError):
            fd = os.open(f"/etc/{name}", os.O_RDONLY)
            os.set_inheritable(fd, True)
            out += ["--perms", "0444", "--file", str(fd), f"/etc/{name}"]
    return out


def own_files(files: tuple[Content, ...]) -> list[str]:
    """Files of the root tmpfs, which is read-only at the end: a bind each would cost a mount."""
    out: list[str] = []
    for file in files:
        out += ["--perms", "0555" if file.executable else "0444", "--file", str(memfd(file.data)), file.target]
    return out


def places(spec: Spec) -> list[str]:
    """Every bind, parents before what lies in them; then the masks."""
    out = ["--bind", f"{STAGE}/home", HOME] if not spec.home else []
    order: list[tuple[str, list[str]]] = []
    for n, bind in enumerate(spec.binds):
        order.append((bind.target, ["--bind" if bind.writable else "--ro-bind", staged(n), bind.target]))
    if spec.overlay:
        order.append((spec.overlay.target, ["--bind", f"{STAGE}/ws", spec.overlay.target]))
    for _, options in sorted(order, key=lambda item: item[0].rstrip("/").count("/")):
        out += options
    return out


def masks(spec: Spec, is_directory: dict[str, bool]) -> list[str]:
    """An empty directory or an empty file that nobody can write; an absent name becomes an empty file."""
    out: list[str] = []
    for path in spec.masks:
        if path not in is_directory and not may_appear(spec, path):
            continue
        source = "nothing" if is_directory.get(path) else "empty"
        out += ["--ro-bind", f"{STAGE}/{source}", path]
    return out


def authorities(spec: Spec, data: bytes) -> list[str]:
    """One bundle, and the other names by which programs know it."""
    if not spec.authority:
        return []
    first, *others = etc.AUTHORITY_PLACES
    out = own_files((Content(first, data),))
    for place in others:
        out += ["--symlink", first, place]
    return out


def options(spec: Spec, ids: Ids, authority: bytes, is_directory: dict[str, bool]) -> list[str]:
    out = [*namespaces(), "--hostname", spec.hostname, *system_tree(bool(spec.authority))]
    out += own_files((*etc.contents(ids, spec.home or HOME), *spec.contents))
    out += authorities(spec, authority)
    out += own_files((Content(INIT, init_script(spec)),))
    out += kernel_views()
    out += ["--dev", "/dev", "--bind", f"{STAGE}/shm", SHM, "--remount-ro", "/dev"]
    out += ["--bind", STAGED_TMP, TMP, *places(spec), *masks(spec, is_directory)]
    return [*out, "--chdir", spec.cwd, "--remount-ro", "/"]


def command(bwrap: str, chosen: list[str]) -> list[str]:
    """Options by descriptor: paths and the agent's arguments stay out of the process list."""
    full = [*chosen, "--seccomp", str(memfd(seccomp.program()))]
    args = memfd(b"\0".join(option.encode("utf-8", "surrogateescape") for option in full) + b"\0")
    return [bwrap, "--args", str(args), "--", "/bin/sh", INIT]
