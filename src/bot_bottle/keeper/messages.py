"""What launcher, command line and keeper say to each other: typed frames (egress/channel.py carries them).

Two links. launcher <-> keeper: one per bottle, a socketpair; its end is a lifeline. command line <-> keeper: the
control socket of one bottle (0600, same uid). No secret travels here but one that a bottle shows anyway.
"""

from msgspec import field

from bot_bottle.egress.messages import Counters, Frame, Identity, Limits
from bot_bottle.policy.effective import Policy

# launcher -> keeper


class Open(Frame, tag="open"):
    """Start one bottle; carries the keeper's end of the gateway's socketpair, then a terminal where a person is.

    home, runtime: as in base.home. secrets: names that must exist before anything starts. placeholders: secret name
    -> lookalike. visible: secret name -> variable of the bottle. facts: for the start record (plan and harness
    digests). trust: PEM file with the host's authorities, "" for the system's. recover: run ids to seal first.
    """

    identity: Identity
    policy: Policy
    limits: Limits
    home: str
    runtime: str
    secrets: tuple[str, ...] = ()
    placeholders: dict[str, str] = field(default_factory=dict[str, str])
    visible: dict[str, str] = field(default_factory=dict[str, str])
    facts: dict[str, str] = field(default_factory=dict[str, str])
    trust: str = ""
    upstream_proxy: str = ""
    recover: tuple[str, ...] = ()


class Survey(Frame, tag="survey"):
    """Which secrets exist? Answered by Surveyed; for a plan that has to choose a credential."""

    home: str
    runtime: str


class Recover(Frame, tag="recover"):
    """Seal what dead keepers left open; answered by Recovered. For `cleanup`, before or without an Open."""

    home: str
    runtime: str
    runs: tuple[str, ...]


class Inspect(Frame, tag="inspect"):
    """Carries read-only descriptors of files, at most 64: which hold a secret? Answered by Inspected (D07)."""


class Close(Frame, tag="close"):
    """The bottle has ended: write the stop record, seal, answer Sealed. facts: exit status, reason."""

    facts: dict[str, str]


# keeper -> launcher


class Surveyed(Frame, tag="surveyed"):
    """Names of all secrets, sorted; no value was read."""

    names: tuple[str, ...]


class Recovered(Frame, tag="recovered"):
    """runs: what was sealed. kept: run -> why it could not be."""

    runs: tuple[str, ...]
    kept: dict[str, str] = field(default_factory=dict[str, str])


class Opened(Frame, tag="opened"):
    """The gateway is configured and confined. authority: PEM of the bottle's CA. log: directory of the run log.

    visible: variable -> value, only for secrets that the bottle file marks ``visible: true``.
    """

    authority: str
    confinement: str
    log: str
    visible: dict[str, str] = field(default_factory=dict[str, str])

    def __repr__(self) -> str:
        return f"Opened({self.log!r}, visible={sorted(self.visible)})"


class Inspected(Frame, tag="inspected"):
    """found: number of the descriptor -> name of the first secret that its file holds, in any form."""

    found: dict[int, str]


class Refused(Frame, tag="refused"):
    """Nothing was started. kind: class name in base.errors; the launcher raises it again."""

    kind: str
    slug: str
    what: str
    hint: str = ""


class Halt(Frame, tag="halt"):
    """End the bottle now: asked for at the control socket, or gateway or log failed."""

    slug: str
    what: str


class Hold(Frame, tag="hold"):
    """Traffic is frozen: stop the bottle's processes too."""

    reason: str


class Resume(Frame, tag="resume"):
    """Thawed: let the bottle's processes go on."""


class Sealed(Frame, tag="sealed"):
    """The log is complete, or `fault` says why not. checkpoint: the newest signed one. records: lines of the log."""

    checkpoint: str
    records: int
    log: str
    counters: Counters
    fault: str = ""


# command line -> keeper


class Ask(Frame, tag="ask"):
    """Answered by Facts."""


class Stop(Frame, tag="stop"):
    """End the bottle; answered by Done as soon as the launcher was told."""

    reason: str = "asked"


class FreezeBottle(Frame, tag="freezebottle"):
    """Answered by Done once no byte moves any more (within one second); to the launcher only with Hold."""

    reason: str = "asked"


class ThawBottle(Frame, tag="thawbottle"):
    """Answered by Done."""


class ReloadPolicy(Frame, tag="reloadpolicy"):
    """The new policy, merged by the command line. Live flows that it no longer allows end. Answered by Done."""

    policy: Policy


class RenewSecret(Frame, tag="renewsecret"):
    """Read this secret again from its store and hand it to the gateway. Answered by Done."""

    name: str


# keeper -> command line


class Done(Frame, tag="done"):
    """It is done."""


class Facts(Frame, tag="facts"):
    """What the keeper knows of its bottle."""

    identity: Identity
    counters: Counters
    policy: str
    revision: int
    frozen: str
    confinement: str
    log: str
    records: int
    checkpoint: str
    started: int


LauncherToKeeper = Survey | Recover | Open | Inspect | FreezeBottle | Close
KeeperToLauncher = Surveyed | Recovered | Opened | Inspected | Refused | Halt | Hold | Resume | Sealed
ControlToKeeper = Ask | Stop | FreezeBottle | ThawBottle | ReloadPolicy | RenewSecret
KeeperToControl = Done | Facts | Refused
