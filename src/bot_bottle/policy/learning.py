"""A timed learn mode: for a while, what no route names leaves without any secret, and is recorded (D25).

It is never a default: no manifest can say it, it ends by itself in gateway and keeper, explicit deny routes and ask
routes stay what they are, ``egress.learn: forbid`` forbids it, and nothing else of the policy may change with it.
"""

import msgspec

from bot_bottle.base.errors import UsageFault
from bot_bottle.policy import merge
from bot_bottle.policy.effective import Policy

MOST = 24 * 3600
"""Seconds that one learn mode lasts at most."""
_SECOND = 1_000_000_000


def learning(policy: Policy, now: int, seconds: float) -> Policy:
    """The policy while it is learned, from now (wall ns) on. Raises UsageFault where that is forbidden."""
    found = msgspec.structs.replace(policy, default="learn", learn_until=now + int(seconds * _SECOND))
    found = msgspec.structs.replace(found, digest=merge.digest(found))
    wrong = refusal(policy, found, now)
    if wrong:
        raise UsageFault(
            "policy.learn-refused", wrong, "Write the routes, or let the bottle ask: egress.default: ask."
        )
    return found


def refusal(before: Policy, after: Policy, now: int) -> str:
    """Why a policy that learns must not follow another one, in one sentence; "" where it may. For the keeper, which
    does not believe what it is sent."""
    if before.learn == "forbid" or after.learn == "forbid":
        return "The policy forbids learn mode (egress.learn: forbid)."
    if before.default == "learn":
        return "The bottle is in learn mode already."
    if not now < after.learn_until <= now + MOST * _SECOND:
        return "A learn mode lasts at most 24 hours."
    restored = msgspec.structs.replace(after, default=before.default, learn_until=before.learn_until)
    if after.default != "learn" or merge.digest(restored) != merge.digest(before):
        return "A learn mode changes nothing but what happens to what no route names."
    return ""
