"""What a yes still permits, under the Answered tab: its state in words, and nothing outside a phone's screen."""

from collections.abc import Callable
from typing import Any

from playwright.sync_api import expect

from bot_bottle.supervise.model import Scope
from web_stage import Inside, Stage


def test_each_yes_says_what_it_opens_now_and_fits_a_phone(
    stage: Stage, web: Inside, watched: Callable[..., Any]
) -> None:
    one, two = stage.running("fix-login"), stage.running("docs")
    stage.grant(one, Scope.RUN)
    stage.grant(two, Scope.RUN)
    two.end()
    with watched(viewport={"width": 390, "height": 844}) as page:
        page.goto(f"{web.url}/inbox?tab=answered")
        rows = page.locator("section[aria-labelledby=grants] tbody tr")
        expect(rows).to_have_count(2)
        expect(rows.nth(0)).to_contain_text("live")
        expect(rows.nth(1)).to_contain_text("ended, its run is over")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
