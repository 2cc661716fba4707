"""What launcher, command line and keeper say to each other: typed frames (egress/channel.py carries them).

Two links. launcher <-> keeper: one per bottle, a socketpair; its end is a lifeline. command line <-> keeper: the
control socket of one bottle (0600, same uid). No secret travels here but one that a bottle shows anyway.
"""

from msgspec import field

from bot_bottle.audit.wishes import PurgeResult, PurgeWish
from bot_bottle.egress.messages import Counters, Frame, Identity, Limits
from bot_bottle.policy.effective import Policy
from bot_bottle.supervise.model import Approver, AskState, Scope

# a person's word, at the control socket or, for what has ended, in a conversation without a bottle


class AnswerAsk(Frame, tag="answerask"):
    """A person's answer to an ask of this bottle, or of one that has ended. Answered by Answered or Refused.
    id and at of the answer are the keeper's to give; the uid of the peer is recorded beside the approver.
    shown: for `always`, `leaf.Proposal.before` of the diff that they saw, "" for none."""

    ask: str
    request: str
    allow: bool
    approver: Approver
    scope: Scope = Scope.ONCE
    seconds: int = 0
    reason: str = ""
    break_glass: bool = False
    shown: str = ""


class RevokeGrant(Frame, tag="revokegrant"):
    """This grant ends now, and every flow under it. Answered by Done."""

    grant: str
    approver: Approver


class Answered(Frame, tag="answered"):
    """The answer counts. state: of the ask now (still waiting where a quorum is not reached). grant: its id, "" for
    once. wrote: the bottle file that got a rule."""

    state: AskState
    grant: str = ""
    wrote: str = ""


class Done(Frame, tag="done"):
    """It is done."""


# launcher -> keeper


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


class Survey(Frame, tag="survey"):
    """Which secrets exist? Answered by Surveyed; for a plan that has to choose a credential."""

    home: str
    runtime: str


class Recover(Frame, tag="recover"):
    """Seal what dead keepers left open; answered by Recovered. For `cleanup`, before or without an Open."""

    home: str
    runtime: str
    runs: tuple[str, ...]


class PurgeLogs(Frame, tag="purgelogs"):
    """Purge records of old runs (audit.retention); answered by LogsPurged. Without an Open, like Recover."""

    home: str
    runtime: str
    wish: PurgeWish


class HoldLog(Frame, tag="holdlog"):
    """Put a run (``*``: every run) under a legal hold, or end it; answered by HeldLog."""

    home: str
    runtime: str
    run: str
    approver: str
    reason: str
    release: bool = False


class Supply(Frame, tag="supply"):
    """Values of the secrets that sinks and notifiers of settings.toml name; answered by Supplied. Only the starter of
    `serve` and `log forward` ask, over their own socketpair."""

    home: str
    runtime: str
    names: tuple[str, ...]


class AnswerEnded(Frame, tag="answerended"):
    """A person's answer to an ask whose bottle has ended; answered by Answered. Without an Open, like Recover."""

    home: str
    runtime: str
    answer: AnswerAsk


class RevokeEnded(Frame, tag="revokeended"):
    """A grant ends while no bottle runs; answered by Done."""

    home: str
    runtime: str
    revoke: RevokeGrant


class NoteControl(Frame, tag="notecontrol"):
    """A CONTROL record of the host log: what a person did to this installation; answered by Done."""

    home: str
    runtime: str
    what: str
    approver: str
    detail: dict[str, str] = field(default_factory=dict[str, str])


class IssueLeaf(Frame, tag="issueleaf"):
    """A certificate for the dashboard's TLS listener, from the home's own authority; answered by LeafIssued.
    names: host names and addresses; host: this machine's own name."""

    home: str
    runtime: str
    names: tuple[str, ...]
    host: str


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


class LogsPurged(Frame, tag="logspurged"):
    """What went, and what stays and why."""

    result: PurgeResult


class HeldLog(Frame, tag="heldlog"):
    """The hold stands in the host log."""


class Supplied(Frame, tag="supplied"):
    """Name -> value of those that exist."""

    values: dict[str, bytes]

    def __repr__(self) -> str:
        return f"Supplied({sorted(self.values)})"


class LeafIssued(Frame, tag="leafissued"):
    """As keeper.web_authority.WebCertificate."""

    leaf: str
    key: str
    authority: str
    fingerprint: str
    refused: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"LeafIssued({self.fingerprint})"


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


class AskWaits(Frame, tag="askwaits"):
    """An ask waits (or, where state says so, ended): for a notice to the person at the terminal."""

    ask: str
    state: AskState
    sentence: str


# command line -> keeper


class FactsQuery(Frame, tag="factsquery"):
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


class ShowAsk(Frame, tag="showask"):
    """What exactly is held for this ask? Answered by AskShown."""

    ask: str


class ProposeLeaf(Frame, tag="proposeleaf"):
    """Which rule would `always` write for this ask, and where? Answered by LeafProposed or Refused."""

    ask: str


class LearnPolicy(Frame, tag="learnpolicy"):
    """From now on what no route names is allowed, without a secret, and recorded; after so many seconds the policy is
    as before, whoever forgot it. seconds 0 ends it now. Answered by Done or Refused (``egress.learn: forbid``)."""

    seconds: int
    approver: Approver


class RefreshGrants(Frame, tag="refreshgrants"):
    """Another keeper changed grants: read them again. Answered by Done."""


# keeper -> command line


class AskShown(Frame, tag="askshown"):
    """As HeldBytes; held: False where nothing is held any more."""

    held: bool
    head: bytes = b""
    body: bytes = b""
    size: int = 0


class LeafProposed(Frame, tag="leafproposed"):
    """path: of the bottle file; before: for `AnswerAsk.shown`; diff: unified."""

    path: str
    before: str
    diff: str


class Facts(Frame, tag="facts"):
    """What the keeper knows of its bottle. project, leaf: as in Open. waiting: asks. learn_until: wall ns, 0 while no
    learn mode runs."""

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
    project: str = ""
    leaf: str = ""
    waiting: int = 0
    learn_until: int = 0


LauncherToKeeper = (
    Survey | Recover | PurgeLogs | HoldLog | Supply | AnswerEnded | RevokeEnded | NoteControl | IssueLeaf
    | Open | Inspect | FreezeBottle | Close
)  # fmt: skip
KeeperToLauncher = (
    Surveyed | Recovered | LogsPurged | HeldLog | Supplied | Answered | Done | LeafIssued
    | Opened | Inspected | Refused | Halt | Hold | Resume | Sealed | AskWaits
)  # fmt: skip
ControlToKeeper = (
    FactsQuery | Stop | FreezeBottle | ThawBottle | ReloadPolicy | RenewSecret | LearnPolicy
    | AnswerAsk | ShowAsk | ProposeLeaf | RevokeGrant | RefreshGrants
)  # fmt: skip
KeeperToControl = Done | Facts | Refused | Answered | AskShown | LeafProposed
