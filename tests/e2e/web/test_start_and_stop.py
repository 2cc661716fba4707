"""Starting and ending bottles in a real browser: a slow start is shown as what it is, an end is asked about first."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bot_bottle.base.errors import UsageFault
from bot_bottle.keeper.messages.control import LearnPolicy, Stop
from bot_bottle.web.wish import StartWish
from web_stage import Bottle, Inside, Stage, until


class Slow:
    """A starter whose starts end when they are told to, with this bottle, or with this fault."""

    def __init__(self) -> None:
        self.begun: list[StartWish] = []
        self.go = threading.Event()
        self.fault: UsageFault | None = None

    def start(self, request: StartWish) -> str:
        self.begun.append(request)
        assert self.go.wait(120)
        if self.fault is not None:
            raise self.fault
        return "docs-typo"


@pytest.fixture
def slow(web: Inside, monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    made = Slow()
    monkeypatch.setattr(web.starter, "start", made.start)
    yield made
    made.go.set()


def wish(page: Page, web: Inside) -> None:
    page.goto(f"{web.url}/")
    page.get_by_label("Task").fill("Mend the build")
    page.get_by_label("Project").fill("/work/site")
    page.get_by_role("button", name="Start a bottle").click()


def test_a_slow_start_is_told_as_under_way_and_its_page_becomes_the_bottles(
    stage: Stage, web: Inside, person: Page, slow: Slow
) -> None:
    wish(person, web)
    person.wait_for_url("**/start/*")
    place = person.url
    expect(person.locator("h1")).to_contain_text("Starting")
    expect(person.locator("main")).to_contain_text("/work/site")
    expect(person.get_by_role("alert")).to_have_count(0)
    wish(person, web)  # the person goes back and clicks again
    person.wait_for_url("**/start/*")
    assert person.url == place and len(slow.begun) == 1
    person.get_by_role("link", name="Back to Now").click()
    person.get_by_role("link", name="How it goes").click()
    person.wait_for_url("**/start/*")
    stage.running("docs-typo")
    slow.go.set()
    person.wait_for_url("**/bottle/docs-typo")


def test_a_slow_start_that_fails_says_why_where_the_person_waits(web: Inside, person: Page, slow: Slow) -> None:
    wish(person, web)
    person.wait_for_url("**/start/*")
    slow.fault = UsageFault("workspace.missing", "There is no directory /work/site.", "Choose another.")
    slow.go.set()
    expect(person.get_by_role("alert")).to_contain_text("There is no directory /work/site.")
    expect(person.locator("h1")).to_contain_text("was not started")


def test_it_needs_no_script(stage: Stage, web: Inside, watched: Callable[..., Any], slow: Slow) -> None:
    with watched(java_script_enabled=False) as page:
        wish(page, web)
        page.wait_for_url("**/start/*")
        stage.running("docs-typo")
        slow.go.set()
        page.wait_for_url("**/bottle/docs-typo")  # the page loads itself again


def told(bottle: Bottle) -> int:
    return sum(isinstance(one, Stop) for one in bottle.said)


def test_stop_on_now_asks_first_by_keyboard(stage: Stage, web: Inside, person: Page) -> None:
    bottle, other = stage.running("docs-typo"), stage.running("other")
    person.goto(f"{web.url}/")
    button = person.get_by_role("button", name="Stop docs-typo")
    sheet = person.get_by_role("dialog", name="Stop docs-typo?")
    button.focus()
    person.keyboard.press("Enter")
    expect(sheet).to_be_visible()
    expect(sheet.get_by_role("button", name="Stop docs-typo")).to_be_focused()
    person.keyboard.press("Escape")
    expect(sheet).to_be_hidden()
    button.focus()
    person.keyboard.press("Enter")
    person.keyboard.press("Tab")
    person.keyboard.press("Enter")  # Cancel
    expect(sheet).to_be_hidden()
    assert told(bottle) == 0
    button.focus()
    person.keyboard.press("Enter")
    expect(sheet.get_by_role("button", name="Stop docs-typo")).to_be_focused()
    person.keyboard.press("Enter")
    until(lambda: told(bottle) == 1)
    assert told(other) == 0


def test_what_is_asked_stays_while_the_page_comes_up_to_date(stage: Stage, web: Inside, person: Page) -> None:
    bottle = stage.running("docs-typo")
    person.goto(f"{web.url}/")
    until(lambda: bool(person.evaluate("!!document.querySelector('#events')?._htmx?.sse?.reader")))
    person.get_by_role("button", name="Stop docs-typo").click()
    stage.running("fresh")
    expect(person.locator("table.now")).to_contain_text("fresh")
    sheet = person.get_by_role("dialog", name="Stop docs-typo?")
    expect(sheet).to_be_visible()
    sheet.get_by_role("button", name="Stop docs-typo").click()
    until(lambda: told(bottle) == 1)


@pytest.mark.parametrize("scripts", [True, False])
def test_stop_and_kill_of_a_bottles_page_ask_first(
    stage: Stage, web: Inside, watched: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, scripts: bool
) -> None:
    bottle, killed = stage.running("docs-typo"), list[str]()
    monkeypatch.setattr(web.starter, "kill", killed.append)
    with watched(java_script_enabled=scripts) as page:
        page.goto(f"{web.url}/bottle/docs-typo")
        page.get_by_role("button", name="Kill", exact=True).click()
        sheet = page.get_by_role("dialog", name="Kill docs-typo?")
        expect(sheet).to_be_visible()
        assert not killed
        sheet.get_by_role("button", name="Kill docs-typo").click()
        until(lambda: killed == ["docs-typo"])
        page.wait_for_url("**/bottle/docs-typo")
        page.get_by_role("button", name="Stop", exact=True).click()
        sheet = page.get_by_role("dialog", name="Stop docs-typo?")
        expect(sheet).to_be_visible()
        assert told(bottle) == 0
        sheet.get_by_role("button", name="Stop docs-typo").click()
        until(lambda: told(bottle) == 1)


def test_a_learn_mode_is_begun_seen_on_now_and_ended_by_keyboard(stage: Stage, web: Inside, person: Page) -> None:
    bottle = stage.running("docs-typo")
    person.goto(f"{web.url}/bottle/docs-typo")
    person.get_by_role("button", name="Learn", exact=True).press("Enter")
    person.get_by_label("For", exact=True).select_option("1800")
    person.locator("#learn-docs-typo button.main").press("Enter")
    expect(person.get_by_text("This bottle learns.")).to_be_visible()
    expect(person.get_by_role("button", name="Learn", exact=True)).to_have_count(0)
    person.goto(f"{web.url}/")
    expect(person.get_by_text("docs-typo learns.")).to_be_visible()
    person.get_by_role("button", name="End now").press("Enter")
    expect(person.get_by_text("docs-typo learns.")).to_have_count(0)
    assert [one.seconds for one in bottle.said if isinstance(one, LearnPolicy)] == [1800, 0]
