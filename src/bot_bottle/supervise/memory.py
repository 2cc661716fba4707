"""The approval store in memory: for tests and for rules that are tried out. As strict as the real one."""

import threading
from collections import Counter

import msgspec

from bot_bottle.base.errors import OurFault
from bot_bottle.supervise.expiry import LATE
from bot_bottle.supervise.granting import alive
from bot_bottle.supervise.model import Answer, Ask, AskState, StoredGrant
from bot_bottle.supervise.ports import AskQuery

ANSWERED = (AskState.ALLOWED, AskState.DENIED)


def may_settle(old: AskState, new: AskState) -> bool:
    """Which changes of state there are: what waits may end in any way, what was missed can still be answered."""
    if old is AskState.WAITING:
        return new is not AskState.WAITING
    return old in LATE and new in ANSWERED


def settled_ask(ask: Ask, state: AskState, at: int, answer: Answer | None) -> Ask:
    """An ask as it is after its end."""
    return msgspec.structs.replace(
        ask, state=state, version=ask.version + 1, settled=at, answer=answer.id if answer else ""
    )


def renewed(old: Ask, new: Ask) -> Ask:
    """The old ask under the policy of the new one."""
    return msgspec.structs.replace(
        old,
        rule=new.rule,
        reason=new.reason,
        hint=new.hint,
        policy=new.policy,
        revision=new.revision,
        version=old.version + 1,
    )


class MemoryStore:
    """Everything in dictionaries under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asks: dict[str, Ask] = {}
        self._answers: dict[str, list[Answer]] = {}
        self._grants: dict[str, StoredGrant] = {}
        self._changes = 0

    # reading

    def ask(self, ask: str) -> Ask | None:
        return self._asks.get(ask)

    def asks(self, query: AskQuery) -> list[Ask]:
        places, found = Counter[str](), list[Ask]()
        for ask in self._found(query):
            places[ask.run] += 1
            if not query.each or places[ask.run] <= query.each:
                found.append(ask)
        return found[: query.limit]

    def count(self, query: AskQuery) -> int:
        return len(self._found(query))

    def answers(self, ask: str) -> list[Answer]:
        return sorted(self._answers.get(ask, ()), key=lambda answer: answer.at)

    def grants(self, *, live_at: int = 0, limit: int = 1000) -> list[StoredGrant]:
        found = [one for one in self._grants.values() if not live_at or alive(one, live_at)]
        return sorted(found, key=lambda grant: (grant.given, grant.id), reverse=True)[:limit]

    def grant(self, grant: str) -> StoredGrant | None:
        return self._grants.get(grant)

    def changes(self) -> int:
        return self._changes

    def close(self) -> None:
        return

    # writing

    def add(self, ask: Ask) -> None:
        with self._lock:
            if ask.id in self._asks:
                raise OurFault("approvals.twice", f"The ask {ask.id} exists already.")
            self._asks[ask.id] = ask
            self._changes += 1

    def note(self, answer: Answer, version: int) -> bool:
        with self._lock:
            ask = self._asks.get(answer.ask)
            if ask is None or ask.version != version or not may_settle(ask.state, AskState.ALLOWED):
                return False
            self._answers.setdefault(ask.id, []).append(answer)
            self._put(msgspec.structs.replace(ask, version=version + 1))
            return True

    def renew(self, ask: Ask, version: int) -> bool:
        with self._lock:
            old = self._asks.get(ask.id)
            if old is None or old.version != version or old.state is not AskState.WAITING:
                return False
            self._put(renewed(old, ask))
            return True

    def settle(
        self, ask: str, version: int, state: AskState, at: int, answer: Answer | None = None,
        grant: StoredGrant | None = None,
    ) -> bool:  # fmt: skip
        with self._lock:
            old = self._asks.get(ask)
            if old is None or old.version != version or not may_settle(old.state, state):
                return False
            if answer:
                self._answers.setdefault(ask, []).append(answer)
            if grant:
                self._grants[grant.id] = grant
            self._put(settled_ask(old, state, at, answer))
            return True

    def use(self, grant: str, now: int) -> bool:
        with self._lock:
            found = self._grants.get(grant)
            if found is None or not alive(found, now):
                return False
            self._grants[grant] = msgspec.structs.replace(found, used=found.used + 1)
            self._changes += 1
            return True

    def revoke(self, grant: str, now: int, with_run: bool = False, with_policy: bool = False) -> bool:
        with self._lock:
            found = self._grants.get(grant)
            if found is None or found.revoked:
                return False
            ended = msgspec.structs.replace(found, revoked=now, with_run=with_run, with_policy=with_policy)
            self._grants[grant] = ended
            self._changes += 1
            return True

    def prune(self, before: int) -> int:
        with self._lock:
            old = [one.id for one in self._asks.values() if one.settled and one.settled < before]
            dead = [one.id for one in self._grants.values() if one.expires < before]
            for ask in old:
                del self._asks[ask]
                self._answers.pop(ask, None)
            for grant in dead:
                del self._grants[grant]
            self._changes += bool(old or dead)
            return len(old) + len(dead)

    def _put(self, ask: Ask) -> None:
        self._asks[ask.id] = ask
        self._changes += 1

    def _found(self, query: AskQuery) -> list[Ask]:
        found = [one for one in self._asks.values() if _fits(one, query)]
        return sorted(found, key=lambda ask: (ask.asked, ask.id), reverse=True)


def _fits(ask: Ask, query: AskQuery) -> bool:
    host = ask.wanted.target.host
    pairs = (
        (query.run, ask.run), (query.bottle, ask.bottle), (query.label, ask.label), (query.project, ask.project),
        (query.host, host),
    )  # fmt: skip
    early = not query.before or ask.asked < query.before
    return (not query.states or ask.state in query.states) and early and all(not a or a == b for a, b in pairs)
