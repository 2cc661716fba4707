"""A yes for bytes that were held, and who hung up while a person read (D25): at the page and at the API."""

import json
import re
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bot_bottle.supervise import rules
from bot_bottle.supervise.model import Ask, AskState
from web_stage import Answered, Inside, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        yield found


@pytest.fixture
def inside(stage: Stage) -> Iterator[Inside]:
    with Inside(stage) as found:
        yield found


class Person:
    """At the page, without scripts: what they send is what the card that they look at says."""

    def __init__(self, web: Inside) -> None:
        self.web = web
        self.headers = web.session()
        self.page = ""

    def looks(self, path: str = "/inbox") -> str:
        self.page = self.web.raw("GET", path, self.headers).text
        return self.page

    def says_yes(self, **more: str) -> Answered:
        """Sends the form of the card."""
        form = self.page[self.page.index('action="/inbox/answer"') :].partition("</form>")[0]
        fields = dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([^"]*)"', form))
        body = urllib.parse.urlencode({**fields, "scope": "once", "answer": "allow"}).encode()
        kind = {"content-type": "application/x-www-form-urlencoded", **more}
        answered = self.web.raw("POST", "/inbox/answer", self.headers | kind, body)
        self.page = answered.text
        return answered


def hangs_up(stage: Stage, ask: Ask, state: AskState) -> None:
    assert stage.store.settle(ask.id, ask.version, state, time.time_ns())


@pytest.mark.parametrize("state", [AskState.WITHDRAWN, AskState.ENDED, AskState.EXPIRED])
@pytest.mark.parametrize("scripts", [True, False])
def test_d25_a_form_about_held_bytes_opens_nothing_once_nobody_waits(
    stage: Stage, inside: Inside, state: AskState, scripts: bool
) -> None:
    person, ask = Person(inside), stage.ask(stage.running("one"))
    stage.ask(stage.running("two"))  # the card that would be the next
    assert "Exactly the bytes that are held" in person.looks(f"/inbox?ask={ask.id}")
    hangs_up(stage, ask, state)
    answered = person.says_yes(**({"hx-request": "true"} if scripts else {}))
    assert answered.status == (200 if scripts else 409)
    assert stage.store.grants() == [] and stage.store.ask(ask.id).state is state  # type: ignore[union-attr]
    # what the person sees now: why, and this ask as it stands
    assert "nobody waits any more, and nothing was allowed" in answered.text
    assert f'data-ask="{ask.id}" data-state="{state.value}"' in answered.text
    assert "A yes permits one more such request" in answered.text
    person.says_yes()  # knowing so
    (grant,) = stage.store.grants()
    assert grant.retry == (ask.scope if state is AskState.EXPIRED else ask.request)


def test_d25_without_the_rule_the_form_would_permit_another_request(
    stage: Stage, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rules, "_late_fault", lambda *_: None)
    person, ask = Person(inside), stage.ask(stage.running("one"))
    person.looks()
    hangs_up(stage, ask, AskState.EXPIRED)
    person.says_yes()
    assert [one.retry for one in stage.store.grants()] == [ask.scope]


def test_d25_the_api_says_that_a_yes_is_late_or_it_counts_for_nothing(stage: Stage, inside: Inside) -> None:
    ask = stage.ask(stage.running("one"))
    hangs_up(stage, ask, AskState.WITHDRAWN)
    person = inside.session()
    csrf = re.search(r'name="csrf" value="([0-9a-f]+)"', inside.raw("GET", "/settings", person).text)
    assert csrf
    person |= {"content-type": "application/json", "x-bot-bottle-csrf": csrf.group(1)}

    def answer(**more: Any) -> Answered:
        body = json.dumps({"request": ask.request, "allow": True, **more}).encode()
        return inside.raw("POST", f"/api/v1/asks/{ask.id}/answer", person, body)

    refused = answer()
    assert (refused.status, refused.json()["slug"]) == (409, "ask.late")
    assert stage.store.grants() == []
    assert answer(late=True).json()["grant"] == stage.store.grants()[0].id
