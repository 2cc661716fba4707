"""Two approvers, double click, approve after deny, expiry during approval, restart during hold, clock jumps, a policy
that changes: one state machine over the real store, played as keeper, gateway and persons would."""

import itertools
import tempfile
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.verdict import Kind, Request
from bot_bottle.supervise import expiry, granting
from bot_bottle.supervise.charter import LOCAL, Charter
from bot_bottle.supervise.expiry import DAY, SECOND, Steady
from bot_bottle.supervise.granting import Holder
from bot_bottle.supervise.memory import MemoryStore
from bot_bottle.supervise.model import Answer, Approver, Ask, AskState, Scope
from bot_bottle.supervise.ports import ApprovalStore, AskQuery
from bot_bottle.supervise.rules import Case, Settles, Waits, may_answer
from bot_bottle.supervise.store import SqliteStore
from unit.supervise.make import ANA, BEN, T0, answer, ask, changed, wanted

WAITING = AskQuery(states=(AskState.WAITING,))
PEOPLE = st.sampled_from([ANA, BEN])
SCOPES = st.sampled_from(list(Scope)[:4])


class Approvals(RuleBasedStateMachine):
    """`let_go`: ask -> how often its held bytes left. `told`: (ask, allow) that some person was told to count."""

    charter = LOCAL
    asks: Bundle[str] = Bundle("asks")
    seen: Bundle[tuple[Ask, Answer]] = Bundle("seen")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = f"{self.folder.name}/a/a.sqlite"
        self.store: ApprovalStore = self.opened()
        self.wall, self.mono = T0, 0
        self.clock = Steady(self.wall, self.mono)
        self.policy, self.revision = "p1", 1
        self.numbers = itertools.count()
        self.names = itertools.count()
        self.let_go: dict[str, int] = {}
        self.told: dict[str, list[bool]] = {}
        self.asked_under: dict[str, str] = {}
        self.retries: dict[str, int] = {}

    def opened(self) -> ApprovalStore:
        return SqliteStore(self.path)

    def teardown(self) -> None:
        self.store.close()
        self.folder.cleanup()

    # the world

    @property
    def now(self) -> int:
        return self.clock.now(self.wall, self.mono)

    @property
    def holder(self) -> Holder:
        return Holder("r1", "web", "/home/ana/shop", self.policy)

    @rule(seconds=st.sampled_from([1, 60, 299, 300, 601, 3600, 9 * 3600]))
    def time_passes(self, seconds: int) -> None:
        self.wall += seconds * SECOND
        self.mono += seconds * SECOND

    @rule(seconds=st.sampled_from([-DAY, -3600, -10, 10, 3600]))
    def the_wall_clock_jumps(self, seconds: int) -> None:
        before = self.now
        self.wall += seconds * SECOND
        assert self.now >= before

    @rule()
    def the_policy_changes(self) -> None:
        self.revision += 1
        self.policy = f"p{self.revision}"
        for one in self.store.asks(WAITING):
            if int(one.id[1:]) % 3 == 0:
                continue  # the keeper has not come to it yet
            if int(one.id[1:]) % 3 == 1:
                new = changed(one, policy=self.policy, revision=self.revision)
                assert self.store.renew(new, one.version)
                self.asked_under[one.id] = self.policy
            else:
                assert self.store.settle(one.id, one.version, AskState.REFUSED, self.now)

    # the keeper

    @precondition(lambda self: self.store.count(WAITING) < 3)
    @rule(target=asks, secret=st.booleans(), path=st.sampled_from(["/in", "/out"]))
    def a_request_is_held(self, secret: bool, path: str) -> str:
        name = f"a{next(self.names)}"
        want = wanted(path=path, secrets=("key",) if secret else ())
        now = self.now
        made = ask(
            name, wanted=want, asked=now, deadline=now + 300 * SECOND, policy=self.policy, revision=self.revision
        )
        self.asked_under[name] = self.policy
        self.let_go[name] = 0
        self.store.add(made)
        grants = self.store.grants(live_at=now)
        found = granting.match_once(grants, made, self.holder, now)
        if found and self.store.use(found.id, now):
            assert self.store.settle(name, 1, AskState.ALLOWED, now)
            self.retries[found.id] = self.retries.get(found.id, 0) + 1
            assert found.policy == self.policy
            self.let_go[name] += 1
        return name

    @rule()
    def the_timer_of_the_keeper_rings(self) -> None:
        for one in self.store.asks(WAITING):
            if expiry.overdue(one, self.now):
                assert self.store.settle(one.id, one.version, AskState.EXPIRED, self.now)

    @rule()
    def the_keeper_dies_and_another_one_starts(self) -> None:
        """Restart during hold: what waited has ended, grants are as they were."""
        live = self.store.grants(live_at=self.now)
        self.store.close()
        self.store = self.opened()
        assert self.store.grants(live_at=self.now) == live
        for one in self.store.asks(WAITING):
            assert self.store.settle(one.id, one.version, AskState.ENDED, self.now)

    @rule(name=asks)
    def the_program_hangs_up(self, name: str) -> None:
        found = self.store.ask(name)
        if found and found.state is AskState.WAITING:
            assert self.store.settle(name, found.version, AskState.WITHDRAWN, self.now)

    # the persons

    @rule(target=seen, name=asks, who=PEOPLE, allow=st.booleans(), scope=SCOPES, seconds=st.sampled_from([0, 60]))
    def a_person_looks(self, name: str, who: Approver, allow: bool, scope: Scope, seconds: int) -> tuple[Ask, Answer]:
        """What is answered later is what is seen now: in between, anything may happen."""
        found = self.store.ask(name)
        assert found
        return found, answer(found, allow, scope, approver=who, seconds=seconds, late=found.state in expiry.LATE)

    @rule(name=asks, who=PEOPLE, allow=st.booleans(), scope=SCOPES)
    def a_person_answers(self, name: str, who: Approver, allow: bool, scope: Scope) -> None:
        found = self.store.ask(name)
        assert found
        self.click(found, answer(found, allow, scope, approver=who, late=found.state in expiry.LATE))

    @rule(pair=seen)
    def and_clicks(self, pair: tuple[Ask, Answer]) -> None:
        """Twice perhaps: a click does not use up what was seen."""
        self.click(*pair)

    @rule(name=asks, who=st.permutations([ANA, BEN]), allow=st.tuples(st.booleans(), st.booleans()), scope=SCOPES)
    def two_click_at_once(self, name: str, who: list[Approver], allow: tuple[bool, bool], scope: Scope) -> None:
        """Both are judged on the same state before either is written: one counts."""
        found = self.store.ask(name)
        assert found
        both = [
            self.judge(found, answer(found, yes, scope, approver=one, late=found.state in expiry.LATE))
            for one, yes in zip(who, allow, strict=True)
        ]
        assert [self.settle(one) for one in both if one].count(True) <= 1

    def click(self, looked_at: Ask, said: Answer) -> None:
        judged = self.judge(looked_at, said)
        if judged:
            assert self.settle(judged)

    def judge(self, looked_at: Ask, said: Answer) -> tuple[Ask, Answer, Settles | Waits] | None:
        current = self.store.ask(looked_at.id)
        assert current
        answers = tuple(self.store.answers(current.id))
        now = self.now
        said = changed(said, id=f"n{next(self.numbers)}", at=now)
        facts = Case(current, now, answers, self.policy, self.revision, leaf="/web.md")
        ruling = may_answer(self.charter, facts, said)
        if isinstance(ruling, Settles) and ruling.allow and ruling.late:
            assert looked_at.state in expiry.LATE, "a yes to what was held became a yes to something else"
        return (current, said, ruling) if isinstance(ruling, Settles | Waits) else None

    def settle(self, judged: tuple[Ask, Answer, Settles | Waits]) -> bool:
        current, said, ruling = judged
        if isinstance(ruling, Waits):
            return self.store.note(said, current.version)
        grant = granting.grant_for(current, said, ruling, f"g{next(self.numbers)}")
        state = AskState.ALLOWED if ruling.allow else AskState.DENIED
        if not self.store.settle(current.id, current.version, state, said.at, said, grant):
            return False
        self.told.setdefault(current.id, []).append(ruling.allow)
        assert not grant or ruling.allow
        assert not (ruling.late and grant) or (grant.uses == 1 and grant.expires <= said.at + 600 * SECOND)
        assert not (ruling.late and grant) or (grant.retry == current.scope) == (current.state is AskState.EXPIRED)
        if ruling.allow and not ruling.late:
            self.check_yes(current, said, ruling)
            self.let_go[current.id] += 1
        return True

    def check_yes(self, current: Ask, said: Answer, ruling: Settles) -> None:
        assert current.state is AskState.WAITING and said.at < current.deadline
        assert self.asked_under[current.id] == self.policy
        assert ruling.scope is Scope.ONCE or not current.wanted.secrets

    @rule(number=st.integers(0, 5))
    def a_grant_is_revoked(self, number: int) -> None:
        grants = self.store.grants()
        if grants:
            gone = grants[number % len(grants)].id
            self.store.revoke(gone, self.now)
            assert not self.store.use(gone, self.now)

    # what must always hold

    @invariant()
    def no_bytes_leave_twice(self) -> None:
        assert all(times <= 1 for times in self.let_go.values())

    @invariant()
    def one_answer_settles(self) -> None:
        for name, answers in self.told.items():
            found = self.store.ask(name)
            assert found and len(answers) == 1
            assert found.state is (AskState.ALLOWED if answers[0] else AskState.DENIED)
            if not answers[0]:
                assert self.let_go[name] == 0

    @invariant()
    def a_late_yes_is_used_once(self) -> None:
        assert all(times == 1 for times in self.retries.values())

    @invariant()
    def grants_hold_under_their_policy_and_in_their_time(self) -> None:
        now = self.now
        stored = {one.id: one for one in self.store.grants()}
        for one in granting.for_gateway(stored.values(), self.holder, now):
            kept = stored[one.id]
            assert kept.policy == self.policy and not kept.revoked and now < kept.expires
            assert not kept.wanted.secrets and not kept.retry
        known = compile(Policy("web", (), default="ask"), granting.for_gateway(stored.values(), self.holder, now))
        verdict = decide(known, Request(wanted().target, "POST", "/in"))
        live = [g for g in stored.values() if g.wanted.path == "/in" and granting.holds(g, self.holder, now)]
        assert (verdict.kind is Kind.ALLOW) == any(not one.uses for one in live)


class Quorum(Approvals):
    """The same with two persons needed; a person alone never opens anything."""

    charter = Charter(quorum=2, not_requester=True)

    def check_yes(self, current: Ask, said: Answer, ruling: Settles) -> None:
        super().check_yes(current, said, ruling)
        voters = {one.approver.id for one in (*self.store.answers(current.id), said) if one.allow}
        assert voters == {"1000", "d1"}


class InMemory(Approvals):
    """The twin must stand the same; it keeps its state over a restart by being the same object."""

    def __init__(self) -> None:
        self.twin = MemoryStore()
        super().__init__()

    def opened(self) -> Any:
        return self.twin

    @initialize()
    def nothing(self) -> None:
        assert self.store.count(AskQuery()) == 0


MANY = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestApprovals = Approvals.TestCase
TestApprovals.settings = MANY
TestQuorum = Quorum.TestCase
TestQuorum.settings = MANY
TestInMemory = InMemory.TestCase
TestInMemory.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
