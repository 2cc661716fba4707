"""web.card: what a card says beside its sentence, from what the logs hold."""

from typing import Any

import pytest

from bot_bottle.supervise.cards import cards
from bot_bottle.supervise.model import Ask, AskState
from bot_bottle.web.card import full
from bot_bottle.web.desk import Desk
from web_stage import PERSON, Inside, Stage, wanted

HOOK = {"target": "https://hooks.example.net:443", "method": "POST", "path": "/in"}


@pytest.fixture
def desk(inside: Inside) -> Desk:
    return Desk(inside.web.office, PERSON)


def left(number: int = 0, **more: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The two records of a request that was allowed."""
    said = {**HOOK, "verdict": "allow", "rule": "web/hooks", **({"request": number} if number else {}), **more}
    return {"kind": "intent", **said}, {"kind": "outcome", "status": 200, "address": "203.0.113.7:443", **said}


def refused(number: int = 0, **more: Any) -> dict[str, Any]:
    given = {"request": number} if number else {}
    return {"kind": "denied", **HOOK, "verdict": "deny", "reason": "no-route", **given, **more}


def also(desk: Desk, *asks: Ask) -> str:
    assert desk.office.watch.fresh()
    (card,) = cards(list(asks), lambda _: False)
    return full(desk, card).also


def test_what_left_in_the_past_counts_once_a_request(stage: Stage, desk: Desk) -> None:
    stage.ended("before", (*left(), *left(), refused(), *left(path="/other")))
    ask = stage.ask(stage.running("now"), what=wanted(path="/in"))
    assert also(desk, ask) == "Would also have allowed 3 past requests, 1 of which did not leave."


def test_what_the_card_itself_left_behind_is_not_the_past(stage: Stage, desk: Desk) -> None:
    bottle = stage.running("now")
    asks = [stage.ask(bottle, AskState.EXPIRED, what=wanted(path="/in")) for _ in range(2)]
    for ask in asks:
        bottle.record(**refused(ask.number, reason="ask.expired", ask=ask.id))
    assert also(desk, *asks) == "No past request is like it."
    stage.ended("before", (refused(asks[0].number),))  # the same number in another run is another request
    assert also(desk, *asks) == "Would also have allowed 1 past request, 1 of which did not leave."
