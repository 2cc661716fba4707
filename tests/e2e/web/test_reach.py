"""Reach in a real browser: any question in three clicks, the picture, paths, first-seen hosts, two runs compared."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from bot_bottle.egress.messages import Identity
from records_stage import denied, hostile, signed_in, traffic
from web_stage import Inside, Stage


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


def test_what_did_it_reach_in_three_clicks(person: Page, web: Inside) -> None:
    person.goto(f"{web.url}/")
    person.locator("nav.tabs").get_by_role("link", name="Reach").click()  # 1: the newest run answers at once
    expect(person.get_by_label("Subject")).to_have_value("run:" + person.get_by_label("Subject").input_value()[4:])
    expect(person.locator("h1")).to_contain_text("What did")
    expect(person.get_by_label("Subject").locator("option:checked")).to_have_text("fix-login-422")
    person.get_by_label("Subject").select_option("agent:claude")  # 2
    person.wait_for_url("**/reach?of=agent%3Aclaude*")
    person.locator("tr[data-row] a", has_text="npm.acme.example").click()  # 3
    expect(person.locator("tr.paths")).to_contain_text("/@playwright/test")


def test_a_choice_that_was_made_before_the_scripts_came_is_asked(person: Page, web: Inside) -> None:
    """On a busy machine the page stood there with another subject than it showed."""
    chosen = threading.Event()

    def late(route: Route) -> None:
        person.get_by_label("Subject").select_option("agent:claude")
        chosen.set()
        route.continue_()

    person.route("**/assets/bottle.js*", late)
    person.goto(f"{web.url}/reach", wait_until="commit")
    person.wait_for_url("**/reach?of=agent%3Aclaude*")
    assert chosen.is_set()


def test_the_door_and_the_table_say_the_same(person: Page, web: Inside, runs: list[Identity]) -> None:
    person.goto(f"{web.url}/reach?of=run:{runs[1].run}")
    door = person.locator(".door li")
    expect(door.filter(has_text="169.254.169.254")).to_contain_text("denied")
    expect(door.filter(has_text="169.254.169.254")).to_contain_text("nothing")
    expect(door.filter(has_text="hooks.example.net")).to_contain_text("held")
    assert person.locator(".door path.ribbon").count() == door.count() == 8
    stopped = person.locator(".door path.ribbon.deny, .door path.ribbon.held").count()
    assert person.locator(".door path.stop").count() == stopped == 3
    row = person.locator("tr[data-row]", has_text="api.model.example")
    expect(row).to_contain_text("MODEL_KEY")
    expect(row.locator(".v")).to_have_text("Allow")
    assert row.locator("svg.strip rect").count() > 5


def test_it_says_to_which_checkpoint_the_log_is_signed(person: Page, web: Inside, runs: list[Identity]) -> None:
    person.goto(f"{web.url}/reach?of=run:{runs[1].run}")
    expect(person.locator(".head")).to_contain_text("The log behind this page is signed to checkpoint")
    expect(person.locator(".head")).to_contain_text("complete")


def test_a_host_that_was_reviewed_is_no_longer_new(person: Page, web: Inside, runs: list[Identity]) -> None:
    person.goto(f"{web.url}/reach?of=run:{runs[1].run}")
    new = person.locator("section", has=person.locator("#new"))
    expect(new).to_contain_text("169.254.169.254")
    new.get_by_role("button", name="Mark reviewed 169.254.169.254").click()
    expect(person.locator("section", has=person.locator("#new"))).not_to_contain_text("169.254.169.254")
    person.goto(f"{web.url}/reach?of=everything:all&in=all")
    assert "169.254.169.254" in person.locator("table").first.inner_text()


def test_two_runs_side_by_side(person: Page, web: Inside, runs: list[Identity]) -> None:
    person.goto(f"{web.url}/reach?of=run:{runs[1].run}")
    person.get_by_label("Second run").select_option(runs[0].run)
    person.get_by_role("button", name="Compare").click()
    table = person.locator("section", has=person.locator("#cmp")).locator("table")
    expect(table.locator("tr", has_text="169.254.169.254")).to_contain_text("new")
    expect(person.locator("section", has=person.locator("#cmp"))).to_contain_text("With fix-login-417")


def test_by_keyboard(person: Page, web: Inside, runs: list[Identity]) -> None:
    person.goto(f"{web.url}/reach?of=run:{runs[1].run}")
    person.keyboard.press("j")
    person.keyboard.press("j")
    person.keyboard.press("Enter")
    expect(person.locator("tr.paths")).not_to_have_count(0)
    person.wait_for_load_state()
    person.keyboard.press("/")
    expect(person.get_by_label("Subject")).to_be_focused()


def test_nothing_was_reached_yet(chromium: Browser, tmp_path: Path) -> None:
    with Stage(tmp_path) as empty, Inside(empty) as web, signed_in(chromium, web) as page:
        page.goto(f"{web.url}/reach")
        expect(page.locator(".empty")).to_contain_text("No run in the logs")
        page.goto(f"{web.url}/reach?of=agent:nobody")
        expect(page.locator(".empty")).to_contain_text("Nothing was reached")


def test_hostile_hosts_paths_and_secrets_are_text(person: Page, web: Inside, stage: Stage) -> None:
    """B73."""
    bad = stage.ended("bad-run", rows=(*hostile(), *hostile()), ago=100)
    person.goto(f"{web.url}/reach?of=run:{bad.run}")
    expect(person.locator(".door")).to_contain_text("<script>document.title='owned'<")
    for number in range(person.locator("tr[data-row]").count()):
        person.goto(f"{web.url}/reach?of=run:{bad.run}")
        person.locator("tr[data-row] a[data-open]").nth(number).click()
        expect(person.locator("tr.paths").first).to_be_visible()
        assert person.title().startswith("What did bad-run reach?")
        assert person.locator("main script, main img").count() == 0
        assert not set(person.locator("main").inner_text()) & set("\u202e\u2066\u200b\x1b\ufeff")
        person.wait_for_load_state()
        assert person.evaluate("document.documentElement.scrollWidth") <= 1280
