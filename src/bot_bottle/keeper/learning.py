"""A timed learn mode: what no route names is allowed for a while, without a secret, and recorded.

It ends by itself, whoever forgot it: by our timer, and in the gateway by `learn_until`. A policy can forbid it. While
it runs no grant of the other policy holds, since it is another policy.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from bot_bottle.audit.record import Kind
from bot_bottle.base.errors import OperatorFault, UsageFault
from bot_bottle.keeper.loop import Loop
from bot_bottle.keeper.messages.control import LearnPolicy
from bot_bottle.policy import merge
from bot_bottle.policy.effective import Policy
from bot_bottle.supervise.charter import title
from bot_bottle.supervise.expiry import HOUR, SECOND

MOST_HOURS = 4


class Learning:
    """write: one record of these fields. reload: another policy holds from now on. now: wall ns, never back."""

    def __init__(
        self,
        loop: Loop,
        policy: Callable[[], Policy],
        write: Callable[[dict[str, Any]], None],
        reload: Callable[[Policy], None],
        now: Callable[[], int],
    ) -> None:
        self._loop = loop
        self._policy = policy
        self._write = write
        self._reload = reload
        self._now = now
        self._before: Policy | None = None
        self._timer = 0
        self._who = self._via = ""
        self.until = 0

    def asked(self, said: LearnPolicy) -> None:
        """Begins, prolongs or ends it. Raises OperatorFault where the policy forbids it."""
        self._who, self._via = title(said.approver), said.approver.via
        if said.seconds == 0:
            self.end("asked")
            return
        if not 0 < said.seconds <= MOST_HOURS * HOUR:
            raise UsageFault("learn.time", f"A learn mode lasts at most {MOST_HOURS} hours.", "Give a shorter time.")
        before = self._before or self._policy()
        if before.learn == "forbid":
            raise OperatorFault("learn.forbidden", "The policy of this bottle forbids it (egress.learn).", "")
        self._begin(before, said.seconds)

    def _begin(self, before: Policy, seconds: int) -> None:
        until = self._now() + seconds * SECOND
        detail = {"seconds": str(seconds), "until": str(until)} | ({"via": self._via} if self._via else {})
        self._write({"kind": Kind.LEARN, "verdict": "begun", "approver": self._who, "detail": detail})
        self._before, self.until = before, until
        learning = msgspec.structs.replace(before, default="learn", learn_until=until)
        self._reload(msgspec.structs.replace(learning, digest=merge.digest(learning)))
        self._loop.cancel(self._timer)
        self._timer = self._loop.later(seconds, lambda: self.end("time"))

    def tick(self) -> None:
        """A wall clock that jumps ahead ends it early."""
        if self._before is not None and self._now() >= self.until:
            self.end("time")

    def end(self, why: str) -> None:
        """The policy is as before. Does nothing while none runs."""
        before, self._before, self.until = self._before, None, 0
        self._loop.cancel(self._timer)
        if before is not None:
            self._write({"kind": Kind.LEARN, "verdict": "ended", "reason": why, "approver": self._who})
            self._reload(before)

    def replaced(self) -> None:
        """Somebody reloaded the bottle files meanwhile: that policy holds, and nothing is learned any more."""
        if self._before is not None and self._policy().default != "learn":
            self._before, self.until = None, 0
            self._loop.cancel(self._timer)
            self._write({"kind": Kind.LEARN, "verdict": "ended", "reason": "reload", "approver": self._who})
