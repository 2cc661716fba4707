"""Starting and ending bottles in a real browser: a slow start is shown as what it is, an end is asked about first."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bot_bottle.api.request import Request
from bot_bottle.base.errors import UsageFault
from web_stage import Inside, Stage


class Slow:
    """A starter whose starts end when they are told to, with this bottle, or with this fault."""

    def __init__(self) -> None:
        self.begun: list[Request] = []
        self.go = threading.Event()
        self.fault: UsageFault | None = None

    def start(self, request: Request) -> str:
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
