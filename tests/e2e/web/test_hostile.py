"""Hostile content on Now, Inbox, Bottle and Settings is text (B73), and nothing acts that has not the page's nonce."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bot_bottle.web import page as pages
from dashboard_stage import strangers
from records_stage import HOSTILE, SCRIPT
from web_stage import Inside, Stage, until

UNSEEN = set("\u202e\u2066\u200b\x1b\ufeff\u00ad\u2028\x07")
PATHS = ("/", "/inbox", "/inbox?tab=missed", "/bottle/strangers", "/settings")


def test_b73_every_page_shows_it_as_text(stage: Stage, web: Inside, person: Page) -> None:
    strangers(stage)
    for path in PATHS:
        person.goto(f"{web.url}{path}")
        person.locator("main h1").wait_for()
        assert person.title().endswith("bot-bottle"), path
        assert person.locator("main script, main img[src=x], main [onerror]").count() == 0, path
        assert not set(person.locator("body").inner_text()) & UNSEEN, path
        assert person.evaluate("document.documentElement.scrollWidth") <= 1280, path
    person.goto(f"{web.url}/inbox")
    assert "owned" in person.locator("#inbox").inner_text()


def test_b73_every_card_shows_it_as_text(stage: Stage, web: Inside, person: Page) -> None:
    """Each hostile ask, its held bytes and the agent's words, opened one after the other."""
    strangers(stage)
    person.goto(f"{web.url}/inbox")
    seen: set[str] = set()
    while True:
        ask = str(person.locator("#card").get_attribute("data-ask"))
        seen.add(ask)
        expect(person.locator(".wire pre").first).to_be_visible()
        text = person.locator("#inbox").inner_text()
        assert not set(text) & UNSEEN
        assert len(text) < 100_000
        assert person.title().endswith("bot-bottle")
        step = person.locator("[data-next]")
        if not step.count():
            break
        person.goto(f"{web.url}{step.get_attribute('href')}")
    assert len(seen) == len(HOSTILE)


def test_b73_it_would_run_without_the_defences(
    stage: Stage, web: Inside, person: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Positive control: with escaping off the markup reaches the page, and the content policy is what stops it then."""
    strangers(stage)
    monkeypatch.setattr(pages.environment(), "autoescape", False)
    pages.environment.cache_clear()
    real = pages.jinja2.Environment
    monkeypatch.setattr(pages.jinja2, "Environment", lambda **more: real(**{**more, "autoescape": False}))
    try:
        person.goto(f"{web.url}/inbox?q=onerror")
        person.goto(f"{web.url}/bottle/strangers")
        assert person.locator("main img[src=x]").count() > 0
        assert "owned" not in person.title()
        until(lambda: bool(web.reports))
        web.forget_reports()
    finally:
        monkeypatch.undo()
        pages.environment.cache_clear()


def test_a_host_of_a_megabyte_is_cut(stage: Stage, web: Inside, person: Page) -> None:
    from bot_bottle.policy.verdict import Target
    from bot_bottle.supervise.model import Wanted

    bottle = stage.running("long")
    stage.ask(
        bottle,
        what=Wanted(Target("https", "a" * 1_000_000, 443), "POST", "/" + "b" * 1_000_000),
        says="c" * 1_000_000,
    )
    for path in ("/", "/inbox", "/bottle/long"):
        person.goto(f"{web.url}{path}")
        assert len(person.content()) < 200_000, path
        assert person.evaluate("document.documentElement.scrollWidth") <= 1280, path


def test_the_gate_is_there_before_htmx_acts(stage: Stage, web: Inside, person: Page) -> None:
    """However late its files come: htmx without hx-csp would act on what has no nonce, and the page would stand still."""
    bottle = stage.running("docs-typo")
    held: list[Any] = []
    person.route("**/assets/hx-csp.js", lambda route: held.append(route))
    person.goto(f"{web.url}/inbox", wait_until="commit")
    until(lambda: (person.wait_for_timeout(50), bool(held))[1])
    person.wait_for_timeout(300)
    held[0].continue_()
    until(lambda: bool(person.evaluate("!!document.querySelector('#events')?._htmx?.sse?.reader")))
    stage.ask(bottle)
    expect(person.locator("#sentence")).to_be_visible()


def test_markup_without_the_nonce_does_nothing(stage: Stage, web: Inside, person: Page) -> None:
    """What an injection could add at most: an element with hx-* and no nonce loses them."""
    stage.running("docs-typo")
    person.goto(f"{web.url}/inbox")
    asked: list[str] = []
    person.on("request", lambda request: asked.append(request.url))
    person.evaluate(
        """() => {
          const button = document.createElement("button");
          button.id = "planted";
          button.setAttribute("hx-post", "/freeze-all");
          document.querySelector("main").append(button);
          htmx.process(button);
        }"""
    )
    assert person.locator("#planted").get_attribute("hx-post") is None
    person.locator("#planted").click()
    person.wait_for_timeout(200)
    assert not any("freeze-all" in url for url in asked)


def test_script_text_of_a_task_is_a_task(stage: Stage, web: Inside, watched: Callable[..., Any]) -> None:
    strangers(stage)
    with watched(viewport={"width": 360, "height": 700}) as page:
        page.goto(f"{web.url}/")
        expect(page.locator(".task").first).to_contain_text(SCRIPT[:20])
        for path in PATHS:
            page.goto(f"{web.url}{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path
