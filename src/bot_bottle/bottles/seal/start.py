"""The launcher's side of a start: fork the helper, receive the first process and the doors.

Belongs to the main thread, because PDEATHSIG is per thread (D08); nothing is left behind when it fails.
"""

import contextlib
import errno
import json
import os
import pty
import resource
import signal
import socket
import threading
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from bot_bottle.base.errors import BottleError, HostFault, SealFault
from bot_bottle.bottles.seal import ids as identity
from bot_bottle.bottles.seal import seccomp, which
from bot_bottle.bottles.seal.helper import helper
from bot_bottle.bottles.seal.ids import Ids
from bot_bottle.bottles.seal.spec import Spec

HANDSHAKE_SECONDS = 20.0
MAX_DESCRIPTORS = 250


@dataclass(slots=True)
class Opened:
    """What a successful start gives: all descriptors are the caller's.

    meters: directories to measure tmpfs use. helper: its pid, which ends by itself and is still to be reaped.
    """

    pid: int
    pidfd: int
    doors: list[tuple[str, int]]
    stdio: tuple[int, int, int]
    ready: int
    release: int
    meters: list[int]
    ids: Ids
    helper: int


def start(spec: Spec, bwrap: which.Found | None = None) -> Opened:
    """Seals and stages; the bottle then waits for its first word. Raises SealFault or HostFault."""
    if threading.current_thread() is not threading.main_thread():
        raise SealFault("seal.thread", "A bottle was started from a thread.", "Start it from the main thread.")
    bwrap = bwrap or which.bubblewrap()
    raise_own_limit()
    seccomp.program()  # made once, here: every helper inherits it
    ids = identity.choose()
    try:
        return fork(spec, ids, bwrap)
    except OSError as error:
        ids.release()
        raise HostFault("host.cannot-seal", f"The bottle could not be made: {error}.", ADVICE) from error
    except BottleError:
        ids.release()
        raise


ADVICE = "Run `bot-bottle doctor`: it says what this machine lacks."


def raise_own_limit() -> None:
    """Our soft limit becomes our hard one; a bottle gets at most a quarter of it (D16)."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def fork(spec: Spec, ids: Ids, bwrap: which.Found) -> Opened:
    launcher = os.getpid()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ready_r, ready_w = os.pipe()
    go_r, go_w = os.pipe()
    inner, outer = own_stdio(spec.terminal)
    pid = os.fork()
    if pid == 0:
        helper(spec, ids, bwrap, launcher, (*inner, go_r, ready_w, theirs.fileno()))
    theirs.close()
    close_all((*inner, go_r, ready_w))
    try:
        first, pidfd, kinds, fds = handshake(ours)
    except BaseException:
        close_all((*outer, ready_r, go_w))  # EOF on go ends whatever had come up
        os.waitpid(pid, 0)
        raise
    finally:
        ours.close()
    doors = list(zip(kinds, fds, strict=False))
    return Opened(first, pidfd, doors, outer, ready_r, go_w, fds[len(kinds) :], ids, pid)


def own_stdio(terminal: bool) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """D01, D15: the agent's 0-2 are pipes or a terminal of ours, never the caller's. (inner, outer)."""
    if terminal:
        master, slave = pty.openpty()
        return (slave, slave, slave), (master, master, master)
    in_r, in_w = os.pipe()
    out_r, out_w = os.pipe()
    err_r, err_w = os.pipe()
    return (in_r, out_w, err_w), (in_w, out_r, err_r)


def close_all(fds: Iterable[int]) -> None:
    for fd in set(fds):
        with contextlib.suppress(OSError):
            os.close(fd)


def handshake(channel: socket.socket) -> tuple[int, int, list[str], list[int]]:
    channel.settimeout(HANDSHAKE_SECONDS)
    text, fds, _, _ = socket.recv_fds(channel, 65536, MAX_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC)
    if not fds:
        raise refused(text)
    late = channel.recv(4096)  # empty once bubblewrap is exec'd: the channel closes on exec
    if late:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(fds[0], signal.SIGKILL)
        os.waitid(os.P_PIDFD, fds[0], os.WEXITED)
        close_all(fds)
        raise refused(late)
    message = json.loads(text)
    return message["pid"], fds[0], message["kinds"], fds[1:]


class Refusal(msgspec.Struct):
    """The helper's last words, see `helper.failure`."""

    slug: str = ""
    what: str = ""
    hint: str = ""
    failed: str = "the helper ended without a word"
    errno: int | None = None


def refused(answer: bytes) -> BottleError:
    """The helper's last words as an error for a person."""
    try:
        words = msgspec.json.decode(answer, type=Refusal) if answer else Refusal()
    except msgspec.DecodeError:
        words = Refusal()
    if words.slug:
        return HostFault(words.slug, words.what, words.hint)
    if words.errno in {errno.EPERM, errno.EACCES, errno.ENOSPC}:
        return HostFault("host.cannot-seal", f"The kernel refused a step of the seal: {words.failed}.", ADVICE)
    return SealFault("seal.failed", f"The bottle could not be sealed: {words.failed}.", ADVICE)
