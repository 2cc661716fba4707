"""What the wiring gives a session (keeper.main), and its link to the launcher."""

from collections.abc import Callable
from dataclasses import dataclass

from bot_bottle.custody.open import Custody
from bot_bottle.egress.channel import Channel
from bot_bottle.keeper.authority import Authority
from bot_bottle.keeper.messages.launcher import KeeperToLauncher, LauncherToKeeper, Open
from bot_bottle.keeper.ports import SealedLog

Launcher = Channel[KeeperToLauncher, LauncherToKeeper]


@dataclass(slots=True)
class Outside:
    """What the wiring gives a session: stores, a new log, the host's authorities, time."""

    custody: Custody
    log: Callable[[Open], SealedLog]
    trust: Callable[[str], str]
    authority: Authority
