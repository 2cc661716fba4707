"""Reach in a real browser: any question in three clicks, the picture, paths, first-seen hosts, two runs compared."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bot_bottle.egress.messages import Identity
from records_stage import chromium, denied, hostile, signed_in, traffic
from web_stage import Inside, Stage


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        yield found


@pytest.fixture
def runs(stage: Stage) -> list[Identity]:
    older = stage.ended("fix-login-417", rows=traffic(60, 2), ago=9000)
    newer = stage.ended(
        "fix-login-422", rows=(*traffic(100, 1), denied("169.254.169.254", "/latest/meta-data/")), ago=600
    )
    return [older, newer]


@pytest.fixture
def web(stage: Stage, runs: list[Identity]) -> Iterator[Inside]:
    with Inside(stage) as found:
        yield found


@pytest.fixture
def page(browser: Browser, web: Inside) -> Iterator[Page]:
    with signed_in(browser, web) as found:
        yield found


def test_what_did_it_reach_in_three_clicks(page: Page, web: Inside) -> None:
    page.goto(f"{web.url}/")
    page.locator("nav.tabs").get_by_role("link", name="Reach").click()  # 1: the newest run answers at once
    expect(page.get_by_label("Subject")).to_have_value("run:" + page.get_by_label("Subject").input_value()[4:])
    expect(page.locator("h1")).to_contain_text("What did")
    expect(page.get_by_label("Subject").locator("option:checked")).to_have_text("fix-login-422")
    page.get_by_label("Subject").select_option("agent:claude")  # 2
    page.wait_for_url("**/reach?of=agent%3Aclaude*")
    page.locator("tr[data-row] a", has_text="npm.acme.example").click()  # 3
    expect(page.locator("tr.paths")).to_contain_text("/@playwright/test")


def test_the_door_and_the_table_say_the_same(page: Page, web: Inside, runs: list[Identity]) -> None:
    page.goto(f"{web.url}/reach?of=run:{runs[1].run}")
    door = page.locator(".door li")
    expect(door.filter(has_text="169.254.169.254")).to_contain_text("denied")
    expect(door.filter(has_text="169.254.169.254")).to_contain_text("nothing")
    expect(door.filter(has_text="hooks.example.net")).to_contain_text("held")
    assert page.locator(".door path.ribbon").count() == door.count() == 8
    stopped = page.locator(".door path.ribbon.deny, .door path.ribbon.held").count()
    assert page.locator(".door path.stop").count() == stopped == 3
    row = page.locator("tr[data-row]", has_text="api.model.example")
    expect(row).to_contain_text("MODEL_KEY")
    expect(row.locator(".v")).to_have_text("Allow")
    assert row.locator("svg.strip rect").count() > 5


def test_it_says_to_which_checkpoint_the_log_is_signed(page: Page, web: Inside, runs: list[Identity]) -> None:
    page.goto(f"{web.url}/reach?of=run:{runs[1].run}")
    expect(page.locator(".head")).to_contain_text("The log behind this page is signed to checkpoint")
    expect(page.locator(".head")).to_contain_text("complete")


def test_a_host_that_was_reviewed_is_no_longer_new(page: Page, web: Inside, runs: list[Identity]) -> None:
    page.goto(f"{web.url}/reach?of=run:{runs[1].run}")
    new = page.locator("section", has=page.locator("#new"))
    expect(new).to_contain_text("169.254.169.254")
    new.get_by_role("button", name="Mark reviewed 169.254.169.254").click()
    expect(page.locator("section", has=page.locator("#new"))).not_to_contain_text("169.254.169.254")
    page.goto(f"{web.url}/reach?of=everything:all&in=all")
    assert "169.254.169.254" in page.locator("table").first.inner_text()


def test_two_runs_side_by_side(page: Page, web: Inside, runs: list[Identity]) -> None:
    page.goto(f"{web.url}/reach?of=run:{runs[1].run}")
    page.get_by_label("Second run").select_option(runs[0].run)
    page.get_by_role("button", name="Compare").click()
    table = page.locator("section", has=page.locator("#cmp")).locator("table")
    expect(table.locator("tr", has_text="169.254.169.254")).to_contain_text("new")
    expect(page.locator("section", has=page.locator("#cmp"))).to_contain_text("With fix-login-417")


def test_by_keyboard(page: Page, web: Inside, runs: list[Identity]) -> None:
    page.goto(f"{web.url}/reach?of=run:{runs[1].run}")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.locator("tr.paths")).not_to_have_count(0)
    page.wait_for_load_state()
    page.keyboard.press("/")
    expect(page.get_by_label("Subject")).to_be_focused()


def test_nothing_was_reached_yet(browser: Browser, tmp_path: Path) -> None:
    with Stage(tmp_path) as empty, Inside(empty) as web, signed_in(browser, web) as page:
        page.goto(f"{web.url}/reach")
        expect(page.locator(".empty")).to_contain_text("No run in the logs")
        page.goto(f"{web.url}/reach?of=agent:nobody")
        expect(page.locator(".empty")).to_contain_text("Nothing was reached")


def test_hostile_hosts_paths_and_secrets_are_text(page: Page, web: Inside, stage: Stage) -> None:
    """B73."""
    bad = stage.ended("bad-run", rows=(*hostile(), *hostile()), ago=100)
    page.goto(f"{web.url}/reach?of=run:{bad.run}")
    expect(page.locator(".door")).to_contain_text("<script>document.title='owned'<")
    for number in range(page.locator("tr[data-row]").count()):
        page.goto(f"{web.url}/reach?of=run:{bad.run}")
        page.locator("tr[data-row] a[data-open]").nth(number).click()
        expect(page.locator("tr.paths").first).to_be_visible()
        assert page.title().startswith("What did bad-run reach?")
        assert page.locator("main script, main img").count() == 0
        assert not set(page.locator("main").inner_text()) & set("\u202e\u2066\u200b\x1b\ufeff")
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
