"""supervise.rules, charter, expiry, granting: who may answer, what a yes permits, and for how long."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Kind, Request
from bot_bottle.supervise import expiry, granting
from bot_bottle.supervise.charter import LOCAL, Charter, Delegation
from bot_bottle.supervise.expiry import DAY, HOUR, RETRY, SECOND, Steady
from bot_bottle.supervise.granting import Holder
from bot_bottle.supervise.model import Approver, Ask, AskState, Scope, StoredGrant
from bot_bottle.supervise.rules import Refused, Settles, Waits, may_answer, scopes
from unit.supervise.make import BEN, EVA, T0, access, answer, ask, case, changed, wanted

NOW = T0 + SECOND
YES = Settles(True, Scope.ONCE, HOUR)
HOLDER = Holder("r1", "web", "/home/ana/shop", "p1")


def slug(charter: Charter, of: Ask, *, said: dict[str, Any] | None = None, **facts: Any) -> str:
    ruling = may_answer(charter, case(of, **facts), answer(of, **(said or {})))
    assert isinstance(ruling, Refused), ruling
    assert ruling.what.endswith(".") and ruling.hint.endswith(".")
    return ruling.slug


# ---- one person


def test_a_yes_and_a_no_settle() -> None:
    assert may_answer(LOCAL, case(ask()), answer(ask())) == YES
    assert may_answer(LOCAL, case(ask()), answer(ask(), False)) == Settles(False)
    said = answer(ask(), scope=Scope.BOTTLE, seconds=60)
    assert may_answer(LOCAL, case(ask()), said) == Settles(True, Scope.BOTTLE, 60)


@pytest.mark.parametrize("state", [AskState.ALLOWED, AskState.DENIED, AskState.REFUSED])
def test_what_is_settled_is_settled(state: AskState) -> None:
    of = ask(state=state)
    assert slug(LOCAL, of) == slug(LOCAL, of, said={"allow": False}) == "ask.settled"


def test_an_answer_is_for_the_bytes_that_were_seen() -> None:
    assert slug(LOCAL, ask(), said={"request": "other"}) == "ask.other-request"
    assert slug(LOCAL, ask(), said={"request": "", "allow": False}) == "ask.other-request"


def test_a_yes_is_for_the_policy_that_asked() -> None:
    assert slug(LOCAL, ask(), policy="p2") == "ask.policy-changed"
    assert slug(LOCAL, ask(), revision=2) == "ask.policy-changed"
    assert may_answer(LOCAL, case(ask(), policy="p2"), answer(ask(), False)) == Settles(False)  # a no is always right


def test_which_scopes_are_open() -> None:
    every = (Scope.ONCE, Scope.RUN, Scope.BOTTLE, Scope.PROJECT, Scope.ALWAYS)
    assert scopes(case(ask())) == every
    assert scopes(case(ask(project=""))) == (Scope.ONCE, Scope.RUN, Scope.BOTTLE, Scope.ALWAYS)
    assert scopes(case(ask(), leaf="")) == every[:4]
    assert scopes(case(ask(rule="web/asks"))) == every[:4]
    assert scopes(case(ask(wanted=wanted(secrets=("key",))))) == (Scope.ONCE,)
    assert scopes(case(ask(wanted=wanted(findings=("aws-key",))))) == (Scope.ONCE,)
    assert scopes(case(ask(state=AskState.EXPIRED))) == (Scope.ONCE,)
    for of in (ask(), ask(project=""), ask(wanted=wanted(secrets=("key",))), ask(rule="web/asks")):
        for scope in every:
            ruling = may_answer(LOCAL, case(of), answer(of, scope=scope))
            assert isinstance(ruling, Settles) == (scope in scopes(case(of)))


@pytest.mark.parametrize(
    ("of", "scope", "wrong"),
    [
        (ask(wanted=wanted(secrets=("key",))), Scope.RUN, "ask.once-only"),
        (ask(project=""), Scope.PROJECT, "ask.no-project"),
        (ask(rule="web/asks"), Scope.ALWAYS, "ask.rule-asks"),
    ],
)
def test_why_a_scope_is_closed(of: Ask, scope: Scope, wrong: str) -> None:
    assert slug(LOCAL, of, said={"scope": scope}) == wrong


def test_times_have_a_most() -> None:
    assert slug(LOCAL, ask(), said={"scope": Scope.BOTTLE, "seconds": 31 * DAY}) == "ask.bad-time"
    assert slug(LOCAL, ask(), said={"seconds": -1}) == "ask.bad-time"
    assert slug(LOCAL, ask(), said={"scope": Scope.ALWAYS, "seconds": 1}) == "ask.bad-time"
    for scope in Scope:
        assert expiry.lifetime(scope, 0) == expiry.DEFAULTS[scope] <= expiry.MOST[scope]
    assert expiry.lifetime(Scope.RUN, 60) == 60


# ---- too late

LATE = [ask(state=state) for state in expiry.LATE]


@pytest.mark.parametrize("of", [*LATE, ask(deadline=NOW)])
def test_a_late_yes_is_one_retry_and_never_a_rule(of: Ask) -> None:
    said = answer(of, late=True)
    ruling = may_answer(LOCAL, case(of, policy="", revision=0), said)
    assert ruling == changed(YES, late=True)
    for scope in (Scope.RUN, Scope.BOTTLE, Scope.PROJECT, Scope.ALWAYS):
        assert slug(LOCAL, of, said={"scope": scope, "late": True}) == "ask.late-once"
        assert slug(LOCAL, of, said={"scope": scope}) == slug(LOCAL, of) == "ask.late"
    assert may_answer(LOCAL, case(of), answer(of, False)) == Settles(False, late=True)  # a no is always right
    assert isinstance(ruling, Settles)
    grant = granting.grant_for(of, said, ruling, "g1")
    permits = of.request if of.state in (AskState.WITHDRAWN, AskState.ENDED) else of.scope
    assert grant and (grant.retry, grant.uses, grant.scope) == (permits, 1, Scope.ONCE)
    assert grant.expires == NOW + RETRY * SECOND
    assert granting.for_gateway([grant], HOLDER, NOW) == ()


def test_the_retry_is_for_the_same_request_but_for_body_and_headers() -> None:
    of = ask(state=AskState.EXPIRED)
    grant = granting.grant_for(of, answer(of), Settles(True, late=True), "g1")
    assert grant
    again = ask("a2", wanted=wanted(body_digest="c" * 64, body_bytes=9, headers=("x",)))
    assert granting.match_once([grant], again, HOLDER, NOW) == grant
    for other in (
        ask("a2", wanted=wanted("evil.example")),
        ask("a2", wanted=wanted(path="/other")),
        ask("a2", wanted=wanted(method="PUT")),
        ask("a2", wanted=wanted(query_digest="q")),
        ask("a2", wanted=wanted(secrets=("key",))),
        ask("a2", wanted=wanted(findings=("f",))),
        access("a2"),
    ):
        assert granting.match_once([grant], other, HOLDER, NOW) is None
    assert granting.match_once([grant], again, HOLDER, NOW + RETRY * SECOND) is None
    assert granting.match_once([grant], again, changed(HOLDER, policy="p2"), NOW) is None
    assert granting.match_once([grant], again, changed(HOLDER, bottle="b2"), NOW) is None
    assert granting.match_once([changed(grant, used=1)], again, HOLDER, NOW) is None
    assert granting.match_once([grant], again, changed(HOLDER, run="r2"), NOW) == grant  # the bottle started again


def test_a_yes_that_may_be_late_is_one_in_time_while_somebody_waits() -> None:
    assert may_answer(LOCAL, case(ask()), answer(ask(), late=True)) == YES
    of = access(state=AskState.EXPIRED)
    assert slug(LOCAL, of) == "ask.late"
    ruling = may_answer(LOCAL, case(of), answer(of, late=True))
    assert isinstance(ruling, Settles)
    grant = granting.grant_for(of, answer(of, late=True), ruling, "g1")
    in_time = granting.grant_for(access(), answer(access()), YES, "g1")
    assert grant == in_time and grant and not grant.retry and grant.uses == 1


def test_who_said_yes_to_what_was_held_said_none_to_a_retry() -> None:
    first, of = answer(ask(), id="n1"), ask(state=AskState.EXPIRED)
    second = answer(of, id="n2", approver=BEN, late=True)
    assert may_answer(TWO, case(of, answers=(first,)), second) == Waits(1)
    assert may_answer(TWO, case(of, answers=(first, second)), answer(of, id="n3", late=True)) == changed(
        YES, late=True
    )
    knowing = changed(first, late=True)
    assert may_answer(TWO, case(of, answers=(knowing,)), second) == changed(YES, late=True)


def test_after_a_day_nothing_can_be_allowed() -> None:
    of = ask(state=AskState.EXPIRED)
    for late in (True, False):
        assert slug(LOCAL, of, now=of.deadline + DAY * SECOND, said={"late": late}) == "ask.too-late"
    assert may_answer(LOCAL, case(of, now=of.deadline + DAY * SECOND), answer(of, False)) == Settles(False, late=True)


# ---- another policy


def test_which_yeses_end_with_a_policy() -> None:
    of = ask()
    grant = granting.grant_for(of, answer(of, scope=Scope.BOTTLE), Settles(True, Scope.BOTTLE, HOUR), "g1")
    assert grant
    mine = Holder("r2", "web", "/home/ana/shop", "p2", "claude", "claude")
    assert granting.outdated(grant, of, mine, "") and granting.outdated(grant, of, mine, "p1")
    assert not granting.outdated(grant, of, changed(mine, policy="p1"), "")
    for other in ({"agent": "codex"}, {"harness": "codex"}, {"project": "/home/ana/other"}):  # a policy of its own
        assert not granting.outdated(grant, of, changed(mine, **other), "")
        assert granting.outdated(grant, of, changed(mine, **other), "p1")  # it held there, too
    assert not granting.outdated(grant, of, changed(mine, bottle="api"), "p1")
    assert not granting.outdated(grant, None, mine, "") and granting.outdated(grant, None, mine, "p1")
    for scope, over in ((Scope.RUN, False), (Scope.PROJECT, True), (Scope.ALWAYS, False)):
        wide = granting.grant_for(of, answer(of, scope=scope), Settles(True, scope, 0), "g1", "/web.md")
        assert wide and granting.outdated(wide, of, mine, "p1") == over
        assert granting.outdated(wide, of, changed(mine, run="r1"), "p1") == (scope is not Scope.ALWAYS)
    always = granting.grant_for(of, answer(of, scope=Scope.PROJECT), Settles(True, Scope.PROJECT, 0), "g1")
    assert always and not granting.outdated(always, of, changed(mine, bottle="api"), "")  # the same workspace


# ---- several persons

TWO = Charter(quorum=2)


def test_a_quorum_counts_persons() -> None:
    of = ask()
    assert may_answer(TWO, case(of), answer(of)) == Waits(1)
    first = answer(of, id="n1", scope=Scope.BOTTLE, seconds=120)
    assert slug(TWO, of, answers=(first,)) == "ask.answered"
    second = answer(of, id="n2", approver=BEN, scope=Scope.RUN)
    assert may_answer(TWO, case(of, answers=(first,)), second) == Settles(True, Scope.RUN, 7 * DAY)
    second = answer(of, id="n2", approver=BEN, scope=Scope.BOTTLE, seconds=60)
    assert may_answer(TWO, case(of, answers=(first,)), second) == Settles(True, Scope.BOTTLE, 60)
    assert may_answer(TWO, case(of, answers=(first,)), answer(of, False, approver=BEN)) == Settles(False)
    same = Charter(quorum=2, people={"os:1000": "ana", "device:d1": "ana"})
    assert slug(same, of, answers=(first,), said={"approver": BEN}) == "ask.answered"


def test_members_answer_and_nobody_else() -> None:
    charter = Charter(members=("os:1000",))
    assert may_answer(charter, case(ask()), answer(ask())) == YES
    assert slug(charter, ask(), said={"approver": BEN}) == "ask.not-yours"
    assert slug(charter, ask(), said={"approver": BEN, "allow": False}) == "ask.not-yours"


def test_the_requester_does_not_answer() -> None:
    charter = Charter(not_requester=True)
    assert slug(charter, ask(), requester="os:1000") == "ask.own-request"
    assert may_answer(charter, case(ask(), requester="os:1000"), answer(ask(), approver=BEN)) == YES
    same = Charter(not_requester=True, people={"os:1000": "ana", "device:d1": "ana"})
    assert slug(same, ask(), requester="os:1000", said={"approver": BEN}) == "ask.own-request"
    stand_in = Charter(
        members=("os:1000",), not_requester=True, delegations=(Delegation("os:1000", "device:d1", T0 + DAY * SECOND),)
    )
    assert slug(stand_in, ask(), requester="os:1000", said={"approver": BEN}) == "ask.own-request"


def test_escalation_lets_others_in_after_a_time() -> None:
    charter = Charter(members=("os:1000",), escalate_after=60, escalate_to=("device:d1",))
    said = {"approver": BEN}
    assert slug(charter, ask(), now=T0 + 59 * SECOND, said=said) == "ask.not-yours"
    of = ask()
    assert may_answer(charter, case(of, now=T0 + 60 * SECOND), answer(of, at=T0 + 60 * SECOND, **said)) == YES
    never = Charter(members=("os:1000",), escalate_to=("device:d1",))
    assert slug(never, ask(), now=T0 + 299 * SECOND, said=said) == "ask.not-yours"


def test_a_delegate_speaks_for_one_seat_until_the_end() -> None:
    delegation = Delegation("os:1000", "device:d1", T0 + 60 * SECOND)
    charter = Charter(quorum=2, members=("os:1000", "token:t1"), delegations=(delegation,))
    of = ask()
    by_ben = answer(of, id="n1", approver=BEN)
    assert may_answer(charter, case(of), by_ben) == Waits(1)
    assert slug(charter, of, answers=(by_ben,)) == "ask.answered"  # ana's seat has spoken
    assert may_answer(charter, case(of, answers=(by_ben,)), answer(of, id="n2", approver=EVA)) == Settles(
        True, Scope.ONCE, HOUR
    )
    assert slug(charter, of, now=T0 + 60 * SECOND, said={"approver": BEN}) == "ask.not-yours"


def test_one_delegate_of_two_is_still_one_person() -> None:
    given = (
        Delegation("os:1000", "device:d1", T0 + 60 * SECOND),
        Delegation("token:t1", "device:d1", T0 + DAY * SECOND),
    )
    charter = Charter(quorum=2, members=("os:1000", "token:t1"), delegations=given)
    first = answer(ask(), id="n1", approver=BEN)
    later = {"approver": BEN, "at": T0 + 61 * SECOND}
    assert slug(charter, ask(), now=T0 + 61 * SECOND, answers=(first,), said=later) == "ask.answered"


def test_break_glass_is_loud_and_off_by_default() -> None:
    said = {"break_glass": True, "reason": "production is down"}
    assert slug(TWO, ask(), said=said) == "ask.no-break-glass"
    charter = Charter(quorum=3, break_glass=True, breakers=("os:1000",))
    assert may_answer(charter, case(ask()), answer(ask(), **said)) == changed(YES, broke=True)
    assert slug(charter, ask(), said={**said, "reason": "  short  "}) == "ask.no-reason"
    assert slug(charter, ask(), said={**said, "approver": BEN}) == "ask.no-break-glass"
    secret = ask(wanted=wanted(secrets=("key",)))
    assert slug(charter, secret, said={**said, "scope": Scope.BOTTLE}) == "ask.once-only"


PEOPLE = ["ana", "ben", "eva", "kim"]
CHARTERS = st.builds(
    Charter,
    quorum=st.integers(1, 3),
    members=st.lists(st.sampled_from(PEOPLE[:3]), unique=True).map(tuple),
    not_requester=st.booleans(),
    escalate_after=st.sampled_from([0, 1, 100]),
    escalate_to=st.lists(st.sampled_from(PEOPLE), max_size=2).map(tuple),
    delegations=st.lists(
        st.builds(
            Delegation, st.sampled_from(PEOPLE), st.sampled_from(PEOPLE), st.sampled_from([T0, T0 + DAY * SECOND])
        ),
        max_size=3,
    ).map(tuple),
    people=st.just({f"device:{name}{number}": name for name in PEOPLE for number in (1, 2)}),
)
VOTES = st.lists(st.tuples(st.sampled_from(PEOPLE), st.integers(1, 2), st.booleans(), st.sampled_from(list(Scope)[:4])), max_size=8)  # fmt: skip


@given(CHARTERS, VOTES, st.sampled_from(PEOPLE))
def test_a_yes_needs_as_many_persons_as_the_quorum(charter: Charter, votes: list[Any], requester: str) -> None:
    """Whatever devices, delegations and repetitions: a yes stands on `quorum` different persons, none the requester."""
    of, kept, yes = ask(), [], []
    for number, (name, device, allow, scope) in enumerate(votes):
        said = answer(of, allow, scope, id=f"n{number}", approver=Approver("device", f"{name}{device}", name))
        facts = case(of, answers=tuple(kept), requester=f"device:{requester}1")
        ruling = may_answer(charter, facts, said)
        if isinstance(ruling, Refused):
            continue
        if allow:
            yes.append((name, scope))
        if isinstance(ruling, Settles):
            assert ruling.allow == allow
            if allow:
                assert len({person for person, _ in yes}) == len(yes) == charter.quorum
                assert list(Scope).index(ruling.scope) == min(list(Scope).index(one) for _, one in yes)
                assert not charter.not_requester or requester not in {person for person, _ in yes}
            return
        kept.append(said)


# ---- grants


def given_for(of: Ask, scope: Scope, **values: Any) -> StoredGrant:
    ruling = may_answer(LOCAL, case(of), answer(of, scope=scope, **values))
    assert isinstance(ruling, Settles)
    made = granting.grant_for(of, answer(of, scope=scope, **values), ruling, "g1", "/home/ana/web.md")
    assert made
    return made


def test_once_for_a_held_request_is_no_grant() -> None:
    assert granting.grant_for(ask(), answer(ask()), Settles(True), "g1") is None
    assert granting.grant_for(ask(), answer(ask(), False), Settles(False, late=True), "g1") is None
    assert granting.flow_ends(Settles(True), NOW) == NOW + HOUR * SECOND
    assert granting.flow_ends(Settles(True, Scope.ONCE, 60), NOW) == NOW + 60 * SECOND
    assert granting.flow_ends(Settles(True, Scope.BOTTLE, 9), NOW) == NOW + HOUR * SECOND


@pytest.mark.parametrize(
    ("scope", "subject", "seconds"),
    [(Scope.RUN, "r1", 7 * DAY), (Scope.BOTTLE, "web", 8 * HOUR), (Scope.PROJECT, "/home/ana/shop", 7 * DAY)],
)
def test_each_scope_has_its_subject_and_time(scope: Scope, subject: str, seconds: int) -> None:
    made = given_for(ask(), scope)
    assert (made.subject, made.expires - NOW, made.uses, made.policy) == (subject, seconds * SECOND, 0, "p1")
    assert [one.id for one in granting.for_gateway([made], HOLDER, NOW)] == ["g1"]
    others = {Scope.RUN: {"run": "r2"}, Scope.BOTTLE: {"bottle": "b2"}, Scope.PROJECT: {"project": "/other"}}
    for holder in (changed(HOLDER, policy="p2"), changed(HOLDER, **others[scope])):
        assert granting.for_gateway([made], holder, NOW) == ()
    for dead in (changed(made, revoked=NOW), changed(made, expires=NOW), changed(made, given=NOW + DAY * SECOND)):
        assert granting.for_gateway([dead], HOLDER, NOW) == ()


def test_always_is_a_note_and_no_grant_of_its_own() -> None:
    made = given_for(ask(), Scope.ALWAYS)
    assert made.write == made.subject == "/home/ana/web.md" and not granting.alive(made, NOW)
    assert granting.for_gateway([changed(made, expires=NOW + HOUR * SECOND)], HOLDER, NOW) == ()


def test_a_holder_without_a_project_has_no_project_grants() -> None:
    made = given_for(ask(), Scope.PROJECT)
    assert granting.for_gateway([changed(made, subject="")], changed(HOLDER, project=""), NOW) == ()
    assert granting.for_gateway([changed(made, policy="")], changed(HOLDER, policy=""), NOW) == ()


def test_a_grant_allows_the_method_and_path_that_was_seen() -> None:
    known = compile(
        Policy("web", (), default="ask"), granting.for_gateway([given_for(ask(), Scope.RUN)], HOLDER, NOW)
    )
    target = wanted().target
    assert decide(known, Request(target, "POST", "/in")).grant == "g1"
    for other in (
        Request(target, "POST", "/in/more"), Request(target, "GET", "/in"), Request(changed(target, port=8443), "POST", "/in"),
        Request(changed(target, scheme="http"), "POST", "/in"), Request(target, "POST", "/in", protocol="websocket"),
    ):  # fmt: skip
        assert decide(known, other).kind is Kind.ASK


@pytest.mark.parametrize("default", ["ask", "deny"])
def test_a_route_that_an_agent_asked_for(default: str) -> None:
    """Under default deny too: a person said yes to it, by name. For once it is counted by the keeper."""
    target = wanted().target
    asked = {path: Request(target, "GET", path) for path in ("/v1", "/v1/x", "/v1x", "/")}
    known = compile(
        Policy("web", (), default=default), granting.for_gateway([given_for(access(), Scope.RUN)], HOLDER, NOW)
    )
    closed = Kind.ASK if default == "ask" else Kind.DENY
    kinds = [decide(known, one).kind for one in asked.values()]
    assert kinds == [Kind.ALLOW, Kind.ALLOW, closed, closed]
    once = given_for(access(), Scope.ONCE)
    assert once.uses == 1 and not once.retry and once.expires - NOW == RETRY * SECOND
    known = compile(Policy("web", (), default=default), granting.for_gateway([once], HOLDER, NOW))
    verdict = decide(known, asked["/v1/x"])
    assert (verdict.kind, verdict.rule, verdict.grant) == (Kind.ASK, DEFAULT, "")
    assert decide(known, asked["/"]).kind is closed
    held = ask("a2", wanted=wanted(method="GET", path="/v1/x", body_bytes=0))
    assert granting.match_once([once], held, HOLDER, NOW) == once
    assert granting.match_once([once], ask("a2", wanted=wanted(path="/v1/x", method="PUT")), HOLDER, NOW) is None
    with_secret = ask("a2", wanted=wanted(method="GET", path="/v1/x", secrets=("key",)))
    assert granting.match_once([once], with_secret, HOLDER, NOW) is None


def test_a_grant_never_opens_what_a_route_denies() -> None:
    denies = Route(
        "web/no", wanted().target.host, scheme="", ports=(), protocols=("http1", "websocket"), action="deny"
    )
    grants = granting.for_gateway([given_for(ask(), Scope.RUN), given_for(access(), Scope.RUN)], HOLDER, NOW)
    for default in ("ask", "deny", "learn"):
        known = compile(Policy("web", (denies,), default=default), grants)
        assert decide(known, Request(wanted().target, "POST", "/in")).kind is Kind.DENY


# ---- clocks


@given(st.lists(st.tuples(st.integers(-DAY, DAY), st.integers(0, DAY)), max_size=12))
def test_no_jump_of_the_wall_clock_makes_time_slower(jumps: list[tuple[int, int]]) -> None:
    wall, mono = T0, 5 * SECOND
    clock = Steady(wall, mono)
    before, started = clock.now(wall, mono), mono
    for jump, passes in jumps:
        mono += passes * SECOND
        wall += (passes + jump) * SECOND
        now = clock.now(wall, mono)
        assert now >= before + passes * SECOND and now >= T0 + mono - started and now >= wall
        before = now


def test_an_ask_is_overdue_at_its_deadline_and_when_time_went_back() -> None:
    of = ask()
    assert not expiry.overdue(of, of.deadline - 1) and expiry.overdue(of, of.deadline)
    assert expiry.overdue(of, of.asked - 2 * DAY * SECOND)
