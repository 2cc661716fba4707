"""What the asks of a bottle need of what surrounds them: gateway, launcher, log, policy, and the store."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from bot_bottle.base.home import Home
from bot_bottle.egress.messages import KeeperToGateway
from bot_bottle.keeper.messages.launcher import KeeperToLauncher
from bot_bottle.policy.effective import Policy
from bot_bottle.supervise.ports import ApprovalStore


@dataclass(slots=True)
class Around:
    """What surrounds the asks of a bottle. tell: the gateway; say: the launcher. write: one record of these fields;
    raises AuditFault once the bottle was halted. sign: what was written is on the disk. policy: in force. barrier:
    calls back when the gateway has done all that it was told. reload: another policy holds from now on."""

    tell: Callable[[KeeperToGateway], None]
    say: Callable[[KeeperToLauncher], None]
    write: Callable[[dict[str, Any]], None]
    sign: Callable[[], None]
    policy: Callable[[], Policy]
    barrier: Callable[[Callable[[], None]], None]
    reload: Callable[[Policy], None]


@dataclass(slots=True)
class Archive:
    """The store, opened when it is first needed; `peek` makes none."""

    home: Home
    _store: ApprovalStore | None = field(default=None)

    def open(self) -> ApprovalStore:
        """Raises HostFault."""
        if self._store is None:
            from bot_bottle.supervise.store import SqliteStore

            self._store = SqliteStore(self.home.approvals)
        return self._store

    def peek(self) -> ApprovalStore | None:
        """None where no bottle has asked anything yet."""
        if self._store is None and not os.path.exists(self.home.approvals):
            return None
        return self.open()

    def close(self) -> None:
        if self._store is not None:
            self._store.close()
            self._store = None
