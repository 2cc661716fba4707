"""The command line's end of a bottle's control socket (keeper/control.py): facts, stop, freeze, policy, secrets, and
what a person says of asks and grants."""

import contextlib
import time

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
    ReloadPolicy,
    RenewSecret,
    Stop,
    ThawBottle,
)
from bot_bottle.keeper.messages.replies import Refused
from bot_bottle.policy.effective import Policy

_SECONDS = 10
_Link = Channel[ControlToKeeper, KeeperToControl]


def held(home: Home, label: str) -> leases.Held:
    """The lease of a running bottle. Raises UsageFault where none runs under this label."""
    found = leases.read(home, label)
    if found is None or not leases.alive(home, label):
        known = [one.label for one, lives in leases.leases(home) if lives]
        hint = f"Running: {', '.join(known)}." if known else "bot-bottle list shows what runs."
        raise UsageFault("label.unknown", f"No bottle labelled {label} is running.", hint)
    return found


def ask(home: Home, label: str) -> Facts:
    """What the keeper knows now."""
    answer = exchange(home, label, FactsQuery())
    if not isinstance(answer, Facts):
        raise out_of_turn()
    return answer


def freeze(home: Home, label: str, reason: str = "asked") -> None:
    """Returns once no byte moves any more."""
    exchange(home, label, FreezeBottle(reason))


def thaw(home: Home, label: str) -> None:
    exchange(home, label, ThawBottle())


def reload(home: Home, label: str, policy: Policy) -> None:
    """A new policy for a running bottle; flows that it no longer allows end."""
    exchange(home, label, ReloadPolicy(policy))


def renew(home: Home, label: str, name: str) -> None:
    """The keeper reads this secret again from its store."""
    exchange(home, label, RenewSecret(name))


def renew_everywhere(home: Home, name: str) -> list[str]:
    """Tells every running bottle about a changed secret; the labels that took it."""
    told: list[str] = []
    for found, lives in leases.leases(home):
        if lives and found.state == "running":
            try:
                renew(home, found.label, name)
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


def answer_ask(home: Home, label: str, said: AnswerAsk) -> Answered:
    """A person's answer to an ask of this bottle; all other bottles read the grants again. Raises what the keeper
    refused with."""
    answer = exchange(home, label, said)
    if not isinstance(answer, Answered):
        raise out_of_turn()
    if answer.grant:
        refresh_others(home, label)
    return answer


def show_ask(home: Home, label: str, ask: str) -> AskShown:
    """Exactly what is held for it."""
    answer = exchange(home, label, ShowAsk(ask))
    if not isinstance(answer, AskShown):
        raise out_of_turn()
    return answer


def propose_leaf(home: Home, label: str, ask: str) -> LeafProposed:
    """The diff that `always` would make."""
    answer = exchange(home, label, ProposeLeaf(ask))
    if not isinstance(answer, LeafProposed):
        raise out_of_turn()
    return answer


def revoke(home: Home, label: str, said: RevokeGrant) -> None:
    """The grant ends now, in every bottle."""
    exchange(home, label, said)
    refresh_others(home, label)


def revoke_by_any(home: Home, said: RevokeGrant) -> bool:
    """The first running keeper that answers ends the grant, in every bottle; False where none does: then a keeper
    without a bottle is to. One that hangs keeps no yes alive. Raises what a keeper refused with."""
    for found, lives in leases.leases(home):
        if lives and found.state == "running":
            with contextlib.suppress(HostFault):
                revoke(home, found.label, said)
                return True
    return False


def learn(home: Home, label: str, said: LearnPolicy) -> None:
    """Begins or ends a timed learn mode."""
    exchange(home, label, said)


def out_of_turn() -> OurFault:
    return OurFault("keeper.protocol", "The keeper answered out of turn.")


def refresh_others(home: Home, label: str = "") -> None:
    """Every other running bottle reads the grants again now, and not only at its next tick."""
    for found, lives in leases.leases(home):
        if lives and found.label != label and found.state == "running":
            with contextlib.suppress(HostFault, UsageFault):
                exchange(home, found.label, RefreshGrants())


def exchange(home: Home, label: str, message: ControlToKeeper) -> KeeperToControl:
    """One question to the keeper of a running bottle, one answer; what it refused is raised."""
    held(home, label)
    try:
        sock = connect(home.sockets(label), "control")
    except OSError as error:
        raise HostFault(
            "keeper.unreachable",
            f"The keeper of {label} does not answer.",
            "It may be starting or ending.",
        ) from error
    bounded(sock, _SECONDS)
    sock.settimeout(_SECONDS)
    link = _Link(sock, KeeperToControl)  # pyright: ignore[reportArgumentType]
    try:
        link.send(message)
        answer, _ = link.receive()
    except (ChannelClosed, BlockingIOError, TimeoutError) as error:
        raise HostFault("keeper.unreachable", f"The keeper of {label} does not answer.", "Try again.") from error
    finally:
        link.close()
    if isinstance(answer, Refused):
        raise as_error(answer)
    return answer
