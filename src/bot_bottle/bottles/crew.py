"""Keeper and gateway of one bottle as the launcher holds them: two exec'd processes, three socketpairs."""

import contextlib

from bot_bottle.audit.wishes import PurgeResult, PurgeWish
from bot_bottle.base.errors import OurFault
from bot_bottle.base.home import Home
from bot_bottle.bottles.hatch import Hatched
from bot_bottle.bottles.live import GatewayLink, KeeperLink, as_error
from bot_bottle.egress.channel import ChannelClosed
from bot_bottle.egress.messages import GatewayToLauncher
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, RevokeGrant
from bot_bottle.keeper.messages.launcher import KeeperToLauncher, Open
from bot_bottle.keeper.messages.questions import (
    AnswerEnded,
    HoldLog,
    IssueLeaf,
    LeafIssued,
    LogsPurged,
    NoteControl,
    PurgeLogs,
    Question,
    Recover,
    Recovered,
    RevokeEnded,
    Supplied,
    Supply,
    Survey,
    Surveyed,
)
from bot_bottle.keeper.messages.replies import Refused

_PATIENCE = 30.0


class Crew:
    """keeper, gateway: the processes. keeper_link, gateway_link: what we say to them.

    terminal: descriptor of the person's terminal, which the keeper may borrow to ask for a passphrase; -1 for none.
    """

    def __init__(self, hatched: Hatched, terminal: int = -1) -> None:
        self._terminal = (terminal,) if terminal >= 0 else ()
        self.keeper = hatched.keeper
        self.gateway = hatched.gateway
        self._between = hatched.between
        self.keeper_link = KeeperLink(hatched.keeper_end, KeeperToLauncher)
        self.gateway_link: GatewayLink | None = None
        if hatched.gateway_end is not None:
            self.gateway_link = GatewayLink(hatched.gateway_end, GatewayToLauncher)

    def survey(self, home: Home) -> tuple[str, ...]:
        """Names of the secrets that exist."""
        answer = self._asked(Survey(home.root, home.runtime))
        assert isinstance(answer, Surveyed)
        return answer.names

    def recover(self, home: Home, runs: tuple[str, ...] = ()) -> Recovered:
        """Seals what dead keepers left open."""
        answer = self._asked(Recover(home.root, home.runtime, runs))
        assert isinstance(answer, Recovered)
        return answer

    def purge(self, home: Home, wish: PurgeWish) -> PurgeResult:
        """Purges records of old runs, signed and recorded."""
        answer = self._asked(PurgeLogs(home.root, home.runtime, wish))
        assert isinstance(answer, LogsPurged)
        return answer.result

    def hold(self, home: Home, run: str, approver: str, reason: str, release: bool) -> None:
        """Puts a run under a legal hold, or ends it."""
        self._asked(HoldLog(home.root, home.runtime, run, approver, reason, release))

    def supply(self, home: Home, names: tuple[str, ...]) -> dict[str, bytes]:
        """Values of the secrets of sinks and notifiers; those that are not set are left out."""
        answer = self._asked(Supply(home.root, home.runtime, names))
        assert isinstance(answer, Supplied)
        return answer.values

    def answer_ended(self, home: Home, said: AnswerAsk) -> Answered:
        """A late answer, to an ask whose bottle has ended."""
        answer = self._asked(AnswerEnded(home.root, home.runtime, said))
        assert isinstance(answer, Answered)
        return answer

    def revoke_ended(self, home: Home, said: RevokeGrant) -> None:
        """A grant ends while no bottle runs."""
        self._asked(RevokeEnded(home.root, home.runtime, said))

    def note(self, home: Home, what: str, approver: str, detail: dict[str, str]) -> None:
        """A CONTROL record in the host log."""
        self._asked(NoteControl(home.root, home.runtime, what, approver, detail))

    def issue_leaf(self, home: Home, names: tuple[str, ...], host: str) -> LeafIssued:
        """A certificate for the dashboard, from the home's own authority."""
        answer = self._asked(IssueLeaf(home.root, home.runtime, names, host))
        assert isinstance(answer, LeafIssued)
        return answer

    def _asked(self, question: Question) -> KeeperToLauncher:
        self.keeper_link.sock.settimeout(_PATIENCE)
        try:
            self.keeper_link.send(question, self._terminal)
            answer, _ = self.keeper_link.receive()
        except (ChannelClosed, OSError) as error:
            raise OurFault("keeper.ended", "The keeper did not answer.", "Run bot-bottle doctor.") from error
        finally:
            self.keeper_link.sock.settimeout(None)
        if isinstance(answer, Refused):
            raise as_error(answer)
        return answer

    def open(self, order: Open) -> None:
        """The keeper's order, with its end of the socketpair to the gateway."""
        assert self._between is not None
        with self._between as between, contextlib.suppress(ChannelClosed):
            self.keeper_link.send(order, (between.fileno(), *self._terminal))
        self._between = None

    def close(self, patience: float = 2.0) -> None:
        """Both end: they see our sockets' end, seal, and are killed where they have not ended in time. Idempotent."""
        if self._between is not None:
            self._between.close()
            self._between = None
        for link in (self.keeper_link, self.gateway_link):
            if link is not None:
                link.close()
        for child in (self.gateway, self.keeper):
            if child is not None:
                child.reap(patience)
