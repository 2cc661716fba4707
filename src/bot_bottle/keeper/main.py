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
from bot_bottle.keeper.control import bounded, peer
from bot_bottle.keeper.hardening import harden
from bot_bottle.keeper.logs import open_log, recover, trust
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.launcher import KeeperToLauncher, LauncherToKeeper, Open
from bot_bottle.keeper.messages.questions import (
    AnswerEnded,
    HeldLog,
    HoldLog,
    IssueLeaf,
    LeafIssued,
    LogsPurged,
    NoteControl,
    PurgeLogs,
    Recover,
    Recovered,
    RevokeEnded,
    Supplied,
    Supply,
    Survey,
    Surveyed,
)
from bot_bottle.keeper.messages.replies import Refused
from bot_bottle.keeper.outside import Launcher, Outside
from bot_bottle.keeper.session import Session
from bot_bottle.keeper.supply import present


def main() -> int:
    """Exit status of the process."""
    harden()  # 1 nobody reads our memory from here on
    sock = socket.socket(fileno=3)
    bounded(sock)
    launcher = Launcher(sock, LauncherToKeeper)
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
            reply = answered(message, *fds[:1], peer=peer(launcher.sock))
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


def answered(message: LauncherToKeeper, terminal: int = -1, peer: int = -1) -> KeeperToLauncher:
    """The questions that need no bottle. peer: uid of who started us."""
    match message:
        case Survey():
            return Surveyed(custody_of(message.home, message.runtime, terminal).names())
        case Recover():
            sealed, kept = recover(Home(message.home, message.runtime), message.runs)
            end_left(Home(message.home, message.runtime))
            return Recovered(sealed, kept)
        case PurgeLogs() | HoldLog():
            return retained(message)
        case AnswerEnded() | RevokeEnded() | NoteControl():
            return of_the_ended(message, peer)
        case IssueLeaf():
            return issued(message)
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


def end_left(home: Home) -> None:
    """Asks that dead keepers left are ended."""
    if os.path.exists(home.approvals):
        from bot_bottle.keeper import ended

        ended.end_left(home)


def of_the_ended(message: AnswerEnded | RevokeEnded | NoteControl, peer: int) -> KeeperToLauncher:
    """What a person says of a bottle that is no more, or of the installation."""
    from bot_bottle.keeper import ended

    home = Home(message.home, message.runtime)
    match message:
        case AnswerEnded(answer=answer):
            return ended.answer(home, answer, peer)
        case RevokeEnded(revoke=revoke):
            return ended.revoke(home, revoke, peer)
        case NoteControl():
            return ended.note(home, message, peer)


def issued(message: IssueLeaf) -> LeafIssued:
    """A leaf of the dashboard's own authority, whose key stays here."""
    from bot_bottle.keeper.web_authority import WebAuthority

    authority = WebAuthority(
        Home(message.home, message.runtime).keys, message.host, datetime.datetime.now(datetime.UTC)
    )
    made = authority.issue(message.names)
    return LeafIssued(made.leaf, made.key, made.authority, made.fingerprint, made.refused)


def session(launcher: Launcher, authority: Authority, order: Open, gateway: int, terminal: int = -1) -> Session:
    """4: everything that this bottle needs, chosen here and nowhere else."""
    if order.recover:
        recover(Home(order.home, order.runtime), order.recover)
        end_left(Home(order.home, order.runtime))
    outside = Outside(custody_of(order.home, order.runtime, terminal), open_log, trust, authority)
    return Session(launcher, Loop(), order, socket.socket(fileno=gateway), outside)


def custody_of(home: str, runtime: str, terminal: int) -> Custody:
    """The person's stores; a passphrase is asked for at the lent terminal."""
    return open_custody(Home(home, runtime), os.environ, asker(terminal))


if __name__ == "__main__":
    os._exit(main())  # the launcher waits: taking the interpreter apart would cost more than the whole seal
