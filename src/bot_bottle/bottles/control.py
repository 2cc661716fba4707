"""The command line's end of a bottle's control socket (keeper/control.py): facts, stop, freeze, policy, secrets, and
what a person says of asks and grants."""

import contextlib
import socket
import time
from collections.abc import Callable

import msgspec

from bot_bottle.base.errors import HostFault, OurFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.live import as_error
from bot_bottle.bottles.reap import end_processes
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper.control import bounded, connect
from bot_bottle.keeper.messages.approvals import (
    AnswerAsk,
    Answered,
    AskShown,
    LeafProposed,
    ProposeLeaf,
    RefreshGrants,
    RevokeGrant,
    ShowAsk,
)
from bot_bottle.keeper.messages.control import (
    ControlToKeeper,
    Facts,
    FactsQuery,
    FreezeBottle,
    KeeperToControl,
    LearnPolicy,
    OfWeb,
    ReloadPolicy,
    Renewed,
    RenewSecret,
    Stop,
    ThawBottle,
)
from bot_bottle.keeper.messages.replies import Refused
from bot_bottle.policy.effective import Policy

_SECONDS, _CONNECT_SECONDS = 10, 2
_Link = Channel[ControlToKeeper, KeeperToControl]
Dial = Callable[[Home, str], socket.socket]
"""A connection to the keeper of this label: by ourselves, or where we may not connect by who may."""


def held(home: Home, label: str) -> leases.Held:
    """The lease of a running bottle. Raises UsageFault where none runs under this label."""
    found = leases.read(home, label)
    if found is None or not leases.alive(home, label):
        known = [one.label for one, lives in leases.leases(home) if lives]
        hint = f"Running: {', '.join(known)}." if known else "bot-bottle list shows what runs."
        raise UsageFault("label.unknown", f"No bottle labelled {label} is running.", hint)
    return found


def dial(home: Home, label: str) -> socket.socket:
    """The keeper of a running bottle. Raises UsageFault where none runs under this label, HostFault where it does not
    answer."""
    held(home, label)
    try:
        return connect(home.sockets(label), "control", _CONNECT_SECONDS)
    except OSError as error:
        raise _unreachable(label, "It may be starting or ending.") from error


def dial_for_web(home: Home, label: str) -> socket.socket:
    """The same for the web process, which may say less there; the keeper hears that first (D17)."""
    sock = dial(home, label)
    try:
        _Link(sock, KeeperToControl).send(OfWeb())
    except ChannelClosed as error:
        sock.close()
        raise _unreachable(label, "Try again.") from error
    return sock


def ask(home: Home, label: str, by: Dial = dial) -> Facts:
    """What the keeper knows now."""
    answer = exchange(home, label, FactsQuery(), by)
    if not isinstance(answer, Facts):
        raise out_of_turn()
    return answer


def freeze(home: Home, label: str, reason: str = "asked", by: Dial = dial) -> None:
    """Returns once no byte moves any more."""
    exchange(home, label, FreezeBottle(reason), by)


def thaw(home: Home, label: str, by: Dial = dial) -> None:
    exchange(home, label, ThawBottle(), by)


def reload(home: Home, label: str, policy: Policy) -> None:
    """A new policy for a running bottle; flows that it no longer allows end."""
    exchange(home, label, ReloadPolicy(policy))


def renew(home: Home, label: str, name: str) -> bool:
    """The keeper reads this secret again from its store; whether its bottle uses it at all."""
    answer = exchange(home, label, RenewSecret(name))
    return isinstance(answer, Renewed) and answer.used


def renew_everywhere(home: Home, name: str) -> list[str]:
    """Tells every running bottle about a changed secret; the labels of those that use it."""
    told: list[str] = []
    for found, lives in leases.leases(home):
        if lives and found.state == "running":
            try:
                if renew(home, found.label, name):
                    told.append(found.label)
            except (HostFault, UsageFault):
                continue
    return told


def stop(home: Home, label: str, seconds: float = 15) -> None:
    """Ends a bottle and waits until its label is free, or until its changes wait. By signal where nobody answers."""
    found = held(home, label)
    try:
        exchange(home, label, Stop())
    except HostFault:
        end_processes(tuple(one for one in found.processes if one.name == "launcher"), 0)
    deadline = time.monotonic() + seconds
    while leases.alive(home, label):
        if time.monotonic() > deadline:
            raise HostFault("bottle.undead", f"The bottle {label} did not end.", "Run bot-bottle cleanup.")
        time.sleep(0.02)


def kill(home: Home, label: str) -> None:
    """Ends a bottle without asking its keeper: its launcher gets SIGKILL, and with it the bottle (D08)."""
    found = held(home, label)
    end_processes(tuple(one for one in found.processes if one.name == "launcher"), 0)


def answer_ask(home: Home, label: str, said: AnswerAsk, by: Dial = dial) -> Answered:
    """A person's answer to an ask of this bottle; all other bottles read the grants again. Raises what the keeper
    refused with."""
    answer = exchange(home, label, said, by)
    if not isinstance(answer, Answered):
        raise out_of_turn()
    if answer.grant:
        refresh_others(home, label, by)
    return answer


def show_ask(home: Home, label: str, ask: str, by: Dial = dial) -> AskShown:
    """Exactly what is held for it."""
    answer = exchange(home, label, ShowAsk(ask), by)
    if not isinstance(answer, AskShown):
        raise out_of_turn()
    return answer


def propose_leaf(home: Home, label: str, ask: str, by: Dial = dial) -> LeafProposed:
    """The diff that `always` would make, and which other bottles extend that file."""
    answer = exchange(home, label, ProposeLeaf(ask), by)
    if not isinstance(answer, LeafProposed):
        raise out_of_turn()
    from bot_bottle.bottles.sharing import sharing  # reads manifests: no bottle starts later for it

    held = leases.read(home, label)
    return msgspec.structs.replace(answer, also=sharing(home, held.leaf if held and held.leaf else answer.path))


def revoke(home: Home, label: str, said: RevokeGrant, by: Dial = dial) -> None:
    """The grant ends now, in every bottle."""
    exchange(home, label, said, by)
    refresh_others(home, label, by)


def revoke_by_any(home: Home, said: RevokeGrant, by: Dial = dial) -> bool:
    """The first running keeper that answers ends the grant, in every bottle; False where none does: then a keeper
    without a bottle is to. One that hangs keeps no yes alive. Raises what a keeper refused with."""
    for found, lives in leases.leases(home):
        if lives and found.state == "running":
            with contextlib.suppress(HostFault):
                revoke(home, found.label, said, by)
                return True
    return False


def learn(home: Home, label: str, said: LearnPolicy, by: Dial = dial) -> None:
    """Begins or ends a timed learn mode."""
    exchange(home, label, said, by)


def out_of_turn() -> OurFault:
    return OurFault("keeper.protocol", "The keeper answered out of turn.")


def refresh_others(home: Home, label: str = "", by: Dial = dial) -> None:
    """Every other running bottle reads the grants again now, and not only at its next tick."""
    for found, lives in leases.leases(home):
        if lives and found.label != label and found.state == "running":
            with contextlib.suppress(HostFault, UsageFault):
                exchange(home, found.label, RefreshGrants(), by)


def _unreachable(label: str, hint: str) -> HostFault:
    return HostFault("keeper.unreachable", f"The keeper of {label} does not answer.", hint)


def exchange(home: Home, label: str, message: ControlToKeeper, by: Dial = dial) -> KeeperToControl:
    """One question to the keeper of a running bottle, one answer; what it refused is raised."""
    sock = by(home, label)
    bounded(sock, _SECONDS)
    sock.settimeout(_SECONDS)
    link = _Link(sock, KeeperToControl)
    try:
        link.send(message)
        answer, _ = link.receive()
    except (ChannelClosed, BlockingIOError, TimeoutError) as error:
        raise _unreachable(label, "Try again.") from error
    finally:
        link.close()
    if isinstance(answer, Refused):
        raise as_error(answer)
    return answer
