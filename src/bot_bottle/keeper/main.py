"""`python -I -m bot_bottle.keeper.main`, started by a launcher with fd 3 as its channel. Holds what nobody else may:
the secret stores, the CA key and the log key (D17, D19). Numbered start-up; exit 0 when the log was sealed.
"""

import datetime
import os
import secrets
import socket
import traceback

from bot_bottle.base.errors import BottleError, OurFault
from bot_bottle.base.home import Home
from bot_bottle.custody.open import Custody, open_custody
from bot_bottle.egress.channel import ChannelClosed
from bot_bottle.keeper.asking import asker
from bot_bottle.keeper.authority import Authority
from bot_bottle.keeper.control import bounded
from bot_bottle.keeper.hardening import harden
from bot_bottle.keeper.logs import open_log, recover, trust
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages import (
    HeldLog,
    HoldLog,
    KeeperToLauncher,
    LauncherToKeeper,
    LogsPurged,
    Open,
    PurgeLogs,
    Recover,
    Recovered,
    Refused,
    Supplied,
    Supply,
    Survey,
    Surveyed,
)
from bot_bottle.keeper.session import Launcher, Outside, Session
from bot_bottle.keeper.supply import present


def main() -> int:
    """Exit status of the process."""
    harden()  # 1 nobody reads our memory from here on
    sock = socket.socket(fileno=3)
    bounded(sock)
    launcher = Launcher(sock, LauncherToKeeper)  # pyright: ignore[reportArgumentType]
    now = datetime.datetime.now(datetime.UTC)
    authority = Authority(secrets.token_hex(4), now)  # 2 while the launcher still plans
    try:
        return converse(launcher, authority)
    except ChannelClosed:
        return 0


def converse(launcher: Launcher, authority: Authority) -> int:
    """3: questions first, then at most one Open; an error goes back as a typed refusal."""
    while True:
        message, fds = launcher.receive()
        try:
            if isinstance(message, Open) and fds:
                session(launcher, authority, message, *fds[:2]).serve()
                return 0
            reply = answered(message, *fds[:1])
        except BottleError as error:
            reply = Refused(type(error).__name__, error.slug, error.what, error.hint)
        except OSError as error:
            what = f"{error.strerror}: {error.filename}" if error.filename else str(error.strerror)
            reply = Refused("HostFault", "host.refused", f"{what}.")
        except Exception as error:
            reply = bug(error)
        launcher.send(reply)
        if isinstance(message, Open):
            return 1


def bug(error: Exception) -> Refused:
    """A fault of ours by its class and place; its values may hold a secret."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    what = f"The keeper failed: {type(error).__name__} at {os.path.basename(frame.filename)}:{frame.lineno}."
    return Refused("OurFault", "keeper.bug", what, "Please report this line.")


def answered(message: LauncherToKeeper, terminal: int = -1) -> KeeperToLauncher:
    """The questions that need no bottle."""
    match message:
        case Survey():
            return Surveyed(custody_of(message.home, message.runtime, terminal).names())
        case Recover():
            sealed, kept = recover(Home(message.home, message.runtime), message.runs)
            return Recovered(sealed, kept)
        case PurgeLogs() | HoldLog():
            return retained(message)
        case Supply():
            return Supplied(present(message.names, custody_of(message.home, message.runtime, terminal)))
        case _:
            raise OurFault("keeper.protocol", "The keeper was asked out of turn.")


def retained(message: PurgeLogs | HoldLog) -> KeeperToLauncher:
    """Purges and legal holds: what only the holder of the log key can sign."""
    from bot_bottle.audit.keys import LogKey
    from bot_bottle.audit.recover import HostClock
    from bot_bottle.audit.retention import hold_run, purge_runs

    home = Home(message.home, message.runtime)
    key = LogKey.open(home.keys)
    if isinstance(message, PurgeLogs):
        return LogsPurged(purge_runs(home, key, HostClock(), message.wish))
    hold_run(home, key, HostClock(), message.run, message.approver, message.reason, message.release)
    return HeldLog()


def session(launcher: Launcher, authority: Authority, order: Open, gateway: int, terminal: int = -1) -> Session:
    """4: everything that this bottle needs, chosen here and nowhere else."""
    if order.recover:
        recover(Home(order.home, order.runtime), order.recover)
    outside = Outside(custody_of(order.home, order.runtime, terminal), open_log, trust, authority)
    return Session(launcher, Loop(), order, socket.socket(fileno=gateway), outside)


def custody_of(home: str, runtime: str, terminal: int) -> Custody:
    """The person's stores; a passphrase is asked for at the lent terminal."""
    return open_custody(Home(home, runtime), os.environ, asker(terminal))


if __name__ == "__main__":
    os._exit(main())  # the launcher waits: taking the interpreter apart would cost more than the whole seal
