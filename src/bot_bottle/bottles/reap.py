"""What killed runs left behind: their processes, sockets, state and open logs (D08). Done at each start and by
`cleanup`. The log is sealed by a keeper; here only the order is kept: processes first, then the log, then the lease.
"""

import contextlib
import os
import signal
import time

from bot_bottle.base.home import Home
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.workspace.discard import discard
from bot_bottle.bottles.workspace.prepare import RECORD
from bot_bottle.bottles.workspace.removal import remove

GRACE_SECONDS = 3.0


def reap(home: Home) -> list[leases.Held]:
    """Ends the processes of dead leases and removes what lies on the disk; work that matters becomes kept changes.

    The leases themselves stay until `settle`, because their logs are not sealed yet. Returns them.
    """
    orphans = [held for held, lives in leases.leases(home) if not lives and held.state != "kept"]
    for held in orphans:
        end_processes(held.processes)
        if has_work(home, held):
            remove_sockets(home, held.label)
        else:
            remove_state(home, held.label)
    return orphans


def settle(home: Home, orphans: list[leases.Held]) -> None:
    """After their logs are sealed: labels are free again, or hold the work that was found."""
    for held in orphans:
        if has_work(home, held):
            leases.mark_kept(home, held)
        else:
            leases.forget(home, held.label)


def has_work(home: Home, held: leases.Held) -> bool:
    """A killed launcher must not cost what the agent did."""
    return held.work and held.state in ("running", "ending") and os.path.exists(f"{home.state(held.label)}/{RECORD}")


def end_processes(known: tuple[leases.Process, ...], grace: float = GRACE_SECONDS) -> None:
    """Keeper and gateway end by themselves once their launcher is gone, and seal; the rest is killed at once."""
    deadline = time.monotonic() + grace
    for process in known:
        if process.name != "keeper":
            _kill(process)
    for process in known:
        while _lives(process) and time.monotonic() < deadline:
            time.sleep(0.01)
        _kill(process)


def remove_state(home: Home, label: str) -> None:
    """State directory and sockets of a label. Never follows a link that an agent made (D22)."""
    state = home.state(label)
    if os.path.isdir(state):
        discard(state)
    if os.path.lexists(state):
        remove(state)
    remove_sockets(home, label)


def remove_sockets(home: Home, label: str) -> None:
    if os.path.lexists(home.sockets(label)):
        remove(home.sockets(label))


def _lives(process: leases.Process) -> bool:
    return process.start != 0 and leases.start_time(process.pid) == process.start


def _kill(process: leases.Process) -> None:
    """By pidfd, with the start time compared after it is open, so that no stranger with the same pid is hit."""
    if not _lives(process):
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        pidfd = os.pidfd_open(process.pid)
        try:
            if _lives(process):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        finally:
            os.close(pidfd)
