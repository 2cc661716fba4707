"""What another site can do with a person's own browser, in a real one (Debian's chromium): frames, forms, streams,
rebound names, and what it must be able to do: a link in a chat that opens a page.
"""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from bot_bottle.web.security import Defences
from bot_bottle.web.tokens import Tokens
from web_stage import Inside, Stage

pytestmark = pytest.mark.slow


class Site:
    """A site of an attacker: one page at every path. port: on 127.0.0.1, where it is same-site with us; as
    ``localhost`` it is another site."""

    def __init__(self) -> None:
        self.page = ""
        site = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = site.page.encode()
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                return None

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(5)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--host-resolver-rules=MAP evil.example 127.0.0.1"],
        )
        yield made
        made.close()


@pytest.fixture
def site() -> Iterator[Site]:
    made = Site()
    yield made
    made.close()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(tmp_path) as found:
        yield found


def signed_in(browser: Browser, web: Inside) -> BrowserContext:
    context = browser.new_context()
    page = context.new_page()
    page.goto(web.web.link())
    assert any(cookie.get("name") == f"bot-bottle-{web.port}" for cookie in context.cookies())
    page.close()
    return context


def visit(context: BrowserContext, site: Site, host: str, page: str) -> Page:
    site.page = f"<!doctype html><title>evil</title>{page}"
    found = context.new_page()
    found.goto(f"http://{host}:{site.port}/")
    return found


def framed(browser: Browser, site: Site, web: Inside) -> bool:
    """Whether a page of ours shows up in a frame of another site."""
    context = signed_in(browser, web)
    page = visit(context, site, "localhost", f'<iframe src="{web.url}/pair"></iframe>')
    page.wait_for_timeout(300)
    texts: list[str] = []
    for frame in page.frames[1:]:
        try:
            texts.append(frame.locator("h1").first.inner_text(timeout=500))
        except Error:
            continue
    context.close()
    return any("Pair" in text for text in texts)


def test_clickjacking_no_page_shows_in_a_frame(browser: Browser, site: Site, stage: Stage) -> None:
    with Inside(stage) as web:
        assert not framed(browser, site, web)
    with Inside(stage, Defences(headers=False, fetch_site=False)) as web:
        assert framed(browser, site, web)


FORM = """<form method="post" action="{url}/api/v1/tokens" enctype="text/plain"><input name="{{&quot;name&quot;:&quot;stolen&quot;,&quot;scopes&quot;:[&quot;admin&quot;],&quot;x&quot;:&quot;" value="&quot;}}"></form>
<script>document.forms[0].submit()</script>"""
FETCH = """<script>fetch("{url}/sign-out", {{method: "POST", mode: "no-cors", credentials: "include", headers: {{"content-type": "application/x-www-form-urlencoded"}}, body: "a=b"}}).finally(() => document.title = "done")</script>"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_csrf_another_page_of_this_browser_changes_nothing(
    browser: Browser, site: Site, stage: Stage, host: str
) -> None:
    """From another port of 127.0.0.1 (a bottle's forwarded page) the SameSite cookie does come along."""

    def still_in(web: Inside) -> bool:
        context = signed_in(browser, web)
        visit(context, site, host, FORM.format(url=web.url)).wait_for_timeout(200)
        page = visit(context, site, host, FETCH.format(url=web.url))
        page.wait_for_function("document.title == 'done'")
        assert Tokens(web.web.office.store).all() == []
        reply = context.request.get(f"{web.url}/api/v1/devices")
        context.close()
        return reply.status == 200

    with Inside(stage) as web:
        assert still_in(web)
    with Inside(stage, Defences(fetch_site=False, csrf=False)) as web:
        assert still_in(web) is (host == "localhost")  # SameSite=Strict is a defence of its own there


def test_cross_site_streams_are_refused(browser: Browser, site: Site, stage: Stage) -> None:
    source = '<script>new EventSource("{url}/events", {{withCredentials: true}})</script>'

    def opened(web: Inside) -> bool:
        context = signed_in(browser, web)
        visit(context, site, "127.0.0.1", source.format(url=web.url)).wait_for_timeout(400)
        streams: Any = web.web.front._gate.app.state.streams  # type: ignore[attr-defined]
        found = streams.count > 0
        context.close()
        return bool(found)

    with Inside(stage) as web:
        assert not opened(web)
    with Inside(stage, Defences(fetch_site=False)) as web:
        assert opened(web)


def test_a_rebound_name_shows_nothing_in_a_browser(browser: Browser, stage: Stage) -> None:
    def shown(web: Inside) -> bool:
        context = browser.new_context()
        page = context.new_page()
        reply = page.goto(f"http://evil.example:{web.port}/pair")
        assert reply is not None
        found = reply.status == 200 and "Pair this device" in page.content()
        context.close()
        return found

    with Inside(stage) as web:
        assert not shown(web)
    with Inside(stage, Defences(hosts=False)) as web:
        assert shown(web)


def test_a_link_in_a_chat_opens_the_page_as_the_person(browser: Browser, site: Site, stage: Stage) -> None:
    """The Strict cookie is kept back by the browser when a link of another site is followed: the page loads again from
    itself, and then it is there."""
    with Inside(stage) as web:
        context = signed_in(browser, web)
        page = visit(context, site, "localhost", f'<a href="{web.url}/inbox">open</a>')
        page.click("a")
        page.wait_for_url(f"{web.url}/inbox")
        page.wait_for_selector("text=Opening the dashboard", state="detached", timeout=5000)
        assert "Sign in" not in page.title()
        stranger = browser.new_context()
        page = visit(stranger, site, "localhost", f'<a href="{web.url}/inbox">open</a>')
        page.click("a")
        page.wait_for_selector("text=type a pairing code", timeout=5000)
        for one in (context, stranger):
            one.close()


def test_nothing_is_reported_by_the_policy_on_the_ways_in(browser: Browser, stage: Stage) -> None:
    """The code in a QR link's fragment goes into the form; no violation of the policy is seen on the way."""
    with Inside(stage, public="https://bottle.example.org", proxies=("192.0.2.1",)) as web:
        context = browser.new_context()
        page = context.new_page()
        code = web.web.office.door.codes.issue()
        page.goto(f"{web.url}/pair#{code}")
        assert page.input_value("#code") == code and "#" not in page.url
        page.fill("#name", "Phone")
        page.click("button")
        page.wait_for_url("**/inbox")
        assert context.request.get(f"{web.url}/api/v1/devices").status == 200
        reports: Any = web.web.front._gate.app.state.reports  # type: ignore[attr-defined]
        assert reports == []
        context.close()
