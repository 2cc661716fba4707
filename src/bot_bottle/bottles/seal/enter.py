"""Another process in a running bottle, under the same confinement: `exec`, `attach`, `forward`.

A forked helper enters the bottle's namespaces by the pidfd of its init, becomes the agent, gives up every capability,
takes the same filter and limits, and is never readable from inside: until the exec it is a copy of the launcher (D03),
so it is not dumpable before it shares a pid namespace with the agent.
"""

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import NoReturn

from bot_bottle.base.errors import SealFault
from bot_bottle.bottles.seal import kernel, processes, seccomp
from bot_bottle.bottles.seal.helper import arm, arm_first, failure, limits, own_session, take
from bot_bottle.bottles.seal.ids import Ids
from bot_bottle.bottles.seal.spec import Ceilings
from bot_bottle.bottles.seal.start import HANDSHAKE_SECONDS, join_cgroups, refused

ALL = kernel.NEWUSER | kernel.NEWNS | kernel.NEWPID | kernel.NEWNET | kernel.NEWIPC | kernel.NEWUTS
INIT, CHANNEL = 3, 4  # where `take` puts the descriptors


@dataclass(frozen=True, slots=True)
class Entry:
    """What to run inside. argv[0] is looked up in env's PATH. terminal: stdio is a pty of ours."""

    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    terminal: bool
    ceilings: Ceilings


def enter(first: int, ids: Ids, entry: Entry, groups: tuple[str, ...], stdio: tuple[int, int, int]) -> int:
    """Host pidfd of the new process, a child of ours. Raises SealFault when it cannot be started."""
    init = os.pidfd_open(processes.inner_init(first) or first)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    launcher = os.getpid()
    pid = os.fork()
    if pid == 0:
        _child(launcher, ids, entry, (*stdio, init, theirs.fileno()))
    os.close(init)
    theirs.close()
    try:
        return _handshake(ours, pid, groups)
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _handshake(channel: socket.socket, pid: int, groups: tuple[str, ...]) -> int:
    channel.settimeout(HANDSHAKE_SECONDS)
    if channel.recv(4096) != b"groups":
        raise SealFault("seal.cannot-enter", "The bottle has ended.", "See `bot-bottle list`.")
    join_cgroups(groups, pid)
    channel.send(b"ok")
    text, fds, _, _ = socket.recv_fds(channel, 4096, 1, socket.MSG_CMSG_CLOEXEC)
    if not fds:
        raise refused(text)
    late = channel.recv(4096)  # empty once the program is exec'd
    if late:
        os.waitid(os.P_PIDFD, fds[0], os.WEXITED)
        os.close(fds[0])
        raise refused(late)
    return fds[0]


def _child(launcher: int, ids: Ids, entry: Entry, fds: tuple[int, ...]) -> NoReturn:
    try:
        arm(launcher)
        take(fds)
        channel = socket.socket(fileno=CHANNEL)
        try:
            _enter(launcher, ids, entry, channel)
        except BaseException as error:  # noqa: BLE001 - the process ends here whatever it was
            channel.send(failure(error))
    finally:
        os._exit(0)


def _enter(launcher: int, ids: Ids, entry: Entry, channel: socket.socket) -> None:
    channel.send(b"groups")
    if channel.recv(16) != b"ok":
        os._exit(1)
    if ids.by == "own":
        os.setgroups([])
    unreadable()
    kernel.setns(INIT, ALL)
    with contextlib.suppress(OSError):
        kernel.setns(INIT, kernel.NEWCGROUP)  # only where bubblewrap could make one
    if ids.inside != os.getuid():
        os.setresgid(ids.inside, ids.inside, ids.inside)
        os.setresuid(ids.inside, ids.inside, ids.inside)
        arm(launcher)
        unreadable()
    pid, pidfd = kernel.sibling()
    if pid == 0:
        _inside(entry, channel)
    socket.send_fds(channel, [b"started"], [pidfd])


def unreadable() -> None:
    """D03: nothing that the launcher's memory holds can be read by the agent before our exec replaces it."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def _inside(entry: Entry, channel: socket.socket) -> NoReturn:
    try:
        arm_first(CHANNEL)
        limits(entry.ceilings)
        own_session(entry.terminal)
        os.chdir(entry.cwd)
        kernel.drop_capabilities()
        kernel.install_filter(seccomp.program())
        os.execvpe(entry.argv[0], entry.argv, entry.env)
    except BaseException as error:  # noqa: BLE001 - the process ends here whatever it was
        channel.send(failure(error))
    finally:
        os._exit(127)
