"""Live in a real browser: rows as they are written, filter in the URL, pause, jump, details, and nothing is lost."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from records_stage import HOSTILE, denied, hostile, signed_in, traffic
from web_stage import Bottle, Inside, Stage, until


@pytest.fixture
def bottle(stage: Stage) -> Bottle:
    return stage.running("docs-typo")


@pytest.fixture
def web(stage: Stage, bottle: Bottle) -> Iterator[Inside]:
    with Inside(stage) as found:
        yield found


def connected(page: Page) -> None:
    """The stream is open: its first answer came."""
    until(lambda: bool(page.evaluate("!!document.querySelector('#events')?._htmx?.sse?.reader")))


def test_a_record_appears_by_itself(person: Page, web: Inside, bottle: Bottle) -> None:
    person.goto(f"{web.url}/live")
    expect(person.locator("#live tbody tr").first).to_be_visible()
    connected(person)
    bottle.record(**denied("fresh.example", "/now"))
    expect(person.locator("#live tbody tr").first).to_contain_text("fresh.example")
    expect(person.locator("#live tbody tr").first.locator(".v.deny")).to_have_text("Deny")


def test_the_filter_is_in_the_url_and_holds_for_the_stream(person: Page, web: Inside, bottle: Bottle) -> None:
    person.goto(f"{web.url}/live")
    person.keyboard.press("/")
    person.keyboard.type("verdict:deny -host:*.quiet.example")
    person.keyboard.press("Enter")
    person.wait_for_url("**/live?q=verdict%3Adeny+-host%3A*.quiet.example*")
    assert set(person.locator("#live tbody .v").all_inner_texts()) <= {"Deny", "No name"}
    connected(person)
    bottle.record(**denied("a.quiet.example"))
    bottle.record(
        kind="outcome", target="https://ok.example:443", method="GET", path="/", verdict="allow", status=200
    )
    bottle.record(**denied("loud.example"))
    expect(person.locator("#live tbody tr").first).to_contain_text("loud.example")
    assert "quiet.example" not in person.locator("#live").inner_text()
    assert "ok.example" not in person.locator("#live").inner_text()


def test_a_wrong_filter_says_where(person: Page, web: Inside) -> None:
    person.goto(f"{web.url}/live?q=verdict:deny hst:x")
    note = person.get_by_role("alert")
    expect(note).to_contain_text("Character 14 of the filter: There is no field hst.")
    expect(note).to_contain_text("Did you mean host?")
    expect(note.locator("mark")).to_have_text("hst:")


def test_pause_keeps_the_table_and_counts_on(person: Page, web: Inside, bottle: Bottle) -> None:
    person.goto(f"{web.url}/live")
    connected(person)
    person.keyboard.press(" ")
    expect(person.locator("#pause")).to_have_attribute("aria-pressed", "true")
    before = person.locator("#live tbody tr").count()
    for number in range(3):
        bottle.record(**denied(f"paused{number}.example"))
    expect(person.locator("#state")).to_have_text("Paused, 3 more since")
    assert person.locator("#live tbody tr").count() == before
    person.keyboard.press("G")
    expect(person.locator("#live tbody tr").first).to_contain_text("paused2.example")
    expect(person.locator("#pause")).to_have_attribute("aria-pressed", "false")


def indexed(page: Page, url: str) -> None:
    """The page once its rows are whole: on a busy machine it says first that records are still being read."""
    for _ in range(20):
        page.goto(url)
        if not page.get_by_text("being read into the index").count():
            return
        page.wait_for_timeout(200)
    raise AssertionError("the index does not catch up")


def test_details_by_keyboard(person: Page, web: Inside, bottle: Bottle) -> None:
    bottle.record(**denied("stopped.example", "/x"))
    person.goto(f"{web.url}/live?q=host:stopped.example")
    person.keyboard.press("j")
    person.keyboard.press("e")
    detail = person.locator("tr.detail")
    expect(detail).to_contain_text("no rule allows it. Nothing was sent: the name was never looked up.")
    expect(detail.get_by_role("link", name="Allow for…")).to_have_attribute(
        "href", "/policy?bottle=web&method=POST&url=https%3A//stopped.example/x#tester"
    )
    person.keyboard.press("e")
    expect(detail).to_have_count(0)
    person.keyboard.press("o")
    person.wait_for_url(f"**/bottle/{bottle.identity.run}")


def test_a_record_that_a_checkpoint_covers_is_no_longer_dashed(person: Page, web: Inside, bottle: Bottle) -> None:
    person.goto(f"{web.url}/live")
    connected(person)
    bottle.log.append(bottle.stage.record(bottle.identity, **denied("unsealed.example")))
    first = person.locator("#live tbody tr").first
    expect(first).to_contain_text("unsealed.example")
    expect(first).to_have_class("fresh")
    bottle.record(**denied("sealing.example"))
    expect(person.locator("#live tbody tr").nth(1)).not_to_have_class("fresh")


def test_older_records_and_no_gap_between_page_and_stream(person: Page, web: Inside, bottle: Bottle) -> None:
    for number in range(250):
        bottle.log.append(bottle.stage.record(bottle.identity, **denied(f"n{number}.example")))
    indexed(person, f"{web.url}/live?q=host:n*.example")
    assert person.locator("#live tbody tr").count() == 100
    person.locator("#older").click()
    expect(person.locator("#live tbody tr").first).to_contain_text("n149.example")
    person.locator("#older").click()
    expect(person.locator("#live tbody tr").last).to_contain_text("n0.example")
    expect(person.locator("#older")).to_have_count(0)


def test_two_thousand_a_second_without_loss_and_with_a_bounded_page(
    person: Page, web: Inside, bottle: Bottle
) -> None:
    """Five seconds of it here; bench/web does five minutes."""
    person.goto(f"{web.url}/live?q=verdict:deny host:flood*.example")
    connected(person)
    person.wait_for_timeout(300)
    count, rate = 10_000, 2000
    start = time.monotonic()

    def write() -> None:
        for number in range(count):
            bottle.log.append(bottle.stage.record(bottle.identity, **denied(f"flood{number}.example")))
            ahead = start + number / rate - time.monotonic()
            if ahead > 0.01:
                time.sleep(ahead)

    writer = threading.Thread(target=write)
    writer.start()
    writer.join()
    until(lambda: person.evaluate("Number(document.querySelector('#live').dataset.received)") >= count, 120)
    assert person.evaluate("document.querySelector('#live').dataset.received") == str(count)
    assert person.evaluate("document.querySelector('#live').dataset.lost") == "0"
    assert person.locator("#lost").is_hidden()
    expect(person.locator("#live tbody tr").first).to_contain_text(f"flood{count - 1}.example")
    assert person.locator("#live tbody tr").count() <= 301


def test_what_went_by_while_away_is_counted(
    person: Page, web: Inside, bottle: Bottle, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot_bottle.audit import tail

    monkeypatch.setattr(tail, "KEPT", 20)
    person.goto(f"{web.url}/live")
    connected(person)
    for number in range(100):  # one append, so that one turn reads them all
        bottle.log.append(bottle.stage.record(bottle.identity, **denied(f"n{number}.example")))
    expect(person.locator("#lost")).to_be_visible()
    expect(person.locator("#lost")).to_contain_text("records went by while this page was away")


def test_nothing_yet(chromium: Browser, tmp_path: Path) -> None:
    with Stage(tmp_path) as empty, Inside(empty) as web, signed_in(chromium, web) as page:
        page.goto(f"{web.url}/live")
        expect(page.locator(".empty")).to_contain_text("Nothing has happened yet")
        bottle = empty.running("first", rows=())
        expect(page.locator("#live tbody tr").first).to_contain_text("first")
        expect(page.locator(".empty")).to_have_count(0)
        assert bottle.label == "first"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_is_wider_than_a_phone(chromium: Browser, stage: Stage, theme: str) -> None:
    stage.running("triage", rows=traffic(40, 1) + hostile())
    with (
        Inside(stage) as web,
        signed_in(chromium, web, viewport={"width": 360, "height": 700}, color_scheme=theme) as page,
    ):
        for path in ("/live", "/log", "/reach", "/policy"):
            page.goto(f"{web.url}{path}")
            page.wait_for_load_state()
            assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_hostile_records_are_text_in_the_stream_and_on_the_page(person: Page, web: Inside, bottle: Bottle) -> None:
    """B73."""
    person.goto(f"{web.url}/live?all=1")
    connected(person)
    for row in hostile():
        bottle.record(**row)
    expect(person.locator("#live")).to_contain_text("<script>document.title='owned'</script>")
    indexed(person, person.url)
    expect(person.locator("#live")).to_contain_text("<script>document.title='owned'</script>")
    assert person.title() == "Live · bot-bottle"
    assert person.locator("#live script, #live img").count() == 0
    text = person.locator("#live").inner_text()
    assert not set(text) & set("\u202e\u2066\u200b\x1b\ufeff")
    assert "owned" in text
    assert max(len(cell) for cell in person.locator("#live td").all_inner_texts()) < 2000
    assert len(HOSTILE) <= person.locator("#live tbody tr").count()
