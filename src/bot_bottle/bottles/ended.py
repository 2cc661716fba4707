"""From how a bottle ended to what the record and the person are told of it. Pure."""

import msgspec

from bot_bottle.bottles.live import Ending
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.egress.messages import Identity
from bot_bottle.keeper.messages.launcher import Sealed

LOG_FAULT = 7


def why(ending: Ending, breach: str) -> Ending:
    """The watched limit that ended it is the reason, where nobody else did (D16)."""
    if ending.status == "ok" and breach:
        return Ending("failed", -1, f"A limit was exceeded: {breach}.")
    return ending


def facts(ending: Ending, status: int) -> dict[str, str]:
    """For the stop record. status: the agent's exit status, -1 where there was none."""
    reason = {"reason": ending.reason} if ending.reason else {}
    return {"status": ending.status, "exit": str(status), **reason}


def outcome(who: Identity, ending: Ending, status: int, sealed: Sealed | None) -> Outcome:
    """sealed: None where the keeper is gone; a log that is not sealed makes the run `broken`."""
    found = Outcome(
        status=ending.status if ending.status != "ok" or status == 0 else "failed",
        exit_code=status if ending.code < 0 else ending.code,
        reason=ending.reason,
        agent_status=status,
        **msgspec.structs.asdict(who),
    )
    if sealed is not None:
        found.checkpoint, found.records, found.counters = sealed.checkpoint, sealed.records, sealed.counters
        found.sealed = not sealed.fault
    if not found.sealed:
        found.status = "broken"
        found.exit_code = LOG_FAULT if ending.code < 0 else ending.code
        fault = sealed.fault if sealed else "The keeper died before it sealed the log."
        found.reason = found.reason or fault
    return found
