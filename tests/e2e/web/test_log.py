"""Log in a real browser: search, pages, one record with its proof, verify, download."""

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from bot_bottle.audit import note, proof
from bot_bottle.egress.messages import Identity
from records_stage import HOSTILE, hostile, signed_in, traffic
from web_stage import Inside, Stage


@pytest.fixture
def run(stage: Stage) -> Identity:
    return stage.ended("fix-login", rows=traffic(150, 1), ago=600)


@pytest.fixture
def web(stage: Stage, run: Identity) -> Iterator[Inside]:
    with Inside(stage) as found:
        yield found


def test_search_and_pages(person: Page, web: Inside) -> None:
    person.goto(f"{web.url}/log")
    expect(person.locator("h1")).to_contain_text("records of 1 run")
    person.keyboard.press("/")
    person.keyboard.type("host:*.metrics.example verdict:deny")
    person.keyboard.press("Enter")
    person.wait_for_url("**/log?q=*")
    rows = person.locator("#log tbody tr")
    assert 0 < rows.count() < 30
    assert all("metrics.example" in text for text in rows.all_inner_texts())
    person.goto(f"{web.url}/log?q=kind:outcome")
    assert rows.count() == 100
    person.locator("#older").click()
    assert 20 < rows.count() < 60
    person.goto(f"{web.url}/log?q=host:nowhere.example")
    expect(person.locator(".empty")).to_contain_text("No record fits")


def test_a_record_with_a_proof_that_holds_offline(person: Page, web: Inside, run: Identity) -> None:
    person.goto(f"{web.url}/log?q=verdict:deny")
    person.locator("#log tbody tr a[data-open]").first.click()
    expect(person.locator("tr.detail")).to_contain_text("Denied")
    person.locator("tr.detail").get_by_role("link", name="Explain").click()
    expect(person.locator("h1")).to_contain_text("Record")
    person.get_by_role("link", name="Prove it").click()
    expect(person.locator(".verified")).to_contain_text("The record is in the log that this checkpoint signs.")
    text, key = person.locator("section:has(#proof) pre").all_inner_texts()
    person.get_by_text("The line, as it is in the log").click()
    line = person.locator("pre.whole-line", has_text='"kind"').inner_text()
    made = proof.parse(text.encode())
    assert proof.check(made, line.encode() + b"\n", note.parse_key(key.strip())).size > made.index


def test_verify_says_what_it_checked(person: Page, web: Inside, run: Identity, stage: Stage) -> None:
    person.goto(f"{web.url}/log")
    person.get_by_role("button", name="Verify fix-login").click()
    expect(person.locator("#checked")).to_contain_text("signed records of")
    expect(person.locator("#checked")).to_contain_text("are as they were signed.")
    expect(person.locator("#checked")).to_contain_text("Checked against the key beside the log")
    bundle = next(path for path in Path(stage.home.run_log(run.run)).glob("tile/entries/**/*") if path.is_file())
    bundle.write_bytes(bundle.read_bytes().replace(b"forge.lan", b"forge.LAN", 1))
    person.get_by_role("button", name="Verify fix-login").click()
    expect(person.locator("#checked").get_by_role("alert")).to_contain_text("is not what was signed.")


def test_download_is_what_the_filter_fits(person: Page, web: Inside) -> None:
    person.goto(f"{web.url}/log?q=verdict:deny")
    with person.expect_download() as started:
        person.get_by_role("button", name="Download").click()
    path = started.value.path()
    assert started.value.suggested_filename == "bot-bottle-records.jsonl"
    found = [json.loads(line) for line in Path(path).read_text().splitlines()]
    assert found
    assert {one["verdict"] for one in found} == {"deny"}
    person.goto(f"{web.url}/log?q=verdict:deny")
    assert len(found) == person.locator("#log tbody tr").count()


def test_every_format_can_be_downloaded(web: Inside) -> None:
    for form in ("jsonl", "csv", "ocsf", "ocsf18", "cef"):
        reply = web.raw("GET", f"/log/export?format={form}&q=kind:outcome", web.session())
        assert reply.status == 200
        assert reply.body.count(b"\n") > 100
    assert web.raw("GET", "/log/export?format=parquet", web.session()).status == 422
    assert web.raw("GET", "/log/export?q=hst:x", web.session()).status == 422
    assert web.raw("GET", "/log/export", {}).status == 401


def test_a_wrong_filter_says_where(person: Page, web: Inside) -> None:
    person.goto(f"{web.url}/log?q=since:yesterday")
    expect(person.get_by_role("alert")).to_contain_text("Character 7 of the filter: yesterday is no moment.")
    expect(person.get_by_role("alert").locator("mark")).to_have_text("yesterday")


def test_nothing_is_recorded_yet(chromium: Browser, tmp_path: Path) -> None:
    with Stage(tmp_path) as empty, Inside(empty) as web, signed_in(chromium, web) as page:
        page.goto(f"{web.url}/log")
        expect(page.locator("h1")).to_have_text("Nothing is recorded yet")
        page.goto(f"{web.url}/record/20990101t000000-000000000000/3")
        expect(page.get_by_role("alert")).to_contain_text("There is no log of")


def test_hostile_records_are_text_everywhere(person: Page, web: Inside, stage: Stage) -> None:
    """B73: rows, details, all fields, the raw line, the proof, the filter itself."""
    bad = stage.ended("bad-run", rows=hostile(), ago=50)
    person.goto(f"{web.url}/log?q=run:{bad.run}")
    expect(person.locator("#log")).to_contain_text("<script>document.title='owned'")
    for number in range(1, len(HOSTILE) + 1):
        person.goto(f"{web.url}/record/{bad.run}/{number}?proof=1")
        person.locator("summary").first.click()
        expect(person.locator(".verified")).to_be_visible()
        assert person.title() == f"Record {number} · bot-bottle"
        assert person.locator("main script, main img").count() == 0
        assert not set(person.locator("main").inner_text()) & set("\u202e\u2066\u200b\x1b\ufeff\x07")
        person.wait_for_load_state()
        assert person.evaluate("document.documentElement.scrollWidth") <= 1280
    for text in HOSTILE[:-1]:
        person.goto(f"{web.url}/log?q=" + __import__("urllib.parse", fromlist=["quote"]).quote(text[:1500]))
        assert person.title() == "Log · bot-bottle"
        assert person.locator("main script, main img").count() == 0


def test_a_long_check_says_how_far_it_is(
    person: Page, web: Inside, run: Identity, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot_bottle.web.api import records

    whole, go_on = records.verify_run, threading.Event()

    def slow(*args: object, **more: object) -> object:
        more["told"](17)  # type: ignore[operator]
        go_on.wait(20)
        return whole(*args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(records, "verify_run", slow)
    person.goto(f"{web.url}/log")
    person.get_by_role("button", name="Verify fix-login").click()
    expect(person.locator("#checked .loading")).to_contain_text("17 of")
    person.wait_for_timeout(900)
    expect(person.locator("#checked .loading")).to_contain_text("17 of")
    go_on.set()
    expect(person.locator("#checked .verified")).to_contain_text("are as they were signed.")
