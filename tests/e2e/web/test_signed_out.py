"""A device that is revoked has nothing in view any more: not in the page that is open, not behind its back button."""

import re
import time

import pytest
from playwright.sync_api import Browser, Page, expect

from bot_bottle.web.sessions import Sessions
from dashboard_stage import busy
from records_stage import signed_in
from web_stage import Inside, Stage, until

HOST = "relaybin.dev"


def connected(page: Page) -> None:
    until(lambda: bool(page.evaluate("!!document.querySelector('#events')?._htmx?.sse?.reader")))


def revoke(web: Inside) -> None:
    """Every device and session there is."""
    sessions = Sessions(web.web.office.store)
    for device in sessions.devices():
        sessions.revoke(device.id, time.time_ns())


def gone(page: Page) -> None:
    """Only the notice is in view, and the browser goes back to nothing else."""
    expect(page.locator("h1")).to_have_text(re.compile("You are (not signed in|signed out)"))
    for what in (HOST, "fix-login"):
        expect(page.locator("html")).not_to_contain_text(what)


@pytest.mark.parametrize("path", ["/", "/inbox", "/bottle/fix-login-422", "/live"])
def test_what_is_in_view_goes_with_the_session(stage: Stage, web: Inside, person: Page, path: str) -> None:
    busy(stage)
    person.goto(f"{web.url}/log")
    person.goto(f"{web.url}{path}")
    connected(person)
    expect(person.locator("main")).to_contain_text("fix-login-422")
    revoke(web)
    gone(person)
    expect(person.get_by_text("bot-bottle serve --link")).to_be_visible()
    person.go_back()  # to Log, which it had seen before
    gone(person)


def test_also_where_no_stream_is_connected(stage: Stage, web: Inside, person: Page) -> None:
    """What htmx asks for by itself, or for a person, is answered 401."""
    busy(stage)
    person.route("**/events?*", lambda route: route.abort())
    person.goto(f"{web.url}/inbox")
    expect(person.locator("#card")).to_contain_text(HOST)
    until(lambda: bool(person.evaluate("!!document.querySelector('[data-row]')?._htmx")))
    revoke(web)
    person.locator("[data-row]").nth(1).click()
    gone(person)


def test_a_page_that_the_browser_kept_is_asked_for_again(stage: Stage, web: Inside, person: Page) -> None:
    busy(stage)
    person.route("**/events?*", lambda route: route.abort())
    person.goto(f"{web.url}/reach")
    expect(person.locator("main")).to_contain_text("fix-login-422")
    revoke(web)
    person.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    gone(person)


def test_a_tab_in_the_background_goes_too(stage: Stage, web: Inside, person: Page) -> None:
    """Its stream rests while nobody looks."""
    busy(stage)
    person.clock.install()
    person.goto(f"{web.url}/inbox")
    person.evaluate(
        "Object.defineProperty(document, 'hidden', {value: true}); document.dispatchEvent(new Event('visibilitychange'))"
    )
    revoke(web)
    person.clock.run_for(60_000)
    gone(person)


def test_a_tab_whose_browser_signed_in_anew_goes_back_to_where_it_was(
    stage: Stage, web: Inside, chromium: Browser
) -> None:
    busy(stage)
    with signed_in(chromium, web) as page:
        page.goto(f"{web.url}/reach?of=bottle:web")
        connected(page)
        other = page.context.new_page()
        other.goto(f"{web.url}/?key={web.web.office.door.keys.issue()}")
        expect(other.locator("h1")).to_contain_text("bottles running")
        until(lambda: page.url.endswith("/reach?of=bottle:web") and page.locator("#events").count() == 1)
        expect(page.locator("main")).to_contain_text("fix-login-422")
        connected(page)


def test_no_reply_with_data_may_be_kept(stage: Stage, web: Inside) -> None:
    busy(stage)
    headers = web.session()
    for path in ("/", "/inbox", "/part/inbox", "/bottle/fix-login-422", "/live", "/reach", "/log", "/settings", "/policy", "/part/now", "/part/waiting", "/signed-out", "/api/v1/asks"):  # fmt: skip
        reply = web.raw("GET", path, headers)
        assert (reply.status in (200, 303), reply.headers["cache-control"]) == (True, "no-store"), path
    for path in ("/", "/inbox", "/part/waiting", "/part/now", "/start/x", "/bottle/fix-login-422", "/live"):
        reply = web.raw("GET", path)
        assert (reply.status, reply.headers["cache-control"]) == (401, "no-store"), path
    place = web.raw("GET", "/signed-out?back=/inbox%3Fask%3Da", headers).headers["location"]
    assert place == "/inbox?ask=a"
    assert web.raw("GET", "/signed-out?back=//evil.example/", headers).headers["location"] == "/"
    assert web.raw("GET", "/signed-out?back=/inbox").status == 200
