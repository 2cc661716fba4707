"""What a launcher and its keeper say of one bottle, over a socketpair whose end is a lifeline.

No secret travels here but one that the bottle shows anyway.
"""

from msgspec import field

from bot_bottle.egress.messages import Counters, Frame, Identity, Limits
from bot_bottle.keeper.messages.control import FreezeBottle
from bot_bottle.keeper.messages.questions import Question, Reply
from bot_bottle.policy.effective import Policy
from bot_bottle.supervise.model import AskState


class Open(Frame, tag="open"):
    """Start one bottle; carries the keeper's end of the gateway's socketpair, then a terminal where a person is.

    home, runtime: as in base.home. secrets: names that must exist before anything starts. placeholders: secret name
    -> lookalike. visible: secret name -> variable of the bottle. facts: for the start record (plan and harness
    digests). trust: PEM file with the host's authorities, "" for the system's. recover: run ids to seal first.
    project: absolute path of the workspace's source, "" without one. leaf: path of the bottle file that a rule for
    `always` is written to, "" where none may be.
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
    project: str = ""
    leaf: str = ""


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


class Inspect(Frame, tag="inspect"):
    """Carries read-only descriptors of files, at most 64: which hold a secret? Answered by Inspected (D07)."""


class Inspected(Frame, tag="inspected"):
    """found: number of the descriptor -> name of the first secret that its file holds, in any form."""

    found: dict[int, str]


class Close(Frame, tag="close"):
    """The bottle has ended: write the stop record, seal, answer Sealed. facts: exit status, reason."""

    facts: dict[str, str]


class Sealed(Frame, tag="sealed"):
    """The log is complete, or `fault` says why not. checkpoint: the newest signed one. records: lines of the log."""

    checkpoint: str
    records: int
    log: str
    counters: Counters
    fault: str = ""


class Halt(Frame, tag="halt"):
    """End the bottle now: asked for at the control socket, or gateway or log failed."""

    slug: str
    what: str


class Hold(Frame, tag="hold"):
    """Traffic is frozen: stop the bottle's processes too."""

    reason: str


class Resume(Frame, tag="resume"):
    """Thawed: let the bottle's processes go on."""


class AskWaits(Frame, tag="askwaits"):
    """An ask waits (or, where state says so, ended): for a notice to the person at the terminal."""

    ask: str
    state: AskState
    sentence: str


LauncherToKeeper = Question | Open | Inspect | FreezeBottle | Close
KeeperToLauncher = Reply | Opened | Inspected | Halt | Hold | Resume | Sealed | AskWaits
