"""Now, Bottle and Settings in a real browser: what a person does there takes effect, by keyboard too; narrow and zoomed."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from bot_bottle.keeper.messages.control import FreezeBottle, Stop, ThawBottle
from dashboard_stage import busy
from web_stage import Bottle, Inside, Stage, until

PATHS = (
    "/", "/inbox", "/inbox?tab=missed", "/inbox?tab=answered", "/bottle/fix-login-422", "/live", "/reach", "/policy?bottle=shop",
    "/log", "/settings", "/no-such-page",
)  # fmt: skip


def connected(page: Page) -> None:
    """The stream is open: its first answer came, so every script runs."""
    until(lambda: bool(page.evaluate("!!document.querySelector('#events')?._htmx?.sse?.reader")))


def said(bottle: Bottle, kind: type) -> int:
    return sum(isinstance(one, kind) for one in bottle.said)


def test_now_says_what_runs_and_what_waits(stage: Stage, web: Inside, person: Page) -> None:
    busy(stage)
    person.goto(f"{web.url}/")
    expect(person.locator("h1")).to_have_text("Three bottles running, one frozen. 15 requests wait for you.")
    rows = person.locator("table.now tr[data-row]")
    expect(rows).to_have_count(4)
    expect(rows.first).to_contain_text("fix-login-422")
    expect(rows.first).to_contain_text("406")
    expect(rows.last).to_contain_text("Frozen")  # what waits comes first
    note = person.locator("tr.wait", has_text="npm.jsr.io")
    expect(note).to_have_count(1)  # twelve asks, one card
    expect(note).to_contain_text("read 12 times from npm.jsr.io")
    assert not re.search(r"\$\s?\d", person.locator("main").inner_text()), "no cost is known, so none is shown"
    until(lambda: person.locator("svg.spark rect").count() > 20)


def test_freeze_thaw_and_stop_by_keyboard(stage: Stage, web: Inside, person: Page) -> None:
    bottle = stage.running("docs-typo")
    person.goto(f"{web.url}/")
    connected(person)
    person.keyboard.press("j")
    person.keyboard.press("f")
    until(lambda: said(bottle, FreezeBottle) == 1)
    expect(person.locator("table.now")).to_contain_text("Thaw")
    connected(person)
    person.keyboard.press("j")
    person.keyboard.press("f")
    until(lambda: said(bottle, ThawBottle) == 1)
    expect(person.locator("table.now")).to_contain_text("Freeze")
    connected(person)
    person.keyboard.press("j")
    person.keyboard.press("Enter")
    person.wait_for_url("**/bottle/docs-typo")
    expect(person.locator("h1")).to_have_text("docs-typo")
    connected(person)
    person.keyboard.press("f")
    until(lambda: said(bottle, FreezeBottle) == 2)
    person.get_by_role("button", name="Stop", exact=True).click()
    expect(person.get_by_role("dialog", name="Stop docs-typo?")).to_be_visible()
    person.keyboard.press("Enter")
    until(lambda: said(bottle, Stop) == 1)


def test_panic_asks_first_and_then_freezes_all(stage: Stage, web: Inside, person: Page) -> None:
    bottles = [stage.running(f"one-{n}") for n in range(3)]
    person.goto(f"{web.url}/live")
    panic = person.locator("button.panic")
    panic.click()
    person.get_by_role("button", name="Cancel").click()
    assert not any(one.frozen for one in bottles)
    panic.focus()
    person.keyboard.press("Enter")
    expect(person.locator("#panic")).to_be_visible()
    expect(person.locator("#panic button.no")).to_be_focused()
    person.keyboard.press("Enter")
    until(lambda: all(one.frozen for one in bottles))
    assert [what for what, _, _ in web.starter.controls] == ["froze all"]


def test_a_bottle_appears_by_itself(stage: Stage, web: Inside, person: Page) -> None:
    person.goto(f"{web.url}/")
    expect(person.locator(".empty")).to_contain_text("Nothing runs")
    connected(person)
    stage.running("fresh")
    expect(person.locator("table.now")).to_contain_text("fresh")
    expect(person.locator("h1")).to_have_text("One bottle running.")


def test_what_cannot_be_done_says_why(stage: Stage, web: Inside, person: Page) -> None:
    """Here no `serve` stands behind the page."""
    stage.running("docs-typo")
    person.goto(f"{web.url}/")
    connected(person)
    person.keyboard.press("s")
    person.keyboard.type("Mend the build")
    person.keyboard.press("Enter")
    expect(person.get_by_role("alert")).to_contain_text("runs without bot-bottle serve")


def test_a_run_shows_its_time_hosts_log_and_origin(stage: Stage, web: Inside, person: Page) -> None:
    busy(stage)
    person.goto(f"{web.url}/bottle/fix-login-422")
    expect(person.locator("h1")).to_have_text("fix-login-422")
    assert person.locator("svg.four rect.allow").count() > 30
    assert person.locator("svg.four use.deny").count() > 3
    assert person.locator("svg.four use.held").count() == 2
    expect(person.locator("#hosts")).to_be_visible()
    expect(person.locator(".verified")).to_contain_text("Signed to record")
    expect(person.locator(".kv").last).to_contain_text("/work/site")
    person.locator(".note.held").first.get_by_role("link", name="Answer").click()
    person.wait_for_url("**/inbox?ask=*")


def test_an_ended_run_has_no_buttons_that_do_nothing(stage: Stage, web: Inside, person: Page) -> None:
    run = stage.ended("fix-login")
    person.goto(f"{web.url}/bottle/{run.run}")
    expect(person.locator("h1")).to_have_text("fix-login")
    assert person.locator("main button").count() == 0
    expect(person.locator(".verified")).to_contain_text("Complete")


def test_a_token_is_shown_once(web: Inside, person: Page) -> None:
    person.goto(f"{web.url}/settings")
    person.get_by_label("Name", exact=True).fill("ci")
    person.get_by_label("answer").check()
    person.get_by_role("button", name="New token").click()
    note = person.get_by_role("status").filter(has_text="never again")
    expect(note).to_be_visible()
    token = note.locator(".mono").inner_text().strip()
    person.goto(f"{web.url}/settings")
    assert token not in person.content()
    row = person.locator("tr", has_text="ci").last
    expect(row).to_contain_text("read, answer")
    row.get_by_role("button", name="Revoke").click()
    expect(person.locator("tr", has_text="ci").last).to_contain_text("revoked")


def test_signing_out_ends_the_session(web: Inside, person: Page) -> None:
    person.goto(f"{web.url}/settings")
    person.get_by_role("button", name="Sign out on this device").click()
    person.goto(f"{web.url}/inbox")
    assert person.locator("#inbox").count() == 0


@pytest.mark.parametrize("width", [320, 360, 820, 1100])
def test_no_page_is_wider_than_the_window(stage: Stage, web: Inside, watched: Callable[..., Any], width: int) -> None:
    """320 px is 1280 at 400 % (WCAG 1.4.10)."""
    busy(stage)
    with watched(viewport={"width": width, "height": 700}) as page:
        for path in PATHS:
            page.goto(f"{web.url}{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, path


def test_touch_targets_are_large(stage: Stage, web: Inside, watched: Callable[..., Any]) -> None:
    """44 px for buttons and fields on a phone (24 px are what WCAG 2.2 asks at least)."""
    busy(stage)
    small = """() => [...document.querySelectorAll("button, select, .btn, input:not([type=hidden], [type=radio], [type=checkbox])")]
      .filter(one => one.getClientRects().length && one.getBoundingClientRect().height < 43.5).map(one => one.outerHTML.slice(0, 120))"""
    with watched(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as page:
        for path in ("/", "/inbox", "/bottle/fix-login-422", "/settings"):
            page.goto(f"{web.url}{path}")
            assert page.evaluate(small) == [], path


def test_nothing_moves_where_no_movement_is_wanted(stage: Stage, web: Inside, watched: Callable[..., Any]) -> None:
    busy(stage)
    moving = "() => document.getAnimations().filter(one => one.effect.getTiming().iterations === Infinity).length"
    with watched(reduced_motion="reduce") as page:
        for path in ("/", "/inbox", "/live", "/log"):
            page.goto(f"{web.url}{path}")
            assert page.evaluate(moving) == 0, path


def test_what_has_the_focus_is_seen(stage: Stage, web: Inside, person: Page) -> None:
    """Every stop of the tab key on Inbox has a ring and is not under the header."""
    busy(stage)
    person.goto(f"{web.url}/inbox")
    ring = """() => { const one = document.activeElement; const box = one.getBoundingClientRect();
      const over = document.elementFromPoint(box.x + box.width / 2, Math.max(0, box.y + box.height / 2));
      return [getComputedStyle(one).boxShadow !== "none", !over || one.contains(over) || over.contains(one) || one.type === "radio", one.outerHTML.slice(0, 100)]; }"""
    for _ in range(40):
        person.keyboard.press("Tab")
        seen, free, what = person.evaluate(ring)
        if what.startswith("<body"):
            break
        assert seen, what
        assert free, what
