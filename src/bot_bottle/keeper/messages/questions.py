"""The questions that need no bottle, each followed by its reply: over the launcher's link, before or without an Open.

home, runtime: as in base.home.
"""

from msgspec import field

from bot_bottle.audit.wishes import PurgeResult, PurgeWish
from bot_bottle.egress.messages import Frame
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, RevokeGrant
from bot_bottle.keeper.messages.replies import Done, Refused


class Survey(Frame, tag="survey"):
    """Which secrets exist? Answered by Surveyed; for a plan that has to choose a credential."""

    home: str
    runtime: str


class Surveyed(Frame, tag="surveyed"):
    """Names of all secrets, sorted; no value was read."""

    names: tuple[str, ...]


class Recover(Frame, tag="recover"):
    """Seal what dead keepers left open; answered by Recovered. For `cleanup`, before or without an Open."""

    home: str
    runtime: str
    runs: tuple[str, ...]


class Recovered(Frame, tag="recovered"):
    """runs: what was sealed. kept: run -> why it could not be."""

    runs: tuple[str, ...]
    kept: dict[str, str] = field(default_factory=dict[str, str])


class PurgeLogs(Frame, tag="purgelogs"):
    """Purge records of old runs (audit.retention); answered by LogsPurged. Without an Open, like Recover."""

    home: str
    runtime: str
    wish: PurgeWish


class LogsPurged(Frame, tag="logspurged"):
    """What went, and what stays and why."""

    result: PurgeResult


class HoldLog(Frame, tag="holdlog"):
    """Put a run (``*``: every run) under a legal hold, or end it; answered by HeldLog."""

    home: str
    runtime: str
    run: str
    approver: str
    reason: str
    release: bool = False


class HeldLog(Frame, tag="heldlog"):
    """The hold stands in the host log."""


class Supply(Frame, tag="supply"):
    """Values of the secrets that sinks and notifiers of settings.toml name; answered by Supplied. Only the starter of
    `serve` and `log forward` ask, over their own socketpair."""

    home: str
    runtime: str
    names: tuple[str, ...]


class Supplied(Frame, tag="supplied"):
    """Name -> value of those that exist."""

    values: dict[str, bytes]

    def __repr__(self) -> str:
        return f"Supplied({sorted(self.values)})"


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


class LeafIssued(Frame, tag="leafissued"):
    """As keeper.web_authority.WebCertificate."""

    leaf: str
    key: str
    authority: str
    fingerprint: str
    refused: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"LeafIssued({self.fingerprint})"


Question = (
    Survey | Recover | PurgeLogs | HoldLog | Supply | AnswerEnded | RevokeEnded | NoteControl | IssueLeaf
)  # fmt: skip
Reply = (
    Surveyed | Recovered | LogsPurged | HeldLog | Supplied | Answered | Done | LeafIssued | Refused
)  # fmt: skip
