"""Which grants hold for one bottle: read from the store, told to its gateway, used up, revoked, seen to expire (D25).

The store is shared by all keepers of a home: each looks once a second whether anybody wrote, and at once when it is
told to. A store that cannot be read gives no grant: the gateway keeps none that we cannot see.
"""

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from bot_bottle.base.errors import AuditFault, BottleError, HostFault, UsageFault
from bot_bottle.egress import messages as gateway
from bot_bottle.keeper import approval_records as records
from bot_bottle.keeper.approval_ports import Archive
from bot_bottle.keeper.judging import is_themselves
from bot_bottle.keeper.messages.approvals import RevokeGrant
from bot_bottle.policy.grants import Grant
from bot_bottle.policy.verdict import Request
from bot_bottle.supervise.charter import title
from bot_bottle.supervise.granting import Holder, as_grant, for_gateway, holds, is_access, match_once, outdated
from bot_bottle.supervise.model import Ask, Scope, StoredGrant
from bot_bottle.supervise.ports import ApprovalStore

_MOST = 5000


class Grants:
    """on_change: called when other grants hold than before."""

    def __init__(
        self,
        archive: Archive,
        holder: Callable[[], Holder],
        now: Callable[[], int],
        tell: Callable[[gateway.KeeperToGateway], None],
        write: Callable[[dict[str, Any]], None],
    ) -> None:
        self._archive = archive
        self._holder = holder
        self._now = now
        self._tell = tell
        self._write = write
        self._changes = -1
        self._told: dict[str, Grant] = {}
        self._known: dict[str, StoredGrant] = {}
        self._outdating: list[tuple[Holder, str, int]] = []
        self.on_change: Callable[[], None] = lambda: None

    def initial(self) -> tuple[Grant, ...]:
        """For Configure."""
        self.outdate(self._holder(), "")
        self._read()
        self._told = {one.id: one for one in self._for_gateway()}
        return tuple(self._told.values())

    def refresh(self) -> None:
        """Reads again; the gateway is told where it makes a difference."""
        self._read()
        found = {one.id: one for one in self._for_gateway()}
        if found == self._told:
            return
        gone = [ident for ident in self._told if ident not in found]
        self._told = found
        self._tell(gateway.Grants(tuple(found.values())))
        self._note_expired(gone)
        self.on_change()

    def outdate(self, holder: Holder, before: str) -> None:
        """The policy of `holder` will hold: what was given under its older ones is dead for good, also where one of
        them comes back (D25). A store that refuses now takes it as soon as it can; no policy waits for that."""
        self._outdating.append((holder, before, self._now()))
        self._end_outdated()

    def look(self) -> None:
        """Once a second: whether anybody wrote, or time ended one."""
        self._end_outdated()
        now = self._now()
        try:
            store = self._archive.peek()
            moved = store is not None and store.changes() != self._changes
        except HostFault:
            moved = True
        if moved or any(one.expires <= now for one in self._told.values()):
            self.refresh()

    def forget(self) -> None:
        """The gateway dropped all of them: it has another policy."""
        self._told = {}

    def take(self, ask: Ask) -> StoredGrant | None:
        """A yes for one use that this ask may have at once: counted in the store first, then recorded."""
        store = self._archive.peek()
        if store is None:
            return None
        now = self._now()
        found = match_once(store.grants(live_at=now, limit=_MOST), ask, self._holder(), now)
        if found is None or not store.use(found.id, now):
            return None
        detail = {"number": str(ask.number), "scope": ask.scope, "request": ask.request}
        self._write(records.grant_event("used", found, title(found.approver), detail))
        return found

    def covering(self, ask: Ask) -> StoredGrant | None:
        """A grant for any number of uses that covers a held request; never one that carries a secret."""
        wanted = ask.wanted
        if is_access(wanted) or wanted.secrets or wanted.findings:
            return None
        now, holder = self._now(), self._holder()
        request = Request(wanted.target, wanted.method, wanted.path, protocol=wanted.protocol)
        held = (one for one in self._known.values() if not one.uses and holds(one, holder, now))
        return next((one for one in held if as_grant(one).covers(ask.rule, request)), None)

    def revoke(self, said: RevokeGrant, peer: int) -> None:
        """Raises UsageFault where there is no such grant, or it has ended before. A yes is recorded before it holds;
        its end holds before it is recorded, since a log that refuses must not keep it alive."""
        store = self._archive.peek()
        found = revocable(store, said, peer)
        assert store is not None
        if not store.revoke(found.id, self._now()):
            raise over(found)
        self._told.pop(found.id, None)
        self._known.pop(found.id, None)
        self._tell(gateway.Grants(tuple(self._told.values())))
        self._write(records.grant_event("revoked", found, title(said.approver), by(said, peer)))
        self.refresh()

    def end(self, run: str) -> None:
        """The run has ended, and with it what was given for it."""
        try:
            store = self._archive.peek()
            if store is None:
                return
            mine = given_for_runs(store, self._now(), lambda one: one == run)
            for _, fields in end_with_run(store, mine, self._now()):
                self._write(fields)
        except BottleError:
            return  # no other run can use it: it names this one

    def _read(self) -> None:
        try:
            store = self._archive.peek()
            if store is None:
                return
            self._changes = store.changes()
            self._known = {one.id: one for one in store.grants(live_at=self._now(), limit=_MOST)}
        except HostFault as fault:
            if fault.slug != "approvals.busy":
                self._known = {}

    def _end_outdated(self) -> None:
        gone: list[StoredGrant] = []
        with contextlib.suppress(HostFault):
            store = self._archive.peek() if self._outdating else None
            if store is not None:
                now = self._now()
                for one in store.grants(live_at=now, limit=_MOST):
                    over = any(_outdated(store, one, *change) for change in self._outdating)
                    if over and store.revoke(one.id, now, with_policy=True):
                        gone.append(one)
            self._outdating = []
        with contextlib.suppress(AuditFault):  # then the bottle ends
            for one in gone:
                self._write(records.grant_event("ended", one, title(one.approver), {"why": "policy"}))

    def _for_gateway(self) -> tuple[Grant, ...]:
        return for_gateway(self._known.values(), self._holder(), self._now())

    def _note_expired(self, gone: list[str]) -> None:
        now = self._now()
        for ident in gone:
            try:
                store = self._archive.peek()
                found = store.grant(ident) if store is not None else None
                if found is not None and not found.revoked and found.expires <= now:
                    self._write(records.grant_event("expired", found, title(found.approver)))
            except BottleError:
                return


def by(said: RevokeGrant, peer: int) -> dict[str, str]:
    """Who brought it, for the record: a process of this uid, and by which way."""
    return {"peer": str(peer)} | ({"via": said.approver.via} if said.approver.via else {})


def _outdated(store: ApprovalStore, grant: StoredGrant, holder: Holder, before: str, since: int) -> bool:
    """Whether a change of policy ends a grant. since: when that was, wall ns; a later yes was given knowing it."""
    return grant.given <= since and outdated(grant, store.ask(grant.ask), holder, before)


def revocable(store: ApprovalStore | None, said: RevokeGrant, peer: int) -> StoredGrant:
    """The grant that is to end. Raises UsageFault."""
    found = store.grant(said.grant) if store is not None else None
    if found is None:
        raise unknown_grant()
    is_themselves(said.approver, peer)
    if found.scope is Scope.ALWAYS:
        what = f"This yes is a rule in {found.write} by now."
        raise UsageFault("grant.in-file", what, "Take the rule out, then bot-bottle policy reload LABEL.")
    if found.revoked:
        raise over(found)
    return found


def given_for_runs(store: ApprovalStore, now: int, ended: Callable[[str], bool]) -> list[StoredGrant]:
    """Live grants of runs that have ended. ended: says it of a run id. now: wall ns."""
    live = store.grants(live_at=now, limit=_MOST)
    return [one for one in live if one.scope is Scope.RUN and ended(one.subject)]


def end_with_run(
    store: ApprovalStore, grants: Iterable[StoredGrant], now: int
) -> list[tuple[StoredGrant, records.Fields]]:
    """Ends grants because their run has ended; those that had not ended before, each with the record to write. All
    have ended before the first is recorded: a log that refuses keeps none alive."""
    gone = [one for one in grants if store.revoke(one.id, now, with_run=True)]
    return [(one, records.grant_event("ended", one, title(one.approver))) for one in gone]


def unknown_grant() -> UsageFault:
    return UsageFault("grant.unknown", "There is no such grant.", "bot-bottle grants lists them.")


def over(grant: StoredGrant) -> UsageFault:
    return UsageFault("grant.over", f"The grant {grant.id} has ended before.", "bot-bottle grants lists what holds.")
