"""The desk with real sockets, leases and stores; keepers are stand-ins that answer by the real rules."""

import time
from typing import Any

import pytest

from bot_bottle.base.errors import BottleError, HostFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import control
from bot_bottle.keeper.messages.approvals import AnswerAsk, RefreshGrants, RevokeGrant
from bot_bottle.keeper.messages.control import FreezeBottle
from bot_bottle.supervise.model import Approver, AskState, Scope
from bot_bottle.web.desk import Desk
from bot_bottle.web.wish import StartWish
from web_stage import Inside, Stage, wanted

PHONE = Approver("device", "d1", "phone", "web")


@pytest.fixture
def desk(inside: Inside) -> Desk:
    return Desk(inside.web.office, PHONE)


def test_an_answer_goes_to_the_keeper_of_its_bottle_in_the_persons_name(stage: Stage, desk: Desk) -> None:
    bottle, other = stage.running("one"), stage.running("two")
    ask = stage.ask(bottle)
    given = desk.answer(ask.id, ask.request, True, Scope.RUN, seconds=60, reason="fine")
    assert given.state is AskState.ALLOWED and given.grant
    assert [type(one) for one in bottle.said] == [AnswerAsk]
    assert [type(one) for one in other.said] == [RefreshGrants]  # so that it knows before its next tick
    settled = desk.approvals().ask(ask.id)
    assert settled is not None and settled.state is AskState.ALLOWED
    assert desk.approvals().answers(ask.id)[0].approver == PHONE


def test_what_a_keeper_refuses_is_raised(stage: Stage, desk: Desk) -> None:
    bottle = stage.running("one")
    ask = stage.ask(bottle)
    with pytest.raises(UsageFault) as refused:
        desk.answer(ask.id, "0" * 64, True)
    assert refused.value.slug.startswith("ask.")
    desk.answer(ask.id, ask.request, False)
    with pytest.raises(UsageFault):
        desk.answer(ask.id, ask.request, True)
    with pytest.raises(UsageFault, match="no such ask"):
        desk.answer("nothing", "0" * 64, True)


def test_an_ask_of_an_ended_bottle_goes_to_the_warm_keeper(stage: Stage, desk: Desk) -> None:
    identity = stage.ended("gone")
    ask = stage.ask(identity, AskState.ENDED)
    with pytest.raises(UsageFault, match="without bot-bottle serve"):  # there is none here
        desk.answer(ask.id, ask.request, True)
    assert not desk.show(ask.id).held
    again = stage.running("gone")  # a new run under the same label is another bottle
    with pytest.raises(UsageFault, match="without bot-bottle serve"):
        desk.answer(ask.id, ask.request, True)
    assert again.said == []


def test_the_held_bytes_come_from_the_keeper(stage: Stage, desk: Desk) -> None:
    ask = stage.ask(stage.running("one"), body=b"exactly these")
    shown = desk.show(ask.id)
    assert shown.held and shown.body == b"exactly these" and shown.size == 13 and b"hooks.example.net" in shown.head


def test_revoking_tells_every_keeper(stage: Stage, desk: Desk) -> None:
    one, two = stage.running("one"), stage.running("two")
    grant = stage.grant(one)
    desk.revoke(grant.id)
    said = [type(message) for bottle in (one, two) for message in bottle.said]
    assert sorted(kind.__name__ for kind in said) == ["RefreshGrants", "RevokeGrant"]
    found = desk.approvals().grant(grant.id)
    assert found is not None and found.revoked and RevokeGrant in said
    with pytest.raises(UsageFault, match="no such grant"):
        desk.revoke("nothing")


def test_a_keeper_that_hangs_keeps_no_grant_alive(stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    one, grant = stage.running("one"), stage.grant(stage.running("two"))
    right = control.exchange

    def hung(home: Home, label: str, message: Any, *by: Any) -> Any:
        if label == one.label:
            raise HostFault("keeper.unreachable", "It does not answer.")
        return right(home, label, message, *by)

    monkeypatch.setattr(control, "exchange", hung)
    desk.revoke(grant.id)
    found = desk.approvals().grant(grant.id)
    assert found is not None and found.revoked


def test_running_bottles_with_what_their_keepers_know(stage: Stage, desk: Desk) -> None:
    stage.running("one")
    dead = stage.running("two")
    dead.end()
    ((held, facts),) = desk.running()
    assert held.label == "one" and facts is not None and facts.counters.allowed == 12


def test_freeze_all_reaches_slow_keepers_at_the_same_time_and_is_recorded(
    stage: Stage, desk: Desk, inside: Inside
) -> None:
    bottles = [stage.running(f"b{number}") for number in range(4)]
    for bottle in bottles:
        bottle.delay = 2.0
    begun = time.monotonic()
    assert desk.freeze_all() == {f"b{number}": "" for number in range(4)}
    assert time.monotonic() - begun < 7.5  # one after another is eight
    assert all(isinstance(bottle.said[0], FreezeBottle) for bottle in bottles)
    assert inside.starter.controls[0][:2] == ("froze all", "device:d1")


def test_freeze_all_happens_also_where_it_cannot_be_recorded(
    stage: Stage, desk: Desk, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    bottle = stage.running("one")

    def silent(*_: object) -> None:
        raise BottleError("serve.silent", "no answer")

    monkeypatch.setattr(inside.starter, "control", silent)
    results = desk.freeze_all()
    assert bottle.frozen and "not recorded" in results[""]


def test_stop_thaw_and_unknown_labels(stage: Stage, desk: Desk) -> None:
    bottle = stage.running("one")
    desk.freeze("one")
    assert bottle.frozen == "asked by phone"
    desk.thaw("one")
    assert not bottle.frozen
    desk.stop("one")
    for act in (desk.freeze, desk.stop, desk.kill):
        with pytest.raises(UsageFault):
            act("nobody")


def test_a_home_without_any_ask_reads_as_empty(stage: Stage, inside: Inside, desk: Desk) -> None:
    import os

    stage.store.close()
    os.unlink(stage.home.approvals)
    assert desk.approvals().grants() == [] and desk.approvals().changes() == 0
    with pytest.raises(UsageFault):
        desk.start(StartWish(agent="claude")).outcome(60)
    from bot_bottle.supervise.store import SqliteStore

    stage.store = SqliteStore(stage.home.approvals)
    assert type(desk.approvals()).__name__ == "SqliteReader"  # found once it is there


def test_what_many_ask_at_once_is_made_once(inside: Inside) -> None:
    made: list[int] = []
    for _ in range(5):
        inside.web.office.remembered("x", 60, lambda: made.append(1))
    assert len(made) == 1
    inside.web.office.remembered("x", 0, lambda: made.append(1))
    assert len(made) == 2


def test_settings_with_problems_say_all_of_them(inside: Inside, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    from bot_bottle.api.settings import SettingsFault

    assert desk.settings().retention.days == 0
    monkeypatch.setattr(type(inside.starter), "settings", lambda self: "[retention]\ndays = -1\n[serv]\nport = 1\n")
    with pytest.raises(SettingsFault) as found:
        desk.settings()
    assert len(found.value.problems) == 2
    page = inside.raw("GET", "/settings", inside.session()).text
    assert (
        "What it said before goes on" in page and "Nobody is told" not in page and "Only on this machine" not in page
    )
    inside_home = f'[sink.x]\nkind = "file"\npath = "{desk.home.root}/keys/x"\n'
    monkeypatch.setattr(type(inside.starter), "settings", lambda self: inside_home)
    with pytest.raises(SettingsFault, match="folder of the home"):
        desk.settings()


def test_always_writes_the_rule_that_was_shown_into_the_bottle_file(stage: Stage, desk: Desk) -> None:
    from pathlib import Path

    bottle = stage.running("one")
    ask = stage.ask(bottle, what=wanted("api.example.com", "/v1"))
    shown = desk.propose(ask.id)
    assert "+" in shown.diff and "api.example.com" in shown.diff and shown.path == bottle.leaf
    before = Path(bottle.leaf).read_text()
    with pytest.raises(BottleError, match="changed"):
        desk.answer(ask.id, ask.request, True, Scope.ALWAYS, shown="0" * 64)
    given = desk.answer(ask.id, ask.request, True, Scope.ALWAYS, shown=shown.before)
    assert given.wrote == bottle.leaf
    after = Path(bottle.leaf).read_text()
    assert after != before and "# what the site may reach" in after and "api.example.com" in after


def test_a_learn_mode_is_the_keepers_to_begin(stage: Stage, desk: Desk) -> None:
    bottle = stage.running("one")
    desk.learn("one", 60)
    ((_, facts),) = desk.running()
    assert facts is not None and facts.learn_until == bottle.learn_until > time.time_ns()
