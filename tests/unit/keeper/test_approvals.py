"""Asks of one bottle: the keeper with its real log and store, a gateway and a person of the test's own (D25, B44)."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from bot_bottle.audit.encode import decode
from bot_bottle.audit.reader import LogReader
from bot_bottle.base.errors import AuditFault, HostFault, UsageFault
from bot_bottle.egress import messages as g
from bot_bottle.egress.channel import ChannelClosed
from bot_bottle.keeper import ended, waiting
from bot_bottle.keeper.grants import Grants
from bot_bottle.keeper.logs import HostedLog
from bot_bottle.keeper.messages.approvals import (
    AnswerAsk,
    Answered,
    AskShown,
    ProposeLeaf,
    RefreshGrants,
    RevokeGrant,
    ShowAsk,
)
from bot_bottle.keeper.messages.control import LearnPolicy, ReloadPolicy
from bot_bottle.keeper.messages.launcher import AskWaits, Halt
from bot_bottle.keeper.messages.replies import Done
from bot_bottle.policy import merge
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.grants import DEFAULT
from bot_bottle.policy.verdict import Target
from bot_bottle.supervise.model import Ask, AskKind, AskState, Scope, Wanted
from bot_bottle.supervise.store import SqliteStore
from unit.keeper.stand import ME, POLICY, Stand

Keepers = Callable[..., Stand]
WANTED = Wanted(Target("https", "hooks.example.net", 443), "POST", "/in", body_bytes=3, body_digest="b" * 64)
OTHER = msgspec.structs.replace(WANTED, body_digest="c" * 64)
ACCESS = Wanted(Target("https", "docs.example.net", 443), path="/guide", methods=("GET",))


def opened(stand: Stand, number: int = 1, wanted: Wanted = WANTED, **more: object) -> Ask:
    """An ask that waits."""
    said = stand.asks(number, wanted, **more)  # type: ignore[arg-type]
    assert said.ask, said
    found = stand.store().ask(said.ask)
    assert found is not None
    return found


def again(policy: Policy, **changes: object) -> Policy:
    """A policy with changes, and the digest that goes with them."""
    changed = msgspec.structs.replace(policy, **changes)
    return msgspec.structs.replace(changed, digest=merge.digest(changed))


def test_an_ask_is_recorded_stored_and_opened_and_a_yes_lets_it_go(asking: Stand) -> None:
    ask = opened(asking)
    assert (ask.state, ask.kind, ask.policy) == (AskState.WAITING, AskKind.REQUEST, POLICY.digest)
    waits = asking.told(AskWaits)
    assert (waits.ask, waits.state) == (ask.id, AskState.WAITING)
    assert "hooks.example.net" in waits.sentence
    assert asking.answer(ask) == Answered(AskState.ALLOWED)
    settled = asking.settled()
    assert (settled.number, settled.ask, settled.allow, settled.grant) == (1, ask.id, True, "")
    assert settled.approver == f"os:{os.getuid()} me"
    asking.finish()
    assert asking.kinds() == ["start", "ask", "answer", "settled", "stop"]
    answer = asking.records()[2]
    assert (answer.ask, answer.verdict, answer.detail["peer"]) == (ask.id, "allow", str(os.getuid()))
    assert answer.detail["request"] == ask.request


def test_a_no_is_told_with_its_reason_and_gives_nothing(asking: Stand) -> None:
    ask = opened(asking)
    assert asking.answer(ask, allow=False, reason="not today") == Answered(AskState.DENIED)
    settled = asking.settled()
    assert (settled.allow, settled.slug, "not today" in settled.what) == (False, "ask.denied", True)
    assert asking.store().grants() == []


def test_silence_is_a_no_at_the_deadline(keepers: Keepers) -> None:
    stand = keepers()
    stand.start(again(POLICY, ask_wait=0.3))
    ask = opened(stand)
    settled = stand.settled()
    assert (settled.allow, settled.state, settled.slug) == (False, "expired", "ask.expired")
    assert settled.what == "Silence means no."  # the denial's title says that nobody answered
    assert time.time_ns() >= ask.deadline
    stand.finish()
    assert stand.store().ask(ask.id).state is AskState.EXPIRED  # type: ignore[union-attr]
    assert stand.kinds() == ["start", "ask", "settled", "stop"]


def test_d25_a_clock_set_ahead_ends_an_ask_early(asking: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(asking)
    real = time.time_ns
    monkeypatch.setattr(waiting.time, "time_ns", lambda: real() + 3600 * 10**9)
    assert asking.settled().state == "expired"


def test_d25_an_answer_to_another_request_does_not_count(asking: Stand) -> None:
    ask = opened(asking)
    refused = asking.answer(ask, request="0" * 64)
    assert (refused.slug, refused.kind) == ("ask.other-request", "UsageFault")
    assert asking.store().ask(ask.id).state is AskState.WAITING  # type: ignore[union-attr]
    assert asking.answer(ask) == Answered(AskState.ALLOWED)


def test_the_second_answer_comes_too_late_whatever_it_says(asking: Stand) -> None:
    ask = opened(asking)
    assert asking.answer(ask, allow=False) == Answered(AskState.DENIED)
    assert asking.answer(ask).slug == "ask.settled"
    assert not asking.settled().allow
    asking.finish()
    assert asking.kinds() == ["start", "ask", "answer", "settled", "stop"]


def test_d25_what_the_store_does_not_take_is_not_opened(asking: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    first = opened(asking)

    def full(*_: object) -> None:
        raise HostFault("approvals.unwritable", "The store cannot be written: disk full.", "Free space.")

    store = asking.session._approvals._archive.open()
    monkeypatch.setattr(store, "add", full)
    monkeypatch.setattr(store, "settle", full)
    said = asking.asks(2, OTHER)
    assert (said.ask, said.slug) == ("", "ask.unkept")
    assert asking.answer(first).slug == "approvals.unwritable"
    asking.gateway.sock.settimeout(0.3)
    with pytest.raises(ChannelClosed):  # nothing is let go
        asking.settled()


def test_a_grant_for_the_run_reaches_the_gateway_and_lets_others_like_it_go(asking: Stand) -> None:
    first = opened(asking, 1)
    opened(asking, 2, OTHER)
    done = asking.answer(first, scope=Scope.RUN)
    assert done.grant
    settled = asking.settled()
    assert (settled.number, settled.grant) == (1, done.grant)
    grants = asking.heard(g.Grants)
    assert [one.id for one in grants.grants] == [done.grant]
    other = asking.settled()
    assert (other.number, other.allow, other.grant) == (2, True, done.grant)
    asking.finish()
    assert asking.kinds() == ["start", "ask", "ask", "answer", "settled", "settled", "grant", "stop"]


def test_grants_of_one_bottle_reach_the_other_running_ones(keepers: Keepers) -> None:
    one, two = keepers("one", 1), keepers("two", 2)
    one.start()
    two.start()
    done = one.answer(opened(one), scope=Scope.BOTTLE)
    assert two.ask(RefreshGrants()) == Done()
    assert [grant.id for grant in two.heard(g.Grants).grants] == [done.grant]
    assert one.ask(RevokeGrant(done.grant, ME)) == Done()
    assert two.heard(g.Grants).grants == ()  # by its own tick, nobody told it


def test_grants_for_a_run_stay_in_it_and_those_for_a_project_in_the_project(keepers: Keepers) -> None:
    one, two, three = keepers("one", 1), keepers("two", 2), keepers("three", 3)
    one.start(project="/work/a")
    two.start(project="/work/b")
    one.answer(opened(one, 1), scope=Scope.RUN)
    grant = one.answer(opened(one, 2, msgspec.structs.replace(WANTED, path="/p")), scope=Scope.PROJECT).grant
    assert two.ask(RefreshGrants()) == Done()
    assert two.asks(1, WANTED).ask
    configure = three.start(project="/work/a")
    assert [one.id for one in configure.grants] == [grant]


def test_d25_a_revoked_grant_is_gone_from_the_gateway_before_it_is_said_to_be(asking: Stand) -> None:
    done = asking.answer(opened(asking), scope=Scope.BOTTLE)
    asking.heard(g.Grants)
    assert asking.ask(RevokeGrant(done.grant, ME)) == Done()
    assert asking.heard(g.Grants).grants == ()
    assert asking.ask(RevokeGrant(done.grant, ME)).slug == "grant.over"
    assert asking.ask(RevokeGrant("g-nothing", ME)).slug == "grant.unknown"
    asking.finish()
    assert asking.kinds()[-2:] == ["grant", "stop"]


def test_a_grant_that_expires_is_a_record(asking: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    asking.answer(opened(asking), scope=Scope.BOTTLE, seconds=60)
    asking.heard(g.Grants)
    real = time.time_ns
    monkeypatch.setattr(waiting.time, "time_ns", lambda: real() + 61 * 10**9)
    assert asking.heard(g.Grants).grants == ()
    asking.finish()
    assert [one.verdict for one in asking.records() if one.kind == "grant"] == ["expired"]


def test_d25_a_retry_is_for_the_same_place_only(keepers: Keepers) -> None:
    stand = keepers()
    stand.start(again(POLICY, ask_wait=0.2))
    ask = opened(stand)
    stand.settled()
    stand.answer(ask)
    for number, change in enumerate(({"path": "/elsewhere"}, {"method": "DELETE"}, {"secrets": ("key",)}), 2):
        assert stand.asks(number, msgspec.structs.replace(WANTED, **change)).ask  # type: ignore[arg-type]


def test_d25_a_secret_bearing_ask_is_for_once_only(asking: Stand) -> None:
    ask = opened(asking, 1, msgspec.structs.replace(WANTED, secrets=("key",)))
    assert asking.answer(ask, scope=Scope.RUN).slug == "ask.once-only"
    assert asking.answer(ask).state is AskState.ALLOWED


def test_a_yes_to_request_access_is_a_grant_for_all_below(asking: Stand) -> None:
    ask = opened(asking, 1, ACCESS, kind=AskKind.ACCESS)
    done = asking.answer(ask, scope=Scope.RUN)
    settled = asking.settled()
    assert (settled.allow, settled.grant) == (True, done.grant)
    (grant,) = asking.heard(g.Grants).grants
    assert (grant.host, grant.path, grant.prefix, grant.methods) == ("docs.example.net", "/guide", True, ("GET",))


def test_what_hung_up_is_withdrawn_and_missed(asking: Stand) -> None:
    ask = opened(asking)
    asking.gateway.send(g.Withdrawn(1))
    assert asking.told(AskWaits).state is AskState.WAITING
    assert asking.told(AskWaits).state is AskState.WITHDRAWN
    assert asking.store().ask(ask.id).state is AskState.WITHDRAWN  # type: ignore[union-attr]
    assert asking.answer(ask).slug == "ask.late"  # who saw it wait
    assert asking.answer(ask.id).grant  # a late yes: one retry


def test_b74_a_new_policy_makes_answers_moot_unless_it_asks_the_same(asking: Stand) -> None:
    kept = opened(asking, 1, rule=DEFAULT)
    moot = opened(asking, 2, Wanted(Target("https", "asks.example.com", 443), "GET"), rule="b/asks")
    policy = again(POLICY, routes=POLICY.routes[:1])
    assert asking.ask(ReloadPolicy(policy)) == Done()
    settled = asking.settled()
    assert (settled.number, settled.state, settled.slug) == (2, "refused", "ask.policy-changed")
    assert asking.answer(moot).slug == "ask.settled"
    renewed = asking.store().ask(kept.id)
    assert renewed is not None
    assert (renewed.policy, renewed.revision) == (policy.digest, 2)
    assert asking.answer(kept) == Answered(AskState.ALLOWED)


def test_d25_grants_die_with_the_policy_under_them(asking: Stand) -> None:
    done = asking.answer(opened(asking), scope=Scope.BOTTLE)
    assert asking.heard(g.Grants).grants
    asking.ask(ReloadPolicy(again(POLICY, ask_body=7)))
    assert asking.asks(2, WANTED).ask  # asked again: nothing holds
    asking.ask(ReloadPolicy(POLICY))
    assert asking.asks(3, WANTED).ask  # the old policy is back, its grants are not
    assert asking.grant(done.grant).with_policy


def test_the_held_bytes_come_from_the_gateway_alone(asking: Stand) -> None:
    import threading

    ask = opened(asking)
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(asking.ask(ShowAsk(ask.id))))
    thread.start()
    assert asking.heard(g.ShowHeld).number == 1
    asking.gateway.send(g.HeldBytes(1, b"POST /in HTTP/1.1\r\n", b"abc", 3))
    thread.join(10)
    assert found == [AskShown(True, b"POST /in HTTP/1.1\r\n", b"abc", 3)]
    assert asking.ask(ShowAsk("a-nothing")) == AskShown(False)


def test_always_writes_the_leaf_and_nothing_else(keepers: Keepers) -> None:
    stand = keepers()
    leaf = Path(stand.home.bottles, "b.md")
    leaf.parent.mkdir(parents=True)
    text = "---\n# mine\nversion: 1\negress:\n  default: ask # careful\n---\nNotes.\n"
    leaf.write_text(text)
    stand.start(leaf=str(leaf))
    ask = opened(stand)
    proposed = stand.ask(ProposeLeaf(ask.id))
    assert "+" in proposed.diff
    assert leaf.read_text() == text
    refused = stand.answer(ask, scope=Scope.ALWAYS)
    assert (refused.kind, refused.slug) == ("UsageFault", "ask.unshown")
    assert leaf.read_text() == text
    refused = stand.answer(ask, scope=Scope.ALWAYS, shown="0" * 64)
    assert (refused.kind, refused.slug) == ("BusyFault", "leaf.changed")
    done = stand.answer(ask, scope=Scope.ALWAYS, shown=proposed.before)
    assert (done.state, done.wrote) == (AskState.ALLOWED, str(leaf))
    assert stand.settled().allow
    written = leaf.read_text()
    assert written.startswith("---\n# mine\nversion: 1\n")
    assert "# careful" in written
    assert "hooks.example.net" in written
    reload = stand.heard(g.Reload)
    assert [route.host for route in reload.policy.routes][-1] == "hooks.example.net"
    assert os.listdir(stand.home.bottles) == ["b.md"]
    stand.finish()
    answer = next(one for one in stand.records() if one.kind == "answer")
    assert answer.detail["file"] == str(leaf)
    assert answer.detail["diff"] == proposed.diff


def test_no_change_is_shown_of_which_nothing_could_come(keepers: Keepers) -> None:
    """Settled or too late: what the answer would be refused for is said before the diff, and a scope it may not have."""
    stand = keepers()
    leaf = Path(stand.home.bottles, "b.md")
    leaf.parent.mkdir(parents=True)
    leaf.write_text("---\nversion: 1\negress:\n  default: ask\n---\n")
    stand.start(leaf=str(leaf))
    late = opened(stand, 1)
    stand.gateway.send(g.Withdrawn(1))
    assert [stand.told(AskWaits).state for _ in range(2)] == [AskState.WAITING, AskState.WITHDRAWN]
    settled = opened(stand, 2)
    assert stand.ask(ProposeLeaf(late.id)).slug == "ask.late-once"
    stand.answer(settled, allow=False)
    assert stand.ask(ProposeLeaf(settled.id)).slug == "ask.settled"


def test_always_makes_the_leaf_anew_where_it_went_away(keepers: Keepers) -> None:
    """A file that is not there can be shown, too."""
    stand = keepers()
    leaf = Path(stand.home.bottles, "b.md")
    leaf.parent.mkdir(parents=True)
    leaf.write_text("---\nversion: 1\negress:\n  default: ask\n---\n")
    stand.start(leaf=str(leaf))
    ask = opened(stand)
    leaf.unlink()
    proposed = stand.ask(ProposeLeaf(ask.id))
    assert stand.answer(ask, scope=Scope.ALWAYS).slug == "ask.unshown"
    done = stand.answer(ask, scope=Scope.ALWAYS, shown=proposed.before)
    assert (done.state, done.wrote) == (AskState.ALLOWED, str(leaf))
    assert "hooks.example.net" in leaf.read_text()


def test_d25_an_always_that_came_too_late_leaves_no_rule(keepers: Keepers, monkeypatch: pytest.MonkeyPatch) -> None:
    stand = keepers()
    leaf = Path(stand.home.bottles, "b.md")
    leaf.parent.mkdir(parents=True)
    leaf.write_text("---\nversion: 1\negress:\n  default: ask\n---\n")
    stand.start(leaf=str(leaf))
    ask, text = opened(stand), leaf.read_text()
    seen: list[bool] = []

    def lost(*_: object) -> bool:
        seen.append("hooks.example.net" in leaf.read_text())
        return False

    shown = stand.ask(ProposeLeaf(ask.id)).before
    monkeypatch.setattr(SqliteStore, "settle", lost)
    refused = stand.answer(ask, scope=Scope.ALWAYS, shown=shown)
    monkeypatch.undo()
    assert (refused.slug, seen) == ("ask.faster", [True])
    assert leaf.read_text() == text


def test_without_a_leaf_there_is_no_always(asking: Stand) -> None:
    ask = opened(asking)
    assert asking.ask(ProposeLeaf(ask.id)).slug == "ask.no-file"
    assert asking.answer(ask, scope=Scope.ALWAYS).slug == "ask.no-file"


def test_b74_what_is_too_large_to_show_is_not_kept(asking: Stand) -> None:
    assert asking.asks(1, msgspec.structs.replace(WANTED, path="/" + "x" * 100_000)).slug == "ask.too-large"


def test_b73_methods_that_a_gateway_made_up_are_not_asked_about(asking: Stand) -> None:
    """A card names every method that a yes lets through: none may be a word of an agent, or stand beside another."""
    made_up = msgspec.structs.replace(ACCESS, methods=("GET", "LOCK-" + "A" * 27))
    beside = msgspec.structs.replace(WANTED, method="GET", methods=("POST",))
    assert [asking.asks(number, one).slug for number, one in enumerate((made_up, beside), 1)] == ["ask.methods"] * 2


def test_the_end_of_the_bottle_ends_its_asks_and_a_late_yes_permits_one_retry(keepers: Keepers) -> None:
    one = keepers("one", 1)
    one.start()
    ask = opened(one)
    one.finish()
    one.thread.join(10)
    assert one.store().ask(ask.id).state is AskState.ENDED  # type: ignore[union-attr]
    assert one.kinds() == ["start", "ask", "settled", "stop"]
    said = AnswerAsk(ask.id, ask.request, True, ME, late=True)
    done = ended.answer(one.home, said, os.getuid())
    assert (done.state, bool(done.grant)) == (AskState.ALLOWED, True)
    two = keepers("two", 2)
    two.start()
    two.gateway.send(g.Asked(1, AskKind.REQUEST, WANTED, DEFAULT, "r", "h"))
    assert two.settled().grant == done.grant


def test_a_keeper_without_a_bottle_revokes_and_answers_no_living_bottles_ask(keepers: Keepers) -> None:
    one = keepers("one", 1)
    one.start()
    grant = one.answer(opened(one, 1), scope=Scope.BOTTLE).grant
    waits = opened(one, 2, msgspec.structs.replace(WANTED, path="/other"))
    with pytest.raises(UsageFault, match="still runs"):
        ended.answer(one.home, AnswerAsk(waits.id, waits.request, True, ME), os.getuid())
    assert ended.revoke(one.home, RevokeGrant(grant, ME), os.getuid()) == Done()
    assert one.heard(g.Grants).grants == ()
    assert one.store().ask(waits.id).state is AskState.WAITING  # type: ignore[union-attr]


def test_learning_ends_by_itself_and_can_be_forbidden(keepers: Keepers) -> None:
    stand = keepers()
    stand.start()
    assert stand.ask(LearnPolicy(1, ME)) == Done()
    learning = stand.heard(g.Reload).policy
    assert (learning.default, learning.learn_until > time.time_ns()) == ("learn", True)
    back = stand.heard(g.Reload).policy
    assert (back.default, back.digest) == ("ask", POLICY.digest)
    assert stand.ask(LearnPolicy(10**6, ME)).slug == "learn.time"
    assert stand.ask(ReloadPolicy(again(POLICY, learn="forbid"))) == Done()
    assert stand.ask(LearnPolicy(60, ME)).slug == "learn.forbidden"
    stand.finish()
    learned = [(one.verdict, one.reason) for one in stand.records() if one.kind == "learn"]
    assert learned == [("begun", ""), ("ended", "time")]


def test_a_learn_mode_that_cannot_be_ended_ends_the_bottle(asking: Stand) -> None:
    asking.ask(LearnPolicy(60, ME))
    assert asking.heard(g.Reload).policy.default == "learn"
    asking.shelf.values.clear()  # the old policy names a secret that its store no longer gives
    asking.ask(LearnPolicy(0, ME))
    assert asking.told(Halt).slug.startswith("custody.")


def test_learning_ends_when_it_is_asked_to_and_where_the_policy_is_reloaded(asking: Stand) -> None:
    asking.ask(LearnPolicy(600, ME))
    asking.ask(LearnPolicy(0, ME))
    asking.ask(LearnPolicy(600, ME))
    other = again(POLICY, routes=(Route("b/x", "x.example.com"),))
    asking.ask(ReloadPolicy(other))
    asking.finish()
    learned = [(one.verdict, one.reason) for one in asking.records() if one.kind == "learn"]
    assert learned == [("begun", ""), ("ended", "asked"), ("begun", ""), ("ended", "reload")]


def test_what_was_given_for_a_run_ends_with_it(asking: Stand) -> None:
    """Nobody reads later that it holds for six more days."""
    ask = opened(asking)
    grant = asking.answer(ask, scope=Scope.RUN).grant
    asking.settled()
    asking.finish()
    assert asking.grant(grant).revoked
    assert asking.store().grants(live_at=time.time_ns()) == []
    ended = next(one for one in asking.records() if one.kind == "grant")
    assert (ended.grant, ended.verdict) == (grant, "ended")


def test_what_was_given_for_the_run_of_a_keeper_that_died_ends_later(
    asking: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = opened(asking)
    grant = asking.answer(ask, scope=Scope.RUN).grant
    asking.settled()
    monkeypatch.setattr(Grants, "end", lambda *_: None)
    ended.end_left(asking.home)
    assert not asking.grant(grant).revoked  # its bottle still runs
    asking.finish()
    assert not asking.grant(grant).revoked
    ended.end_left(asking.home)
    assert asking.grant(grant).revoked
    written = [decode(line) for _, lines in LogReader(asking.home.host_log).batches() for line in lines]
    assert [(one.grant, one.verdict) for one in written if one.kind == "grant"] == [(grant, "ended")]


def test_an_end_that_the_log_refuses_holds_all_the_same(asking: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """A yes needs its record first; taking it back does not (D25)."""
    ask = opened(asking)
    grant = asking.answer(ask, scope=Scope.BOTTLE).grant
    asking.settled()

    def refuses(*_: object) -> None:
        raise AuditFault("audit.cannot-write", "The log takes nothing.", "")

    monkeypatch.setattr(HostedLog, "append", refuses)
    asking.ask(RevokeGrant(grant, ME))
    assert asking.grant(grant).revoked
