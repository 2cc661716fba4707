"""Inbox in a real browser: by keyboard alone, on a phone, live, many at once."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Route, expect

from bot_bottle.keeper.messages.approvals import AnswerAsk
from bot_bottle.supervise.model import AskState, Scope
from dashboard_stage import busy, crowd, request
from web_stage import Bottle, Inside, Stage, until


def connected(page: Page) -> None:
    until(lambda: bool(page.evaluate("!!document.querySelector('#events')?._htmx?.sse?.reader")))


def told(bottle: Bottle) -> list[AnswerAsk]:
    return [one for one in bottle.said if isinstance(one, AnswerAsk)]


def decide(page: Page, key: str) -> None:
    """Presses it once the card has been in view for a moment: before, no answer counts."""
    until(lambda: seen(page))
    page.keyboard.press(key)


def seen(page: Page) -> bool:
    """Whether the card has been in view for long enough that an answer to it counts."""
    return bool(
        page.evaluate("document.documentElement.dataset.seen === document.querySelector('#card')?.dataset.ask")
    )


def sentence(page: Page) -> str:
    return page.locator("#sentence").inner_text()


def test_every_action_by_keyboard_alone(stage: Stage, web: Inside, person: Page) -> None:
    fix, deps, triage, _ = busy(stage)
    person.goto(f"{web.url}/")
    person.keyboard.press("g")
    person.keyboard.press("i")
    person.wait_for_url("**/inbox*")
    expect(person.locator("h1")).to_have_text("15 requests wait for you")
    assert "hooks.relaybin.dev" in sentence(person)
    expect(person.locator("pre", has_text="callback ok")).to_be_visible()
    person.keyboard.press("j")  # next
    expect(person.locator("#sentence")).to_contain_text("npm.jsr.io")
    person.keyboard.press("k")  # and back
    expect(person.locator("#sentence")).to_contain_text("hooks.relaybin.dev")
    person.keyboard.press("2")  # scope
    expect(person.locator("button.yes")).to_contain_text("Allow for this run", use_inner_text=True)
    person.keyboard.press("1")
    expect(person.locator("button.yes")).to_contain_text("Allow once", use_inner_text=True)
    decide(person, "a")  # allow
    expect(person.locator("h1")).to_have_text("14 requests wait for you")
    assert [(one.allow, one.scope) for one in told(fix)] == [(True, Scope.ONCE)]
    expect(person.locator("#sentence")).to_contain_text("npm.jsr.io")  # the next one, not answered by the same key
    decide(person, "d")  # deny: all twelve of the card
    expect(person.locator("h1")).to_have_text("Two requests wait for you")
    assert len(told(deps)) == 12
    assert not any(one.allow for one in told(deps))
    person.keyboard.press("/")  # filter
    person.keyboard.type("paste")
    person.keyboard.press("Enter")
    expect(person.locator("#sentence")).to_contain_text("paste.example")
    assert person.locator(".queue li").count() == 1
    until(lambda: seen(person))
    person.keyboard.press("?")
    expect(person.locator("#keys")).to_be_visible()
    person.keyboard.press("a")  # a sheet is open: the page below does not act
    person.keyboard.press("Escape")
    expect(person.locator("#keys")).to_be_hidden()
    assert len(told(fix)) == 1
    assert told(triage) == []


def test_tabs_grants_and_revocation_by_tab_and_enter(stage: Stage, web: Inside, person: Page) -> None:
    fix = busy(stage)[0]
    grant = stage.store.grants()[0]
    person.goto(f"{web.url}/inbox")
    person.get_by_role("link", name="Answered").focus()
    person.keyboard.press("Enter")
    person.wait_for_url("**tab=answered*")
    expect(person.locator("#sentence")).to_be_visible()
    button = person.get_by_role("button", name="Revoke")
    button.focus()
    person.keyboard.press("Enter")
    until(lambda: stage.store.grant(grant.id).revoked > 0)  # type: ignore[union-attr]
    assert fix.label == "fix-login-422"


def test_a_missed_one_gets_a_late_yes(stage: Stage, web: Inside, person: Page) -> None:
    busy(stage)
    person.goto(f"{web.url}/inbox?tab=missed")
    expect(person.locator("#card")).to_contain_text("missed: nobody answered in time")
    expect(person.locator(".deadline")).to_contain_text("A yes permits one more such request")
    assert person.locator("input[name=scope]").count() == 1
    decide(person, "a")
    until(lambda: any(one.retry for one in stage.store.grants()))


def test_always_shows_its_change_and_writes_it(stage: Stage, web: Inside, person: Page) -> None:
    bottle = stage.running("docs-typo")
    Path(bottle.leaf).with_name("child.md").write_text(f"---\nextends: {Path(bottle.leaf).stem}\n---\n")
    stage.ask(bottle, what=request("hooks.relaybin.dev", "/in", body=30, kind="application/json"))
    person.goto(f"{web.url}/inbox")
    person.keyboard.press("5")
    change = person.locator("pre.diff")
    expect(change).to_be_visible()
    expect(change.locator("ins").first).to_contain_text("+")
    expect(change).to_contain_text("hooks.relaybin.dev")
    expect(person.locator(".w-always .note")).to_have_text("Also holds for: child.")
    decide(person, "a")
    expect(person.get_by_role("status").filter(has_text="A rule was written to")).to_be_visible()
    assert "hooks.relaybin.dev" in Path(bottle.leaf).read_text()


def test_a_request_with_a_secret_may_be_let_through_once_only(stage: Stage, web: Inside, person: Page) -> None:
    bottle = stage.running("triage")
    stage.ask(bottle, what=request("sentry.example", "/api", "GET", secrets=("SENTRY_TOKEN",)))
    person.goto(f"{web.url}/inbox")
    assert person.locator("input[name=scope]").evaluate_all("all => all.map(one => one.value)") == ["once"]
    expect(person.locator(".wire")).to_contain_text("SENTRY_TOKEN goes along")


def test_an_ask_comes_into_the_open_page_and_goes_with_its_answer(stage: Stage, web: Inside, person: Page) -> None:
    """How soon is measured by `bench/approvals.py`."""
    bottle = stage.running("docs-typo")
    person.goto(f"{web.url}/inbox")
    expect(person.locator(".empty")).to_contain_text("No bottle asks for anything")
    connected(person)
    stage.ask(bottle)
    expect(person.locator("#sentence")).to_contain_text("hooks.example.net")
    expect(person.locator("#waiting")).to_contain_text("1")
    decide(person, "a")
    until(lambda: len(told(bottle)) == 1)
    expect(person.locator(".empty")).to_be_visible()


def test_an_answer_given_elsewhere_takes_the_card_away(stage: Stage, web: Inside, person: Page) -> None:
    bottle = stage.running("docs-typo")
    ask = stage.ask(bottle)
    person.goto(f"{web.url}/inbox")
    expect(person.locator("button.yes")).to_be_visible()
    connected(person)
    assert stage.store.settle(ask.id, ask.version, AskState.DENIED, time.time_ns())
    expect(person.locator("button.yes")).to_have_count(0)


def test_a_double_click_answers_one(stage: Stage, web: Inside, person: Page) -> None:
    """On a clock that stands still, so that a slow machine cannot make a double click of two clicks."""
    bottle = stage.running("docs-typo")
    for name in ("one.example", "two.example", "three.example"):
        stage.ask(bottle, what=request(name, "/", body=5))
    person.clock.install(time=time.time())
    person.clock.pause_at(time.time() + 1)
    person.goto(f"{web.url}/inbox")
    person.locator("button.yes").click()  # sooner than anybody can have read it: that does not count
    person.clock.run_for(500)
    assert seen(person)
    assert told(bottle) == []
    person.locator("button.yes").dblclick()
    until(lambda: person.clock.run_for(1) or person.locator("h1").inner_text() == "Two requests wait for you")
    person.locator("button.yes").click()  # the next card stands there, and nobody has read it either
    person.clock.run_for(500)
    assert seen(person)
    assert len(told(bottle)) == 1


def test_a_key_that_waited_for_a_busy_page_does_not_answer_the_next_card(
    stage: Stage, web: Inside, person: Page
) -> None:
    """What counts is when the person pressed: the page may come to it long after the next card has."""
    bottle = stage.running("docs-typo")
    for name in ("one.example", "two.example"):
        stage.ask(bottle, what=request(name, "/", body=5))
    person.goto(f"{web.url}/inbox")
    until(lambda: seen(person))
    person.evaluate(
        """() => document.addEventListener("htmx:after:swap", () => {
          console.log("busy");
          for (const end = performance.now() + 3000; performance.now() < end;) ;
        }, { once: true })"""
    )
    with person.expect_console_message(lambda said: said.text == "busy"):
        person.keyboard.press("a")
    person.keyboard.press("a")  # comes to the page when it has shown the next card
    expect(person.locator("h1")).to_have_text("One request waits for you")
    until(lambda: seen(person))
    assert len(told(bottle)) == 1


def test_what_is_chosen_and_typed_survives_what_comes_in(stage: Stage, web: Inside, person: Page) -> None:
    bottle = stage.running("docs-typo")
    stage.ask(bottle)
    person.goto(f"{web.url}/inbox")
    connected(person)
    person.keyboard.press("3")
    person.locator("#ends").select_option("3600")
    person.locator("#reason").fill("Known webhook")
    stage.ask(bottle, what=request("other.example", "/", body=5))
    expect(person.locator(".queue li")).to_have_count(2)
    assert person.locator("input[name=scope]:checked").input_value() == "bottle"
    assert person.locator("#reason").input_value() == "Known webhook"
    assert person.locator("#ends").input_value() == "3600"
    assert person.evaluate("document.activeElement.id") == "reason"


def test_on_a_phone_the_answer_is_under_the_thumb(stage: Stage, web: Inside, watched: Callable[..., Any]) -> None:
    fix = busy(stage)[0]
    with watched(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme="dark") as page:
        page.goto(f"{web.url}/inbox")
        for name in ("button.yes", "button.no"):
            box = page.locator(f".answer {name}").bounding_box()
            assert box is not None
            assert box["height"] >= 44
            assert 844 / 2 < box["y"] < 844 - box["height"] + 1
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator(".scopebtn").tap()
        page.get_by_label("This run").tap()
        page.locator(".sheet .done").tap()
        expect(page.locator(".scopebtn")).to_contain_text("this run", use_inner_text=True)
        until(lambda: seen(page))
        page.locator("button.yes").tap()
        until(lambda: len(told(fix)) == 1)
        assert told(fix)[0].scope is Scope.RUN


def test_an_empty_inbox_on_a_phone_leads_to_what_was_missed(
    stage: Stage, web: Inside, watched: Callable[..., Any]
) -> None:
    bottle = stage.running("docs-typo")
    stage.ask(bottle, AskState.EXPIRED)
    with watched(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as page:
        page.goto(f"{web.url}/inbox")
        page.get_by_role("button", name="Nothing waiting").tap()
        page.get_by_role("link", name="Missed").tap()
        page.wait_for_url("**tab=missed*")
        expect(page.locator("#card")).to_contain_text("missed: nobody answered in time")


def test_without_scripts_forms_and_links_do_it(stage: Stage, web: Inside, watched: Callable[..., Any]) -> None:
    fix = busy(stage)[0]
    with watched(java_script_enabled=False) as page:
        page.goto(f"{web.url}/inbox")
        page.locator(".queue li a").nth(1).click()
        assert "npm.jsr.io" in sentence(page)
        page.locator(".queue li a").nth(0).click()
        page.get_by_role("link", name="Show them").click()
        expect(page.locator("pre")).to_contain_text("callback ok")
        page.go_back()
        page.locator("button.yes").click()
        expect(page.locator("h1")).to_have_text("14 requests wait for you")
    assert [one.allow for one in told(fix)] == [True]


def test_five_hundred_asks(stage: Stage, web: Inside, person: Page) -> None:
    """The figures are bench/inbox's; here: all are counted, a page of them is there, the next ones come."""
    bottle = stage.running("swarm")
    crowd(stage, bottle, 500)
    person.goto(f"{web.url}/inbox")
    expect(person.locator("h1")).to_have_text("500 requests wait for you")
    assert person.locator(".queue li").count() == 50
    for number in range(3):
        decide(person, "a")
        expect(person.locator("h1")).to_have_text(f"{499 - number} requests wait for you")
    assert person.locator(".queue li").count() == 50
    person.keyboard.press("/")
    person.keyboard.type("h437")
    person.keyboard.press("Enter")
    expect(person.locator("#sentence")).to_contain_text("h437.example")


def test_single_keys_can_be_switched_off(stage: Stage, web: Inside, person: Page) -> None:
    bottle = stage.running("docs-typo")
    stage.ask(bottle)
    person.goto(f"{web.url}/inbox")
    person.keyboard.press("?")
    person.get_by_label("Single keys act on this page").uncheck()
    person.keyboard.press("Escape")
    person.keyboard.press("a")
    person.reload()
    person.keyboard.press("a")
    person.wait_for_timeout(200)
    assert told(bottle) == []


def test_d25_a_second_press_is_no_late_yes(stage: Stage, web: Inside, person: Page) -> None:
    """The program hangs up while the card is read: the first press is refused, and the second comes before anybody can
    have read what the card says now. On a clock that stands still."""
    bottle = stage.running("docs-typo")
    ask = stage.ask(bottle, what=request("one.example", "/", body=5))
    person.clock.install(time=time.time())
    person.clock.pause_at(time.time() + 1)
    person.route("**/events*", lambda route: route.abort())
    person.goto(f"{web.url}/inbox")
    until(lambda: person.clock.run_for(500) or seen(person))
    assert stage.store.settle(ask.id, ask.version, AskState.WITHDRAWN, time.time_ns())

    def slowly(route: Route) -> None:
        person.clock.run_for(1000)  # so that the second press is no double click
        route.continue_()

    person.route("**/inbox/answer", slowly)
    person.locator("button.yes").click()
    expect(person.get_by_role("alert")).to_contain_text("nothing was allowed")
    expect(person.locator("#card")).to_contain_text("gave up waiting")
    person.locator("button.yes").click()
    person.clock.run_for(1000)
    until(lambda: seen(person))
    assert stage.store.grants() == []
    person.locator("button.yes").click()
    until(lambda: person.clock.run_for(1) or bool(stage.store.grants()))
    assert [one.retry for one in stage.store.grants()] == [ask.request]
