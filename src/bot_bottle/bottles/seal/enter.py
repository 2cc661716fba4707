"""Another process in a running bottle, under the same confinement: `exec`, `attach`, `forward`.

A forked helper enters the bottle's namespaces by the pidfd of its init, becomes the agent, gives up every capability
and takes the same filter and limits. Until its exec it is a copy of the launcher (D03), so it is not dumpable before
it shares a pid namespace with the agent.
"""

import contextlib
import os
import socket
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from bot_bottle.base.errors import SealFault
from bot_bottle.bottles.seal import kernel, processes, seccomp
from bot_bottle.bottles.seal.bottle import SIGNALLED, kill
from bot_bottle.bottles.seal.helper import arm, arm_first, failure, join_cgroups, limits, own_session, take
from bot_bottle.bottles.seal.spec import Ceilings
from bot_bottle.bottles.seal.start import HANDSHAKE_SECONDS, refused

ALL = kernel.NEWUSER | kernel.NEWNS | kernel.NEWPID | kernel.NEWNET | kernel.NEWIPC | kernel.NEWUTS
DIAL_SECONDS = 5.0
KEEPER_FAILED = 127
INIT, CHANNEL = 3, 4  # where `take` puts the descriptors


class Handle(msgspec.Struct, frozen=True):
    """All that another process of the same user needs to enter a bottle; may be kept in a lease file.

    first, born: pid and start time (clock ticks since boot) of the first process, so that a reused pid is noticed.
    inside, by: as in `ids.Ids`. cwd: where the agent began. groups: cgroups to join.
    """

    first: int
    born: int
    inside: int
    by: str
    cwd: str
    files: int
    processes: int
    data: int
    groups: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """What to run inside. argv[0] is looked up in env's PATH. terminal: stdio is a pty of ours."""

    argv: tuple[str, ...]
    env: dict[str, str]
    stdio: tuple[int, int, int]
    terminal: bool = False


def enter(handle: Handle, entry: Entry) -> int:
    """Host pidfd of the process that keeps the new one and ends with its status, a child of ours.

    Killing it kills the new one. Raises SealFault when it cannot be started.
    """
    init = open_init(handle)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    launcher = os.getpid()
    pid = os.fork()
    if pid == 0:
        _child(launcher, handle, entry, (*entry.stdio, init, theirs.fileno()))
    os.close(init)
    theirs.close()
    try:
        return _handshake(ours, pid, handle.groups)
    finally:
        ours.close()


def dial(handle: Handle, port: int) -> int:
    """A TCP connection to 127.0.0.1:port in the bottle, as a descriptor. The host connects in; nothing leads out."""
    init = open_init(handle)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        _dial(init, port, theirs)
    os.close(init)
    theirs.close()
    try:
        ours.settimeout(HANDSHAKE_SECONDS)
        text, fds, _, _ = socket.recv_fds(ours, 4096, 1, socket.MSG_CMSG_CLOEXEC)
        if not fds:
            raise SealFault("seal.nobody-listens", f"Nothing answers on port {port} in the bottle.", text.decode())
        return fds[0]
    finally:
        ours.close()
        os.waitpid(pid, 0)


def _dial(init: int, port: int, channel: socket.socket) -> NoReturn:
    try:
        kernel.setns(init, kernel.NEWUSER | kernel.NEWNET)
        with socket.create_connection(("127.0.0.1", port), timeout=DIAL_SECONDS) as sock:
            sock.setblocking(True)
            socket.send_fds(channel, [b"dialled"], [sock.fileno()])
    except OSError as error:
        channel.send(f"{error.strerror or error}.".encode())
    finally:
        os._exit(0)


def open_init(handle: Handle) -> int:
    """A pidfd of the bottle's inner init. Raises SealFault when this bottle has ended."""
    with contextlib.suppress(OSError):
        init = os.pidfd_open(processes.inner_init(handle.first))
        if processes.born(handle.first) == handle.born:
            return init
        os.close(init)
    raise SealFault("seal.cannot-enter", "The bottle has ended.", "See `bot-bottle list`.")


def _handshake(channel: socket.socket, helper: int, groups: tuple[str, ...]) -> int:
    """Ends with the program exec'd, and its keeper's pidfd; otherwise with nothing left."""
    pidfd = os.pidfd_open(helper)
    try:
        channel.settimeout(HANDSHAKE_SECONDS)
        word = channel.recv(4096)
        if not word.startswith(b"child "):
            raise refused(word)
        join_cgroups(groups, int(word.split()[1]))
        channel.send(b"ok")
        late = channel.recv(4096)  # empty once the program is exec'd: the channel closes on exec
        if late:
            raise refused(late)
    except BaseException:
        kill(pidfd)
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED)
        os.close(pidfd)
        raise
    return pidfd


def _child(launcher: int, handle: Handle, entry: Entry, fds: tuple[int, ...]) -> NoReturn:
    """Enters, forks the program and stays its parent outside.

    A process injected into a pid namespace keeps the namespace dying until its parent has reaped it; that must not
    depend on who called us (S11).
    """
    status = KEEPER_FAILED
    try:
        arm(launcher)
        take(fds)
        channel = socket.socket(fileno=CHANNEL)
        try:
            status = _enter(launcher, handle, entry, channel)
        except BaseException as error:  # the process ends here whatever it was
            channel.send(failure(error))
    finally:
        os._exit(status)


def _enter(launcher: int, handle: Handle, entry: Entry, channel: socket.socket) -> int:
    if handle.by == "own":
        os.setgroups([])
    unreadable()
    kernel.setns(INIT, ALL)
    with contextlib.suppress(OSError):
        kernel.setns(INIT, kernel.NEWCGROUP)  # only where bubblewrap could make one
    if handle.inside != os.getuid():
        os.setresgid(handle.inside, handle.inside, handle.inside)
        os.setresuid(handle.inside, handle.inside, handle.inside)
        arm(launcher)
        unreadable()
    pid = os.fork()
    if pid == 0:
        _inside(handle, entry, channel)
    channel.send(f"child {pid}".encode())
    kernel.close_from(0)
    _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else SIGNALLED + os.WTERMSIG(status)


def unreadable() -> None:
    """D03: nothing that the launcher's memory holds can be read by the agent before our exec replaces it."""
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)


def _inside(handle: Handle, entry: Entry, channel: socket.socket) -> NoReturn:
    try:
        arm_first(CHANNEL)
        if channel.recv(16) != b"ok":  # we are in the bottle's control groups
            os._exit(1)
        limits(Ceilings(files=handle.files, processes=handle.processes, data=handle.data))
        own_session(entry.terminal)
        os.chdir(handle.cwd)
        kernel.drop_capabilities()
        kernel.install_filter(seccomp.program())
        os.execvpe(  # noqa: S606 - this is the confined start itself
            entry.argv[0], entry.argv, entry.env
        )
    except BaseException as error:
        channel.send(failure(error))
    finally:
        os._exit(127)
