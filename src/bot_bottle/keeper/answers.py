"""What the keeper answers at the control socket: status, stop, freeze, thaw, a new policy, a new secret (B59)."""

import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from bot_bottle.audit.record import Kind
from bot_bottle.base.errors import BottleError, OurFault
from bot_bottle.custody.open import Custody
from bot_bottle.egress.messages import Freeze, Reload, Thaw
from bot_bottle.keeper.approvals import Approvals
from bot_bottle.keeper.configuring import secrets_of
from bot_bottle.keeper.gateway_link import GatewayLink
from bot_bottle.keeper.learning import Learning
from bot_bottle.keeper.lifecycle import Lifecycle
from bot_bottle.keeper.messages.approvals import AnswerAsk, ProposeLeaf, RefreshGrants, RevokeGrant, ShowAsk
from bot_bottle.keeper.messages.control import (
    ControlToKeeper,
    Facts,
    FactsQuery,
    FreezeBottle,
    KeeperToControl,
    LearnPolicy,
    ReloadPolicy,
    Renewed,
    RenewSecret,
    Stop,
    ThawBottle,
)
from bot_bottle.keeper.messages.launcher import Halt, KeeperToLauncher, Open, Resume
from bot_bottle.keeper.messages.replies import Done, Refused
from bot_bottle.keeper.supply import values, wanted
from bot_bottle.policy.effective import Policy

Asks = AnswerAsk | ShowAsk | ProposeLeaf | RevokeGrant | RefreshGrants


class Reply(Protocol):
    """Who asked: called with the reply, once. uid: of their process, as the kernel says."""

    @property
    def uid(self) -> int: ...

    def __call__(self, reply: KeeperToControl, /) -> None: ...


class Answers:
    """policy: what holds now. say: to the launcher; note: one lifecycle record. approvals, learning: set before the
    first question."""

    approvals: Approvals
    learning: Learning

    def __init__(
        self,
        order: Open,
        custody: Custody,
        link: GatewayLink,
        life: Lifecycle,
        say: Callable[[KeeperToLauncher], None],
        note: Callable[[Kind, dict[str, str]], None],
    ) -> None:
        self.policy = order.policy
        self._order = order
        self._custody = custody
        self._link = link
        self._life = life
        self._say = say
        self._note = note
        self._started = time.time_ns()

    def answer(self, message: ControlToKeeper, reply: Reply) -> None:
        """Replies once, now or as soon as the gateway has done it; a fault is a typed refusal."""
        try:
            if isinstance(message, AnswerAsk | ShowAsk | ProposeLeaf | RevokeGrant | RefreshGrants):
                self._asks(message, reply)
            else:
                self._do(message, reply)
        except BottleError as error:
            reply(Refused(type(error).__name__, error.slug, error.what, error.hint))

    def _asks(self, message: Asks, reply: Reply) -> None:
        """What a person says of asks and grants."""
        match message:
            case AnswerAsk():
                self.approvals.answer(message, reply, reply.uid)
            case ShowAsk(ask=ask):
                self.approvals.show(ask, reply)
            case ProposeLeaf(ask=ask):
                reply(self.approvals.propose(ask))
            case RevokeGrant():
                reply(self.approvals.revoke(message, reply.uid))
            case RefreshGrants():
                reply(self.approvals.refresh())

    def _do(self, message: ControlToKeeper, reply: Reply) -> None:
        match message:
            case FactsQuery():
                self._link.status(lambda: reply(self._facts()))
                return
            case FreezeBottle():
                self._link.when_frozen(lambda: reply(Done()))
                self._link.tell(Freeze(message.reason[:100]))
                return
            case Stop():
                self._say(Halt("stopped", f"Stopped: {message.reason[:100]}."))
            case ThawBottle():
                self._thaw()
            case ReloadPolicy():
                self.reload(message.policy)
                self.learning.replaced()
            case RenewSecret():
                reply(Renewed(self._renew(message.name)))
                return
            case LearnPolicy():
                self.learning.asked(message)
            case _:
                raise OurFault("keeper.protocol", "The keeper was asked out of turn.")
        reply(Done())

    def _thaw(self) -> None:
        self._note(Kind.THAW, {"was": self._link.frozen})
        self._link.frozen = ""
        self._link.tell(Thaw())
        self._say(Resume())

    def reload(self, policy: Policy) -> None:
        """A new policy may name new secrets; they must exist before it holds."""
        policy = msgspec.structs.replace(policy, revision=self.policy.revision + 1)
        now = values((*wanted(self._order), *policy.secrets()), self._custody)
        self.approvals.policy_changes(policy)
        self.policy = policy
        self._note(Kind.POLICY, {"revision": str(policy.revision)})
        self._hand_over(now)
        self._link.tell(Reload(policy))
        self.approvals.policy_changed()

    def _renew(self, name: str) -> bool:
        """Only a secret that this bottle already uses is read again; whether it is one."""
        names = (*wanted(self._order), *self.policy.secrets())
        if name in names:
            self._hand_over(values(names, self._custody))
        return name in names

    def _hand_over(self, now: dict[str, bytes]) -> None:
        self._link.tell(secrets_of(self._order, now))

    def _facts(self) -> Facts:
        return Facts(
            identity=self._order.identity,
            counters=self._link.counters,
            policy=self.policy.digest,
            revision=self.policy.revision,
            frozen=self._link.frozen,
            confinement=self._link.confinement,
            log=self._life.log.directory,
            records=self._life.log.records,
            checkpoint=self._life.log.newest,
            started=self._started,
            project=self._order.project,
            leaf=self._order.leaf,
            waiting=len(self.approvals),
            learn_until=self.learning.until,
        )
