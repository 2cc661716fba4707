"""listGrants says what each yes opens now; the Answered tab says the same."""

import html
import json
import re
from typing import Any

import pytest

from bot_bottle.base.home import Home
from bot_bottle.bottles import control
from bot_bottle.cli.grants import line
from bot_bottle.keeper.messages.approvals import AnswerAsk, Answered
from bot_bottle.keeper.messages.control import Facts
from bot_bottle.supervise.model import Approver, AskKind, Scope
from bot_bottle.supervise.standing import State, Why
from bot_bottle.web.api.asks import GrantFilter, list_grants
from bot_bottle.web.desk import Desk
from web_stage import PERSON, POLICY, Inside, Stage, settle, wanted

NONE = (State.LIVE, Why.NONE)

USE = {"kind": "intent", "target": "https://hooks.example.net:443", "method": "POST", "verdict": "allow"}


@pytest.fixture
def desk(inside: Inside) -> Desk:
    return Desk(inside.web.office, Approver("device", "d1", "phone", "web"))


def test_each_grant_has_its_state_and_the_live_ones_come_first(stage: Stage, desk: Desk) -> None:
    one, two = stage.running("one"), stage.running("two")
    live, gone = stage.grant(one, Scope.RUN), stage.grant(two, Scope.RUN)
    two.end()
    items = list_grants(desk, GrantFilter()).items
    assert [(item.id, item.state, item.why) for item in items] == [(live.id, "live", ""), (gone.id, "ended", "run")]
    assert [item.id for item in list_grants(desk, GrantFilter(live=True)).items] == [live.id]


def test_only_keepers_for_which_there_is_a_yes_are_asked(
    stage: Stage, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that hangs holds up nobody who looks at the yeses of others."""
    stage.grant(stage.running("one"), Scope.RUN)
    stage.running("hung")
    asked: list[str] = []
    right = control.ask

    def ask(home: Home, label: str, *reach: Any) -> Facts:
        asked.append(label)
        return right(home, label, *reach)

    monkeypatch.setattr(control, "ask", ask)
    assert [item.state for item in list_grants(desk, GrantFilter()).items] == ["live"]
    assert asked == ["one"]


def test_how_often_a_lasting_yes_was_used_is_counted_from_the_log(stage: Stage, inside: Inside) -> None:
    bottle = stage.running("one")
    used, fresh = stage.grant(bottle, Scope.RUN), stage.grant(bottle, Scope.BOTTLE)
    for _ in range(4):
        bottle.record(**USE, ask=used.ask, grant=used.id, approver="os:ann")
        bottle.record(**(USE | {"kind": "outcome"}), ask=used.ask, grant=used.id, approver="os:ann")
    found = json.loads(inside.raw("GET", "/api/v1/grants", inside.session()).body)["items"]
    assert {one["id"]: one["used"] for one in found} == {used.id: 4, fresh.id: 0}  # said also where it is none
    page = inside.raw("GET", "/inbox?tab=answered", inside.session()).text
    assert '<td class="r" data-l="Used"><span class="num">4</span>' in page


def test_a_grant_for_a_path_and_below_says_so_everywhere(stage: Stage, inside: Inside) -> None:
    bottle = stage.running("one")
    what = wanted(path="/z", method="", methods=("GET", "POST"), body_bytes=0)
    asks = [stage.ask(bottle, what=what, kind=AskKind.ACCESS) for _ in range(2)]
    order = AnswerAsk(asks[0].id, asks[0].request, True, PERSON, Scope.RUN)
    reply = settle(stage.store, order, POLICY, "")
    assert isinstance(reply, Answered), reply
    given, exact = stage.store.grant(reply.grant), stage.grant(bottle, Scope.RUN)
    assert given is not None
    now = stage.store.grants()[0].given
    assert "/z and below" in line(given, now, NONE) and "/z*" not in line(given, now, NONE)
    assert f"{exact.wanted.path} and below" not in line(exact, now, NONE)
    for path in ("/inbox?tab=answered", f"/inbox?ask={asks[1].id}", "/bottle/one"):
        page = html.unescape(re.sub(r"<[^>]*>", "", inside.raw("GET", path, inside.session()).text))
        assert "/z and below" in page.replace("\N{NO-BREAK SPACE}", " "), path
        assert f"{exact.wanted.path} and below" not in page.replace("\N{NO-BREAK SPACE}", " "), path
    found = json.loads(inside.raw("GET", "/api/v1/asks", inside.session()).body)["items"]
    assert {one["id"]: one["request_line"] for one in found}[asks[1].id].endswith("/z and below")
