"""What a person says of asks and grants, from any terminal or page: by the keeper of the bottle, else by one that is
started for the question. Reads the store, never writes it.
"""

import os
import pwd
from collections.abc import Mapping

from bot_bottle.base.errors import UsageFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible
from bot_bottle.bottles import control
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.crew import Crew
from bot_bottle.bottles.hatch import hatch
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, AskShown, LeafProposed, RevokeGrant
from bot_bottle.supervise import expiry
from bot_bottle.supervise.model import Approver, Ask, AskState, Scope, StoredGrant
from bot_bottle.supervise.ports import ApprovalReader, AskQuery

_PREFIX = 4
_MANY, _EACH = 2000, 500


def person(via: str = "terminal") -> Approver:
    """The user of this machine who runs this process."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    return Approver("os", str(uid), name, via)


def reader(home: Home) -> ApprovalReader:
    """The asks of this home; of none where nothing was ever asked. Raises HostFault where they cannot be read."""
    if not os.path.exists(home.approvals):
        from bot_bottle.supervise.memory import MemoryStore

        return MemoryStore()
    from bot_bottle.supervise.store import SqliteReader

    return SqliteReader(home.approvals)


def find(store: ApprovalReader, ident: str) -> Ask:
    """The ask of this id, or the only one whose id begins so. Raises UsageFault."""
    found = store.ask(ident)
    if found is None:
        begins = (ident, f"a-{ident}")
        alike = [one for one in store.asks(AskQuery(limit=_MANY)) if one.id.startswith(begins)]
        found = alike[0] if len(ident) >= _PREFIX and len(alike) == 1 else None
    if found is None:
        raise UsageFault("ask.unknown", f"There is no ask {visible(ident, 64)}.", _LIST)
    return found


def find_grant(store: ApprovalReader, ident: str) -> StoredGrant:
    """The grant of this id, or the only one whose id begins so. Raises UsageFault."""
    found = store.grant(ident)
    if found is None:
        alike = [one for one in store.grants(limit=_MANY) if one.id.startswith((ident, f"g-{ident}"))]
        found = alike[0] if len(ident) >= _PREFIX and len(alike) == 1 else None
    if found is None:
        raise UsageFault("grant.unknown", f"There is no grant {visible(ident, 64)}.", "bot-bottle grants lists them.")
    return found


_LIST = "bot-bottle supervise --once lists them."


def waiting(store: ApprovalReader) -> list[Ask]:
    """All that wait, the oldest first."""
    return store.asks(AskQuery((AskState.WAITING,), each=_EACH, limit=_MANY))[::-1]


def missed(store: ApprovalReader, now: int) -> list[Ask]:
    """Those that ended without an answer and can still be given a late yes, the newest first. now: wall ns."""
    return [
        one for one in store.asks(AskQuery(expiry.LATE, each=_EACH, limit=_MANY)) if not expiry.too_late(one, now)
    ]


def lives(home: Home, ask: Ask) -> bool:
    """Whether the bottle that asked still runs."""
    held = leases.read(home, ask.label)
    return held is not None and held.run == ask.run and leases.alive(home, ask.label)


def answer(
    home: Home,
    approver: Approver,
    ask: Ask,
    allow: bool,
    scope: Scope = Scope.ONCE,
    seconds: int = 0,
    reason: str = "",
    shown: str = "",
    late: bool = False,
    environ: Mapping[str, str] = os.environ,
) -> Answered:
    """A person's answer to the ask as they saw it. shown: `before` of the diff they saw, for `always`. late: they
    know that nobody waits any more. Raises BottleError where it does not count."""
    said = AnswerAsk(ask.id, ask.request, allow, approver, scope, seconds, reason, shown=shown, late=late)
    if lives(home, ask):
        return control.answer_ask(home, ask.label, said)
    crew = Crew(hatch(environ, gateway=False))
    try:
        answered = crew.answer_ended(home, said)
    finally:
        crew.close()
    if answered.grant:
        control.refresh_others(home)
    return answered


def show(home: Home, ask: Ask) -> AskShown:
    """Exactly what is held; held: False where nothing is any more."""
    return control.show_ask(home, ask.label, ask.id) if lives(home, ask) else AskShown(False)


def propose(home: Home, ask: Ask) -> LeafProposed:
    """The diff that `always` would make. Raises UsageFault where the bottle has ended."""
    if not lives(home, ask):
        raise UsageFault(
            "ask.late-once", "Its bottle has ended: a yes permits one more request.", "Use --scope once."
        )
    return control.propose_leaf(home, ask.label, ask.id)


def revoke(home: Home, approver: Approver, grant: str, environ: Mapping[str, str] = os.environ) -> None:
    """The grant ends now, with every flow under it, in every bottle."""
    said = RevokeGrant(grant, approver)
    if control.revoke_by_any(home, said):
        return
    crew = Crew(hatch(environ, gateway=False))
    try:
        crew.revoke_ended(home, said)
    finally:
        crew.close()
