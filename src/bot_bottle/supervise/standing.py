"""What a grant opens at this moment, and if nothing, why: for people who look (D25). Pure.

The keepers decide by `granting.holds`; here the same is said of every grant in words, from what runs now.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum

from bot_bottle.supervise.granting import Holder, alive, holds, is_for
from bot_bottle.supervise.model import Scope, StoredGrant


class State(StrEnum):
    """In the order in which they are listed."""

    LIVE = "live"  # a bottle that runs may use it
    UNKNOWN = "unknown"  # its bottle runs, but nobody says under which policy
    IDLE = "idle"  # it opens nothing now, but a start under the policy of then would make it
    RULE = "rule"  # it became a rule in a bottle file, and that decides
    ENDED = "ended"


class Why(StrEnum):
    NONE = ""
    REVOKED = "revoked"
    RUN = "run"
    USED = "used"
    EXPIRED = "expired"
    POLICY = "policy"
    CLOCK = "clock"
    NOBODY = "nobody"
    OTHERS = "others"
    SILENT = "silent"


WORDS = {
    Why.NONE: "",
    Why.REVOKED: "revoked",
    Why.RUN: "its run is over",
    Why.USED: "used",
    Why.EXPIRED: "expired",
    Why.POLICY: "the policy changed",
    Why.CLOCK: "given by a clock that was ahead",
    Why.NOBODY: "nothing it is for runs",
    Why.OTHERS: "what runs has another policy",
    Why.SILENT: "a keeper does not answer",
}
"""The same for people."""

Standing = tuple[State, Why]


def standing(grant: StoredGrant, asked_by: str, now: int, holders: Sequence[Holder]) -> Standing:
    """asked_by: run of the ask. holders: what runs; policy "" where its keeper does not say. now: wall ns."""
    if grant.scope is Scope.ALWAYS:
        return State.RULE, Why.NONE
    if not alive(grant, now):
        return State.ENDED, _over(grant, now)
    if any(holds(grant, one, now) for one in holders):
        return State.LIVE, Why.NONE
    mine = [one for one in holders if is_for(grant, one)]
    if any(not one.policy for one in mine):
        return State.UNKNOWN, Why.SILENT
    if grant.scope is Scope.RUN and not mine:
        return State.ENDED, Why.RUN
    if any(one.run == asked_by for one in mine):
        return State.IDLE, Why.POLICY
    return State.IDLE, Why.OTHERS if mine else Why.NOBODY


def in_order(found: Iterable[tuple[StoredGrant, Standing]]) -> list[tuple[StoredGrant, Standing]]:
    """The live ones first, then by state; of each the newest first."""
    places = list(State)
    return sorted(found, key=lambda pair: (places.index(pair[1][0]), -pair[0].given))


def _over(grant: StoredGrant, now: int) -> Why:
    if grant.revoked:
        return Why.RUN if grant.with_run else Why.POLICY if grant.with_policy else Why.REVOKED
    if grant.uses and grant.used >= grant.uses:
        return Why.USED
    return Why.EXPIRED if now >= grant.expires else Why.CLOCK
