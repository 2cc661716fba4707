"""Lifecycle records of one run: start, freeze, thaw, policy, stop. Written by the keeper's own descriptor (D17)."""

import time
from typing import Any

from bot_bottle.audit.record import VERSION, Kind, Record
from bot_bottle.keeper.messages.launcher import Open
from bot_bottle.keeper.ports import SealedLog


class Lifecycle:
    """Writes the start record at once: a bottle that is in no log was never started."""

    def __init__(self, order: Open, log: SealedLog) -> None:
        self._identity = order.identity
        self.log = log
        self._stopped = False
        self.log.append(self._record(Kind.START, order.facts, order.policy.digest))
        self.log.checkpoint()

    def note(self, kind: Kind, detail: dict[str, str], policy: str) -> None:
        """One record more."""
        self.log.append(self._record(kind, detail, policy))

    def write(self, policy: str, fields: dict[str, Any]) -> None:
        """One record of these fields, with this run's identity. policy: unless the fields say another one."""
        more: dict[str, Any] = {"policy": policy, "detail": {}, **fields}
        self.log.append(self._record(more.pop("kind"), more.pop("detail"), more.pop("policy"), **more))

    def stop(self, detail: dict[str, str], policy: str) -> None:
        """The last record and the last checkpoint; whoever comes second finds it done."""
        if self._stopped:
            return
        self._stopped = True
        self.log.seal(self._record(Kind.STOP, detail, policy))

    def _record(self, kind: Kind, detail: dict[str, str], policy: str, **more: Any) -> Record:
        return Record(
            v=VERSION,
            kind=kind,
            run=self._identity.run,
            time=time.time_ns(),
            mono=time.monotonic_ns(),
            bottle=self._identity.bottle,
            agent=self._identity.agent,
            harness=self._identity.harness,
            label=self._identity.label,
            policy=policy,
            detail=detail,
            **more,
        )
