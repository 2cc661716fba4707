"""What a keeper without a bottle does for asks and grants: late answers, revocations, asks that a dead keeper left.

The log of a run that has ended is sealed, so these records stand in the host log: an answer before it has an effect,
the end of a grant once it holds.
"""

import contextlib
import os
import time
from collections.abc import Generator
from typing import Any

from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Kind, Record
from bot_bottle.audit.recover import is_orphan
from bot_bottle.base.errors import BottleError, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible
from bot_bottle.keeper import approval_records as records
from bot_bottle.keeper.grants import by, end_with_run, given_for_runs, over, revocable, unknown_grant
from bot_bottle.keeper.judging import Bench, asked, faster, judge, unknown_ask
from bot_bottle.keeper.logs import recover
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, RevokeGrant
from bot_bottle.keeper.messages.questions import NoteControl
from bot_bottle.keeper.messages.replies import Done
from bot_bottle.supervise import rules
from bot_bottle.supervise.charter import title
from bot_bottle.supervise.expiry import DAY, SECOND
from bot_bottle.supervise.model import Ask, AskState
from bot_bottle.supervise.ports import ApprovalStore, AskQuery
from bot_bottle.supervise.store import SqliteStore

_OVERDUE = 60 * SECOND
"""So long past its deadline an ask waits for its own keeper, which may be busy, before it counts as left."""
_MOST = 10_000
_KEPT = 180 * DAY * SECOND
"""What ended earlier leaves the store."""
_WHO = ("run", "bottle", "agent", "harness", "label", "policy")


class Ledger:
    """The store and the host log, both open for one question."""

    def __init__(self, home: Home, store: ApprovalStore, log: HostLog) -> None:
        self.home = home
        self.store = store
        self._log = log

    def write(self, fields: dict[str, Any], about: Ask | None = None) -> None:
        """One record with the identity of the run that it is about. Raises AuditFault."""
        self._log.append(_record(fields, about))


def _record(fields: dict[str, Any], about: Ask | None = None) -> Record:
    values: dict[str, Any] = {"v": VERSION, "time": time.time_ns(), "mono": time.monotonic_ns()}
    values |= {name: getattr(about, name) if about else "" for name in _WHO}
    return Record(**values | fields)


@contextlib.contextmanager
def ledger(home: Home) -> Generator[Ledger]:
    """Opens both; the store is made where there is none."""
    log = HostLog.open(home.host_log, LogKey.open(home.keys))
    try:
        store = SqliteStore(home.approvals)
        try:
            yield Ledger(home, store, log)
        finally:
            store.close()
    finally:
        log.close()


def answer(home: Home, said: AnswerAsk, peer: int) -> Answered:
    """A late answer: a yes gives one retry. Raises UsageFault where it does not count, or its bottle still runs."""
    if not os.path.exists(home.approvals):
        raise unknown_ask()
    with ledger(home) as book:
        ask = _ended(book, asked(book.store, said.ask))
        judged = judge(book.store, Bench(time.time_ns()), said, peer)
        late = isinstance(judged.ruling, rules.Settles) and judged.ruling.late
        book.write(records.answered(ask, judged.answer, peer, judged.grant, late), ask)
        if isinstance(judged.ruling, rules.Waits):
            if not book.store.note(judged.answer, judged.ask.version):
                raise faster(ask)
            return Answered(ask.state)
        grant = judged.grant
        if not book.store.settle(ask.id, judged.ask.version, judged.state, judged.answer.at, judged.answer, grant):
            raise faster(ask)
        name = grant.id if grant else ""
        book.write(records.settled(ask, judged.state, "", name, title(said.approver), judged.ruling), ask)
        return Answered(judged.state, name)


def revoke(home: Home, said: RevokeGrant, peer: int) -> Done:
    """A grant ends; running keepers see it within a second."""
    if not os.path.exists(home.approvals):
        raise unknown_grant()
    with ledger(home) as book:
        found = revocable(book.store, said, peer)
        fields = records.grant_event("revoked", found, title(said.approver), by(said, peer))
        if not book.store.revoke(found.id, time.time_ns()):
            raise over(found)
        book.write(fields, book.store.ask(found.ask))
    return Done()


def note(home: Home, said: NoteControl, peer: int) -> Done:
    """One CONTROL record."""
    log = HostLog.open(home.host_log, LogKey.open(home.keys))
    try:
        detail = {visible(name, 64): visible(text, 500) for name, text in list(said.detail.items())[:32]}
        fields: dict[str, Any] = {
            "kind": Kind.CONTROL, "verdict": visible(said.what, 100), "approver": visible(said.approver, 200),
            "detail": {**detail, "peer": str(peer)},
        }  # fmt: skip
        log.append(_record(fields))
    finally:
        log.close()
    return Done()


def end_left(home: Home) -> int:
    """Asks that wait, but whose keeper is dead, are ended (D08: silence is a no), and what was given for its run is,
    too; how many asks. A log that cannot be written leaves them for the next time: nobody waits for them anyway."""
    if not os.path.exists(home.approvals):
        return 0
    with contextlib.suppress(BottleError):
        store = SqliteStore(home.approvals)
        try:
            _prune(store)
            left = [one for one in store.asks(AskQuery((AskState.WAITING,), limit=_MOST)) if _is_left(home, one)]
            dead = given_for_runs(store, time.time_ns(), lambda run: not is_orphan(home.run_log(run)))
        finally:
            store.close()
        if left or dead:
            with ledger(home) as book:
                for one, fields in end_with_run(book.store, dead, time.time_ns()):
                    book.write(fields, book.store.ask(one.ask))
                return sum(_end(book, ask) for ask in left)
    return 0


def _ended(book: Ledger, ask: Ask) -> Ask:
    """The ask, once nobody else can settle it; a dead keeper's log is sealed first."""
    if ask.state is not AskState.WAITING:
        return ask
    if is_orphan(book.home.run_log(ask.run)):
        _, kept = recover(book.home, (ask.run,))
        if ask.run in kept:
            what = f"The bottle {ask.label} still runs: its own keeper takes the answer."
            raise UsageFault("ask.lives", what, "Try again.")
    _end(book, ask)
    return book.store.ask(ask.id) or ask


def _prune(store: ApprovalStore) -> None:
    """What ended long ago is in the logs; the store keeps what people still look at."""
    before = time.time_ns() - _KEPT
    if store.asks(AskQuery(before=before, limit=1)):
        store.prune(before)


def _is_left(home: Home, ask: Ask) -> bool:
    if not is_orphan(home.run_log(ask.run)):
        return True
    return time.time_ns() > ask.deadline + _OVERDUE


def _end(book: Ledger, ask: Ask) -> bool:
    book.write(records.settled(ask, AskState.ENDED, "ask.ended"), ask)
    return book.store.settle(ask.id, ask.version, AskState.ENDED, time.time_ns())
