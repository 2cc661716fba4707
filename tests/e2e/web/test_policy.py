"""Policy in a real browser: rules with file and line, their use, what is wrong with them, the tester, proposals."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from records_stage import SCRIPT, bottle_file, denied
from web_stage import Inside, Stage


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        bottle_file(found)
        yield found


@pytest.fixture
def web(stage: Stage) -> Iterator[Inside]:
    with Inside(stage) as found:
        yield found


def used(stage: Stage, ago: int, *rows: dict[str, object]) -> None:
    """A run of the bottle `shop` with these records."""
    identity = stage.identity("shop-run", "claude", "shop", ago=ago)
    stage.log(identity).seal(stage.record(identity, kind="stop")) if not rows else stage_run(
        stage, identity, rows, ago
    )


def stage_run(stage: Stage, identity: object, rows: tuple[dict[str, object], ...], ago: int) -> None:
    import time

    at = time.time_ns() - ago * 1_000_000_000
    log = stage.log(identity)
    log.append(stage.record(identity, kind="start", time=at))
    for number, row in enumerate(rows, 1):
        log.append(stage.record(identity, **({"time": at + number} | row)))
    log.seal(stage.record(identity, kind="stop", time=at + 10**9))


def allowed(host: str, path: str, rule: str, method: str = "GET") -> dict[str, object]:
    said = {"target": f"https://{host}:443", "method": method, "path": path, "verdict": "allow", "rule": rule}
    return {"kind": "intent", "protocol": "http1", **said}


def row(page: Page, rule: str) -> object:
    return page.locator("table.rules tr", has=page.locator("td.mono", has_text=rule))


def test_rules_with_their_file_line_and_use(person: Page, web: Inside, stage: Stage) -> None:
    used(stage, 60, *[allowed("docs.example.org", f"/{n}", "shop/docs") for n in range(7)])
    used(stage, 40 * 86400, allowed("api.github.com", "/user", "shop/github"))
    person.goto(f"{web.url}/policy?bottle=shop")
    docs = person.locator("table.rules tr", has_text="shop/docs")
    expect(docs).to_contain_text("shop.md:6")
    expect(docs.locator("td[data-l=Hits]")).to_have_text("7")
    github = person.locator("table.rules tr", has_text="shop.md:7")
    expect(github).to_contain_text("too broad")
    expect(github).to_contain_text("unused 40 d")
    expect(person.locator("table.rules tr", has_text="shop/gh-api")).to_contain_text("shadowed by shop/github")
    expect(person.locator("table.rules tr", has_text="shop/hooks")).to_contain_text("never used")
    expect(person.locator("table.rules tr", has_text="everything else").locator(".v")).to_have_text("Ask")
    expect(person.locator("table.rules tr", has_text="everything else").locator(".src")).to_have_text(
        re.compile(r"shop\.md:\d+")
    )
    docs.locator("td[data-l=Hits] a").click()
    person.wait_for_url("**/log?q=bottle**")
    assert person.locator("#log tbody tr").count() == 7


def test_the_tester_explains(person: Page, web: Inside) -> None:
    person.goto(f"{web.url}/policy?bottle=shop")
    person.keyboard.press("t")
    person.keyboard.type("https://docs.example.org/guide")
    person.keyboard.press("Enter")
    steps = person.locator(".steps")
    expect(steps).to_contain_text("Allowed.")
    expect(steps).to_contain_text("Rule shop/docs.")
    person.goto(f"{web.url}/policy?bottle=shop&method=POST&url=https://x.metrics.example/v2")
    expect(person.locator(".steps")).to_contain_text("Denied.")
    expect(person.locator(".tester .small").last).to_have_text(
        re.compile(
            r"It is written in bottles/\w+\.md:\d+: bot-bottle edit \w+, then bot-bottle policy reload LABEL\."
        )
    )
    person.goto(f"{web.url}/policy?bottle=shop&method=POST&url=https://new.example/in")
    expect(person.locator(".steps")).to_contain_text("A person is asked.")
    expect(person.locator(".tester pre.rule")).to_contain_text("host: new.example")
    expect(person.locator(".tester .small").last).to_contain_text("Add it to the routes of the bottle file")
    person.goto(f"{web.url}/policy?bottle=shop&url=ftp://a.example/")
    expect(person.locator(".tester").get_by_role("alert")).to_contain_text("refused before any rule")


def test_a_rule_that_is_too_broad_is_narrowed_to_its_use(person: Page, web: Inside, stage: Stage) -> None:
    used(stage, 60, *[allowed("api.github.com", f"/repos/acme/shop/pulls/{n}", "shop/github") for n in range(12)])
    person.goto(f"{web.url}/policy?bottle=shop")
    person.get_by_role("link", name="too broad").click()
    diff = person.locator(".diff")
    expect(diff.locator("del").first).to_contain_text("*.github.com")
    expect(diff.locator("ins").first).to_contain_text("api.github.com")
    prop = person.locator("section", has=person.locator("#prop"))
    expect(prop).to_contain_text("no longer allowed")
    expect(prop).to_contain_text("12 past requests: decided as before")


def test_requests_that_no_rule_named_become_a_diff_of_the_file(person: Page, web: Inside, stage: Stage) -> None:
    used(stage, 60, *[denied("new.example", f"/items/{n}", protocol="http1", method="GET") for n in range(5)])
    person.goto(f"{web.url}/policy?bottle=shop")
    person.get_by_role("link", name="Learn from the past").first.click()
    expect(person.locator(".diff")).to_contain_text("new.example")
    prop = person.locator("section", has=person.locator("#prop"))
    expect(prop).to_contain_text("From 5 recorded requests of 30 days.")
    expect(prop).to_contain_text("bot-bottle policy learn --bottle shop --denied --write shop")
    assert "new.example" not in Path(stage.home.bottles, "shop.md").read_text()


def test_nothing_to_propose(person: Page, web: Inside) -> None:
    person.goto(f"{web.url}/policy?bottle=shop&propose=1")
    expect(person.locator("section", has=person.locator("#prop"))).to_contain_text("Nothing to propose")


def test_a_file_that_cannot_be_read_is_named_with_its_line(person: Page, web: Inside, stage: Stage) -> None:
    bottle_file(
        stage, "shop", "---\nversion: 1\negress:\n  routes:\n    - {name: x, host: a.example, metod: GET}\n---\n"
    )
    person.goto(f"{web.url}/policy?bottle=shop")
    alert = person.get_by_role("alert").first
    expect(alert).to_contain_text("shop.md is not loaded.")
    expect(alert).to_contain_text("Line 5:")
    person.goto(f"{web.url}/policy?bottle=nowhere")
    expect(person.get_by_role("alert").filter(has_text="nowhere")).to_be_visible()


def test_hostile_rules_requests_and_queries_are_text(person: Page, web: Inside, stage: Stage) -> None:
    """B73: what stands in the log, in the URL and in a file that somebody else wrote."""
    used(stage, 60, denied("new.example", f"/{SCRIPT}", rule="shop/docs", protocol="http1"))
    for query in (
        f"url=https://x.example/{SCRIPT}",
        f"url={SCRIPT}&method={SCRIPT}",
        f"bottle={SCRIPT}",
        f"narrow={SCRIPT}",
    ):
        person.goto(f"{web.url}/policy?bottle=shop&propose=1&{query}")
        assert person.title() != "owned"
        assert person.locator("main script, main img").count() == 0
