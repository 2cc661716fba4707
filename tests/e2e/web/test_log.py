"""Log in a real browser: search, pages, one record with its proof, verify, download."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bot_bottle.audit import note, proof
from bot_bottle.egress.messages import Identity
from records_stage import HOSTILE, chromium, hostile, signed_in, traffic
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
def run(stage: Stage) -> Identity:
    return stage.ended("fix-login", rows=traffic(150, 1), ago=600)


@pytest.fixture
def web(stage: Stage, run: Identity) -> Iterator[Inside]:
    with Inside(stage) as found:
        yield found


@pytest.fixture
def page(browser: Browser, web: Inside) -> Iterator[Page]:
    with signed_in(browser, web) as found:
        yield found


def test_search_and_pages(page: Page, web: Inside) -> None:
    page.goto(f"{web.url}/log")
    expect(page.locator("h1")).to_contain_text("records of 1 run")
    page.keyboard.press("/")
    page.keyboard.type("host:*.metrics.example verdict:deny")
    page.keyboard.press("Enter")
    page.wait_for_url("**/log?q=*")
    rows = page.locator("#log tbody tr")
    assert 0 < rows.count() < 30
    assert all("metrics.example" in text for text in rows.all_inner_texts())
    page.goto(f"{web.url}/log?q=kind:outcome")
    assert rows.count() == 100
    page.locator("#older").click()
    assert 20 < rows.count() < 60
    page.goto(f"{web.url}/log?q=host:nowhere.example")
    expect(page.locator(".empty")).to_contain_text("No record fits")


def test_a_record_with_a_proof_that_holds_offline(page: Page, web: Inside, run: Identity) -> None:
    page.goto(f"{web.url}/log?q=verdict:deny")
    page.locator("#log tbody tr a[data-open]").first.click()
    expect(page.locator("tr.detail")).to_contain_text("Denied")
    page.locator("tr.detail").get_by_role("link", name="Explain").click()
    expect(page.locator("h1")).to_contain_text("Record")
    page.get_by_role("link", name="Prove it").click()
    expect(page.locator(".verified")).to_contain_text("The record is in the log that this checkpoint signs.")
    text, key = page.locator("section:has(#proof) pre").all_inner_texts()
    page.get_by_text("The line, as it is in the log").click()
    line = page.locator("pre.whole-line").inner_text()
    made = proof.parse(text.encode())
    assert proof.check(made, line.encode() + b"\n", note.parse_key(key.strip())).size > made.index


def test_verify_says_what_it_checked(page: Page, web: Inside, run: Identity, stage: Stage) -> None:
    page.goto(f"{web.url}/log")
    page.get_by_role("button", name="Verify fix-login").click()
    expect(page.locator("#checked")).to_contain_text("signed records of")
    expect(page.locator("#checked")).to_contain_text("are as they were signed.")
    expect(page.locator("#checked")).to_contain_text("Checked against the key beside the log")
    bundle = next(path for path in Path(stage.home.run_log(run.run)).glob("tile/entries/**/*") if path.is_file())
    bundle.write_bytes(bundle.read_bytes().replace(b"forge.lan", b"forge.LAN", 1))
    page.get_by_role("button", name="Verify fix-login").click()
    expect(page.locator("#checked").get_by_role("alert")).to_contain_text("is not what was signed.")


def test_download_is_what_the_filter_fits(page: Page, web: Inside) -> None:
    page.goto(f"{web.url}/log?q=verdict:deny")
    with page.expect_download() as started:
        page.get_by_role("button", name="Download").click()
    path = started.value.path()
    assert started.value.suggested_filename == "bot-bottle-records.jsonl"
    found = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert found
    assert {one["verdict"] for one in found} == {"deny"}
    page.goto(f"{web.url}/log?q=verdict:deny")
    assert len(found) == page.locator("#log tbody tr").count()


def test_every_format_can_be_downloaded(web: Inside) -> None:
    for form in ("jsonl", "csv", "ocsf", "ocsf18", "cef"):
        reply = web.raw("GET", f"/log/export?format={form}&q=kind:outcome", web.session())
        assert reply.status == 200
        assert reply.body.count(b"\n") > 100
    assert web.raw("GET", "/log/export?format=parquet", web.session()).status == 422
    assert web.raw("GET", "/log/export?q=hst:x", web.session()).status == 422
    assert web.raw("GET", "/log/export", {}).status == 401


def test_a_wrong_filter_says_where(page: Page, web: Inside) -> None:
    page.goto(f"{web.url}/log?q=since:yesterday")
    expect(page.get_by_role("alert")).to_contain_text("Character 7 of the filter: yesterday is no moment.")
    expect(page.get_by_role("alert").locator("mark")).to_have_text("yesterday")


def test_nothing_is_recorded_yet(browser: Browser, tmp_path: Path) -> None:
    with Stage(tmp_path) as empty, Inside(empty) as web, signed_in(browser, web) as page:
        page.goto(f"{web.url}/log")
        expect(page.locator("h1")).to_have_text("Nothing is recorded yet")
        page.goto(f"{web.url}/record/20990101t000000-000000000000/3")
        expect(page.get_by_role("alert")).to_contain_text("There is no log of")


def test_hostile_records_are_text_everywhere(page: Page, web: Inside, stage: Stage) -> None:
    """B73: rows, details, all fields, the raw line, the proof, the filter itself."""
    bad = stage.ended("bad-run", rows=hostile(), ago=50)
    page.goto(f"{web.url}/log?q=run:{bad.run}")
    expect(page.locator("#log")).to_contain_text("<script>document.title='owned'")
    for number in range(1, len(HOSTILE) + 1):
        page.goto(f"{web.url}/record/{bad.run}/{number}?proof=1")
        page.locator("summary").first.click()
        expect(page.locator(".verified")).to_be_visible()
        assert page.title() == f"Record {number} · bot-bottle"
        assert page.locator("main script, main img").count() == 0
        assert not set(page.locator("main").inner_text()) & set("\u202e\u2066\u200b\x1b\ufeff\x07")
        page.wait_for_load_state()
        assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    for text in HOSTILE[:-1]:
        page.goto(f"{web.url}/log?q=" + __import__("urllib.parse", fromlist=["quote"]).quote(text[:1500]))
        assert page.title() == "Log · bot-bottle"
        assert page.locator("main script, main img").count() == 0


def test_a_long_check_says_how_far_it_is(
    page: Page, web: Inside, run: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot_bottle.web.api import records

    whole, go_on = records.verify_run, threading.Event()

    def slow(*args: object, **more: object) -> object:
        more["told"](17)  # type: ignore[operator]
        go_on.wait(20)
        return whole(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(records, "verify_run", slow)
    page.goto(f"{web.url}/log")
    page.get_by_role("button", name="Verify fix-login").click()
    expect(page.locator("#checked .loading")).to_contain_text("17 of")
    page.wait_for_timeout(900)
    expect(page.locator("#checked .loading")).to_contain_text("17 of")
    go_on.set()
    expect(page.locator("#checked .verified")).to_contain_text("are as they were signed.")
