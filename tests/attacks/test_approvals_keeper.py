"""Attacks on a person's yes at the keeper: D25, B44, B74. Real log, real store; each with the same attack where that one
defence is off."""

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot_bottle.base.errors import AuditFault, BottleError, HostFault
from bot_bottle.base.home import Home
from bot_bottle.egress import messages as g
from bot_bottle.egress.channel import ChannelClosed
from bot_bottle.keeper import ended, judging, waiting
from bot_bottle.keeper.grants import Grants
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered, RevokeGrant
from bot_bottle.keeper.messages.control import LearnPolicy, ReloadPolicy
from bot_bottle.keeper.messages.replies import Done, Refused
from bot_bottle.keeper.session import Session
from bot_bottle.policy import merge
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise import expiry, rules
from bot_bottle.supervise.model import Approver, Ask, AskKind, AskState, Scope, Wanted
from bot_bottle.supervise.store import SqliteReader, SqliteStore
from unit.keeper.stand import IDENTITY, ME, POLICY, Stand

WANTED = Wanted(Target("https", "hooks.example.net", 443), "POST", "/in", body_bytes=3, body_digest="b" * 64)
OTHER = msgspec.structs.replace(WANTED, body_digest="c" * 64)
Keepers = Callable[..., Stand]


@pytest.fixture
def keepers(tmp_path: Path) -> Iterator[Keepers]:
    made: list[Stand] = []

    def make(number: int = 0, **more: Any) -> Stand:
        home = Home(str(tmp_path / "home"), str(tmp_path / "run"))
        identity = msgspec.structs.replace(IDENTITY, label=f"l{number}", run=f"20261125t000000-{number:012x}", **more)
        made.append(Stand(home, identity))
        return made[-1]

    yield make
    for one in made:
        one.close()


def waits(seconds: float) -> Any:
    changed = msgspec.structs.replace(POLICY, ask_wait=seconds)
    return msgspec.structs.replace(changed, digest=merge.digest(changed))


def opened(stand: Stand, number: int = 1, wanted: Wanted = WANTED) -> Ask:
    said = stand.asks(number, wanted)
    found = stand.store().ask(said.ask)
    assert found is not None, said
    return found


def lets_go(stand: Stand, seconds: float = 1.0) -> bool:
    """Whether the gateway is told to send it."""
    stand.gateway.sock.settimeout(seconds)
    try:
        return stand.settled().allow
    except ChannelClosed:
        return False


# ---- D25: no record, no effect


def full(*_: object) -> None:
    raise AuditFault("audit.cannot-write", "The log cannot be written: No space left on device.")


def test_d25_a_yes_that_cannot_be_recorded_lets_nothing_go(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    stand = keepers()
    stand.start()
    ask = opened(stand)
    monkeypatch.setattr(stand.session._life.log, "append", full)  # type: ignore[union-attr]
    assert stand.answer(ask).slug == "audit.cannot-write"
    assert not lets_go(stand)
    assert stand.store().ask(ask.id).state is AskState.WAITING  # type: ignore[union-attr]


def test_d25_without_that_order_the_yes_would_go_unrecorded(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = keepers()
    stand.start()
    ask = opened(stand)
    monkeypatch.setattr(Session, "_write", lambda *_: None)
    assert stand.answer(ask).state is AskState.ALLOWED
    assert lets_go(stand)


# ---- B44: nobody speaks for another


def test_b44_an_answer_in_the_name_of_another_user_does_not_count(keepers: Keepers) -> None:
    stand = keepers()
    stand.start()
    ask = opened(stand)
    other = Approver("os", str(os.getuid() + 1), "other", "terminal")
    assert stand.answer(ask, approver=other).slug == "ask.not-you"
    assert stand.ask(RevokeGrant("g-none", other)).slug == "grant.unknown"
    assert not lets_go(stand)


def test_b44_without_the_kernels_word_it_would(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "is_themselves", lambda *_: None)
    stand = keepers()
    stand.start()
    other = Approver("os", str(os.getuid() + 1), "other", "terminal")
    assert stand.answer(opened(stand), approver=other).state is AskState.ALLOWED


# ---- D25: clocks


def test_d25_a_clock_that_is_set_back_prolongs_no_deadline(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    stand = keepers()
    stand.start(waits(0.5))
    opened(stand)
    real = time.time_ns
    monkeypatch.setattr(waiting.time, "time_ns", lambda: real() - 3600 * 10**9)
    assert stand.settled().state == "expired"


def test_d25_with_the_wall_clock_alone_it_would_wait_for_an_hour(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting.Steady, "now", lambda _, wall, __: wall)
    stand = keepers()
    stand.start(waits(0.5))
    opened(stand)
    real = time.time_ns
    monkeypatch.setattr(waiting.time, "time_ns", lambda: real() - 3600 * 10**9)
    stand.gateway.sock.settimeout(2)
    with pytest.raises(ChannelClosed):
        stand.settled()


# ---- B74: a gateway that was taken over


def flood(stand: Stand) -> int:
    """How many asks it gets into the store, each withdrawn at once."""
    stand.start(limits=g.Limits(held=3, asks=0.001))
    count = 0
    for number in range(1, 40):
        count += bool(stand.asks(number, msgspec.structs.replace(WANTED, path=f"/{number}")).ask)
        stand.gateway.send(g.Withdrawn(number))
    return count


def test_b74_a_gateway_that_was_taken_over_fills_no_store(keepers: Keepers) -> None:
    assert flood(keepers()) == 6


def test_b74_without_the_keepers_own_bound_it_would(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting.Rate, "take", lambda _: True)
    assert flood(keepers()) == 39


# ---- D25: one retry


def retries(stand: Stand) -> list[bool]:
    """A late yes, then the same request three times: which of them are let go."""
    stand.start(waits(0.2))
    ask = opened(stand)
    assert stand.settled().state == "expired"
    assert stand.answer(ask.id).grant
    found: list[bool] = []
    for number in range(2, 5):
        stand.gateway.send(g.Asked(number, AskKind.REQUEST, OTHER, DEFAULT, "r", "h"))
        found.append(stand.settled().allow)  # what is asked anew expires
    return found


def test_d25_a_late_yes_is_for_one_retry(keepers: Keepers) -> None:
    assert retries(keepers()) == [True, False, False]


def test_d25_without_counting_it_would_be_a_rule(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqliteStore, "use", lambda *_: True)
    assert retries(keepers()) == [True, True, True]


def test_d25_two_bottles_that_retry_at_once_share_one_late_yes(keepers: Keepers) -> None:
    stand = keepers(0)
    stand.start(waits(0.2))
    ask = opened(stand)
    stand.settled()
    others = [keepers(number) for number in range(1, 5)]
    for one in others:
        one.start(waits(0.2))
    assert stand.answer(ask.id).grant
    for one in others:
        one.gateway.send(g.Asked(1, AskKind.REQUEST, OTHER, DEFAULT, "r", "h"))
    assert sorted(one.settled().allow for one in others) == [False, False, False, True]


# ---- D25: a yes that comes back with its policy


def again(**changes: Any) -> Any:
    other = msgspec.structs.replace(POLICY, **changes)
    return msgspec.structs.replace(other, digest=merge.digest(other))


OTHER_POLICY = again(routes=POLICY.routes[:1])


def undead(keepers: Keepers, way: str) -> bool:
    """A yes for the bottle, another policy for a while, and the old one again: whether it opens anything."""
    one = keepers(0)
    one.start()
    grant = one.answer(opened(one), scope=Scope.BOTTLE).grant
    assert grant
    match way:
        case "reload":
            assert one.ask(ReloadPolicy(OTHER_POLICY)) == Done()
            assert one.ask(ReloadPolicy(POLICY)) == Done()
        case "learn":
            assert one.ask(LearnPolicy(600, ME)) == Done()
            assert one.ask(LearnPolicy(0, ME)) == Done()
        case "start":
            keepers(1).start(OTHER_POLICY)
        case _:
            raise AssertionError(way)
    two = keepers(2)
    two.start()
    two.gateway.send(g.Asked(1, AskKind.REQUEST, OTHER, DEFAULT, "r", "h"))
    return lets_go(two)


WAYS = pytest.mark.parametrize("way", ["reload", "learn", "start"])


@WAYS
def test_d25_a_yes_does_not_come_back_with_its_policy(keepers: Keepers, way: str) -> None:
    assert not undead(keepers, way)


@WAYS
def test_d25_without_its_end_in_the_store_it_would(
    keepers: Keepers, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Grants, "outdate", lambda *_: None)
    assert undead(keepers, way)


def test_d25_a_yes_is_over_before_another_policy_holds(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whenever its keeper dies: the store says it is over, or no other policy ever held."""
    grants, found = list[str](), list[bool]()
    note = Session._note

    def noted(session: Session, kind: str, detail: dict[str, str]) -> None:
        with contextlib.closing(SqliteReader(stand.home.approvals)) if grants else contextlib.nullcontext() as store:
            found.extend(bool(store and (one := store.grant(ident)) and one.revoked) for ident in grants)
        note(session, kind, detail)

    monkeypatch.setattr(Session, "_note", noted)
    stand = keepers()
    stand.start()
    grants.append(stand.answer(opened(stand), scope=Scope.BOTTLE).grant)
    assert stand.ask(ReloadPolicy(OTHER_POLICY)) == Done()
    assert found == [True]


def test_d25_a_store_that_is_busy_holds_up_no_policy_and_is_told_later(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand = keepers()
    stand.start()
    grant = stand.answer(opened(stand), scope=Scope.BOTTLE).grant
    revoke, refused = SqliteStore.revoke, [True]

    def busy(*of: Any, **why: Any) -> bool:
        if refused:
            raise HostFault("approvals.busy", "It is in use for too long.", "")
        return revoke(*of, **why)

    monkeypatch.setattr(SqliteStore, "revoke", busy)
    assert stand.ask(ReloadPolicy(OTHER_POLICY)) == Done()
    assert stand.ask(ReloadPolicy(POLICY)) == Done()
    assert not stand.grant(grant).revoked
    refused.clear()
    deadline = time.monotonic() + 20
    while not stand.grant(grant).revoked:
        assert time.monotonic() < deadline
    assert stand.grant(grant).with_policy


def test_a_yes_of_another_agent_of_the_bottle_has_a_policy_of_its_own(keepers: Keepers) -> None:
    one = keepers(0)
    one.start()
    grant = one.answer(opened(one), scope=Scope.BOTTLE).grant
    keepers(1, agent="another").start(OTHER_POLICY)
    assert not one.grant(grant).revoked


# ---- races


def test_d25_twenty_answers_at_once_are_one_answer(keepers: Keepers) -> None:
    """Two approvers, double clicks, yes and no together: store, records and gateway agree on one."""
    stand = keepers()
    stand.start()
    ask = opened(stand)
    replies: list[Any] = []
    threads = [
        threading.Thread(target=lambda allow=bool(n % 2): replies.append(stand.answer(ask, allow=allow)))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    counted = [one for one in replies if isinstance(one, Answered)]
    assert len(counted) == 1
    assert {one.slug for one in replies if isinstance(one, Refused)} <= {"ask.settled", "ask.faster"}
    settled = stand.settled()
    stored = stand.store().ask(ask.id)
    assert stored is not None
    assert (stored.state, settled.allow) == (counted[0].state, counted[0].state is AskState.ALLOWED)
    stand.finish()
    assert [one.verdict for one in stand.records() if one.kind == "settled"] == [stored.state.value]


def test_d25_two_keepers_answer_a_missed_ask_once(keepers: Keepers) -> None:
    """The bottle's own keeper and one without a bottle, at the same time."""
    stand = keepers()
    stand.start(waits(0.2))
    ask = opened(stand)
    stand.settled()
    found: list[Any] = []

    def by_the_warm_one() -> None:
        try:
            found.append(ended.answer(stand.home, AnswerAsk(ask.id, ask.request, True, ME, late=True), os.getuid()))
        except BottleError as error:
            found.append(error)

    threads = [threading.Thread(target=by_the_warm_one) for _ in range(4)]
    threads += [threading.Thread(target=lambda: found.append(stand.answer(ask, late=True))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(isinstance(one, Answered) for one in found) == 1, found
    assert len(stand.store().grants()) == 1


def test_d25_an_answer_at_the_deadline_is_late_or_in_time_and_never_both(keepers: Keepers) -> None:
    for turn in range(6):
        stand = keepers(turn)
        stand.start(waits(0.25))
        ask = opened(stand, wanted=msgspec.structs.replace(WANTED, path=f"/{turn}"))
        time.sleep(max(0.0, (ask.deadline - time.time_ns()) / 1e9 - 0.003 + turn * 0.001))  # the race itself
        reply = stand.answer(ask, late=bool(turn % 2))
        settled = stand.settled()
        if isinstance(reply, Answered):
            assert settled.allow is not bool(reply.grant), "the held request and a retry"
        else:
            assert (reply.slug, settled.state, turn % 2) == ("ask.late", "expired", 0)


# ---- D25: a yes to what is held, and who hung up meanwhile


def swapped(stand: Stand) -> bool:
    """The agent hangs up while a person reads, they say yes to what they read, and it sends another body."""
    stand.start()
    ask = opened(stand)
    stand.gateway.send(g.Withdrawn(1))
    deadline = time.monotonic() + 20
    while stand.store().ask(ask.id).state is AskState.WAITING:  # type: ignore[union-attr]
        assert time.monotonic() < deadline
    stand.answer(ask)
    stand.gateway.send(g.Asked(2, AskKind.REQUEST, OTHER, DEFAULT, "r", "h"))
    return lets_go(stand)


def test_d25_hanging_up_swaps_no_bytes_under_a_yes(keepers: Keepers) -> None:
    assert not swapped(keepers())


def test_d25_hanging_up_swaps_no_bytes_under_a_late_yes_either(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "_late_fault", lambda *_: None)
    assert not swapped(keepers())


def test_d25_without_what_was_shown_and_without_the_digest_it_would(
    keepers: Keepers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "_late_fault", lambda *_: None)
    monkeypatch.setattr(expiry, "LEFT", ())
    assert swapped(keepers())
