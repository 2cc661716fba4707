"""The forked child of the launcher that makes the seal; its last act is the bottle's first process.

Single-threaded, on a copy of the launcher's memory, numbered; every step can fail and then nothing has started. Order
matters: bound to the launcher before anything exists (D08), descriptors closed before any mount (D01), root's powers
gone before the agent's files are touched, and no `go` before the doors are the launcher's (S06).
"""

import fcntl
import json
import os
import resource
import select
import signal
import socket
from typing import NoReturn

from bot_bottle.base.errors import BottleError
from bot_bottle.bottles.seal import doors, kernel, layout, staging, which
from bot_bottle.bottles.seal.ids import Ids, namespace, put, reap_sleepers
from bot_bottle.bottles.seal.spec import Ceilings, Spec

STDIN, STDOUT, STDERR, GO, READY, CHANNEL = range(6)  # where `take` puts the descriptors
TIOCSCTTY = 0x540E
OOM_FIRST = "500"


def helper(spec: Spec, ids: Ids, bwrap: which.Found, launcher: int, fds: tuple[int, ...]) -> NoReturn:
    """fds: the agent's stdin, stdout, stderr, then go, ready and the channel to the launcher. Never returns."""
    try:
        arm(launcher)  # 1
        take(fds)  # 2
        channel = socket.socket(fileno=CHANNEL)
        try:
            build(spec, ids, bwrap, launcher, channel)
        except BaseException as error:
            channel.send(failure(error))
            reap_sleepers()
    finally:
        os._exit(0)


def build(spec: Spec, ids: Ids, bwrap: which.Found, launcher: int, channel: socket.socket) -> None:
    put("/proc/self/oom_score_adj", OOM_FIRST)  # 3: S12, the agent is killed before its keeper
    authority = read(spec.authority)
    binary = staging.binary(bwrap)
    sources = staging.clone_sources(spec, ids, binary)  # 4: with all of root's powers still
    join_cgroups(spec.cgroups)  # 5: before there are children, so that all of them are born there
    kernel.setns(namespace(ids), kernel.NEWUSER)  # 6: only the agent's ids exist from here on
    kernel.unshare(kernel.NEWNS | kernel.NEWNET | kernel.NEWIPC | kernel.NEWPID)
    tables = [*staging.ipc_tables(), *staging.buffers_link()]
    staging.no_propagation()  # 7
    staging.open_sources(spec, sources, binary)
    become_agent(ids, launcher)  # 8
    staging.stage(spec)  # 9
    staging.attach(spec, sources, binary)
    staging.mount_overlay(spec, sources)
    options = layout.options(spec, ids, authority, staging.directories(spec))  # 10
    command = layout.command(staging.binary_path(bwrap), options)
    pid, pidfd = kernel.sibling()  # 11
    if pid == 0:
        first_process(spec, command)
    try:
        sockets = network(spec)  # 12: while bubblewrap starts; the agent waits for `go`, which needs 13
    except BaseException:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        raise
    meters = [*staging.meters(), *tables]
    message = json.dumps({"pid": pid, "kinds": [kind for kind, _ in sockets], "meters": len(meters)}).encode()
    socket.send_fds(channel, [message], [pidfd, *(sock.fileno() for _, sock in sockets), *meters])  # 13
    channel.close()  # the launcher goes on; our own end is not waited for
    reap_sleepers()


def network(spec: Spec) -> list[tuple[str, socket.socket]]:
    """Loopback and the doors; without doors nothing, and every connection is refused."""
    if spec.doors is None:
        return []
    doors.loopback()
    return doors.listeners(spec.doors)


def join_cgroups(groups: tuple[str, ...], pid: int = 0) -> None:
    """Moves a process, 0 being ourselves."""
    for group in groups:
        put(f"{group}/cgroup.procs", str(pid))


def arm(launcher: int) -> None:
    """D08: bound to the launcher before anything exists; again after each change of uid, which undoes it."""
    kernel.die_with_parent()
    if os.getppid() != launcher:
        os._exit(1)


def take(fds: tuple[int, ...]) -> None:
    """D01: the listed descriptors become 0..n-1, all others are closed. Only 0-2 survive an exec by themselves."""
    high = [fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 100) for fd in fds]
    for n, fd in enumerate(high):
        os.dup2(fd, n, inheritable=n <= STDERR)
    close_others(len(fds))


def close_others(first: int) -> None:
    kernel.close_from(first)


def read(path: str) -> bytes:
    if not path:
        return b""
    with open(path, "rb") as file:
        return file.read()


def become_agent(ids: Ids, launcher: int) -> None:
    """As root: from here on the host knows us as a uid that nobody owns (S03)."""
    if ids.inside == os.getuid():
        return
    if ids.by == "own":
        os.setgroups([])
    os.setresgid(ids.inside, ids.inside, ids.inside)
    os.setresuid(ids.inside, ids.inside, ids.inside)
    arm(launcher)


def first_process(spec: Spec, command: list[str]) -> NoReturn:
    """pid 1 of an outer pid namespace and a child of the launcher; the agent cannot see it.

    Its death is the death of all, also of a bubblewrap that has not yet tied itself to anybody.
    """
    try:
        arm_first(GO)
        own_process_view()
        limits(spec.ceilings)
        own_session(terminal=False)  # the agent takes its own, see layout.init_script
        for fd in (GO, READY):
            os.set_inheritable(fd, True)
        os.execve(command[0], command, bwrap_environment())  # noqa: S606 - the sandbox itself
    except BaseException as error:
        socket.socket(fileno=CHANNEL).send(failure(error))
    finally:
        os._exit(127)


def arm_first(go: int) -> None:
    """getppid() says 0 here whether the launcher lives or not; its end of the go pipe does not lie, and the kernel
    closes it before it looks for children to signal."""
    kernel.die_with_parent()
    poll = select.poll()
    poll.register(go, 0)
    if poll.poll(0):
        os._exit(1)


def own_process_view() -> None:
    """bubblewrap looks its child up in /proc by the pid of this namespace; the host's /proc knows another by it, or
    none where the host itself is a container with few processes."""
    kernel.mount("proc", "/proc", "proc", kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC)


def limits(ceilings: Ceilings) -> None:
    """D16: descriptors at most a quarter of ours; NPROC counts inside the user namespace; never RLIMIT_AS."""
    ours = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    files = min(ceilings.files, max(ours // 4, 64))
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    if ceilings.processes:
        resource.setrlimit(resource.RLIMIT_NPROC, (ceilings.processes, ceilings.processes))
    if ceilings.data:
        resource.setrlimit(resource.RLIMIT_DATA, (ceilings.data, ceilings.data))
    resource.setrlimit(resource.RLIMIT_CORE, (1, 1))  # 1, not 0: a piped core_pattern ignores 0


def own_session(terminal: bool) -> None:
    """D15: no controlling terminal but our own; S09: an empty session keyring; default signals, also SIGPIPE."""
    os.setsid()
    kernel.own_session_keyring()
    if terminal:
        fcntl.ioctl(STDIN, TIOCSCTTY, 0)
    kernel.default_signals()
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    os.umask(0o022)
    os.chdir("/")


def bwrap_environment() -> dict[str, str]:
    """D03: pid 1 shows what it was exec'd with."""
    return {}


def failure(error: BaseException) -> bytes:
    """Our last words, for `start.refused`."""
    if isinstance(error, BottleError):
        return json.dumps({"slug": error.slug, "what": error.what, "hint": error.hint}).encode()
    number = error.errno if isinstance(error, OSError) else None
    return json.dumps({"failed": f"{type(error).__name__}: {error}"[:2000], "errno": number}).encode()
