"""The service worker in a real browser under our own policy: registered, woken by a push, and it says no more than that
something waits.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bot_bottle.supervise.notify import push
from web_stage import Inside, Stage

REGISTER = """async () => {
  const policy = trustedTypes.createPolicy("bot-bottle-worker", { createScriptURL: (url) => url });
  await navigator.serviceWorker.register(policy.createScriptURL("/sw.js"));
  const ready = await navigator.serviceWorker.ready;
  while (ready.active.state !== "activated") await new Promise((done) => setTimeout(done, 20));
  return ready.active.scriptURL;
}"""
SHOWN = """async () => {
  const ready = await navigator.serviceWorker.ready;
  for (let i = 0; i < 250; i++) {
    const found = await ready.getNotifications();
    if (found.length) return found.map((one) => [one.title, one.body]);
    await new Promise((done) => setTimeout(done, 20));
  }
  return [];
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        yield made
        made.close()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Inside]:
    with Stage(tmp_path) as stage, Inside(stage) as found:
        yield found


def delivered(context: BrowserContext, page: Page, origin: str, data: str) -> list[list[str]]:
    """What the worker shows for a push with these bytes."""
    session = context.new_cdp_session(page)
    ids: list[str] = []
    session.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda event: ids.extend(
            one["registrationId"] for one in event["registrations"] if one["scopeURL"] == f"{origin}/"
        ),
    )
    session.send("ServiceWorker.enable")
    while not ids:
        page.wait_for_timeout(50)
    found: list[list[str]] = []
    for _ in range(4):  # on a busy machine one was lost while the worker had only just begun
        session.send("ServiceWorker.deliverPushMessage", {"origin": origin, "registrationId": ids[-1], "data": data})
        found = list(page.evaluate(SHOWN))
        if found:
            break
    return found


def test_a_push_shows_that_something_waits_and_no_more(browser: Browser, web: Inside) -> None:
    context = browser.new_context(permissions=["notifications"])
    context.grant_permissions(["notifications"], origin=web.url)
    page = context.new_page()
    page.goto(web.web.link())
    page.goto(f"{web.url}/pair")
    assert page.evaluate(REGISTER) == f"{web.url}/sw.js"
    assert delivered(context, page, web.url, "") == [["bot-bottle", "Something waits for your answer."]]
    assert web.reports == []
    context.close()


def test_a_push_with_a_number_says_the_number(browser: Browser, web: Inside) -> None:
    context = browser.new_context(permissions=["notifications"])
    context.grant_permissions(["notifications"], origin=web.url)
    page = context.new_page()
    page.goto(f"{web.url}/pair")
    page.evaluate(REGISTER)
    shown = delivered(context, page, web.url, '{"waiting": 3}')
    assert shown == [["bot-bottle", "3 requests wait for your answer."]]
    context.close()


def test_a_script_of_another_name_is_no_worker(browser: Browser, web: Inside) -> None:
    """The policy lets the page make worker URLs by one named policy only."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(f"{web.url}/pair")
    refused = page.evaluate(
        "() => { try { trustedTypes.createPolicy('other', {}); return '' } catch (e) { return e.name } }"
    )
    assert refused == "TypeError"
    refused = page.evaluate("() => navigator.serviceWorker.register('/sw.js').then(() => '', (e) => e.name)")
    assert refused == "TypeError"
    context.close()


def test_a_subscription_belongs_to_a_device_and_ends_with_it(web: Inside) -> None:
    from bot_bottle.web.security import CSRF_HEADER
    from bot_bottle.web.sessions import Sessions, csrf

    person = web.session("device")
    mine = person | {CSRF_HEADER: csrf(person["cookie"].partition("=")[2]), "content-type": "application/json"}
    body = (
        b'{"endpoint": "https://updates.push.services.mozilla.com/wpush/v2/abc", "auth": "tBHItJI5svbpez7KI4CCXg",'
        b' "p256dh": "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"}'
    )
    assert web.raw("POST", "/api/v1/push-subscriptions", mine, body).status == 204
    device = Sessions(web.web.office.store).devices()[0].id
    assert [one.device for one in push.subscriptions(web.web.office.home.web)] == [device]
    elsewhere = body.replace(b"updates.push.services.mozilla.com", b"169.254.169.254")
    assert web.raw("POST", "/api/v1/push-subscriptions", mine, elsewhere).status == 422
    admin = web.session()
    token = {CSRF_HEADER: csrf(admin["cookie"].partition("=")[2])}
    assert web.raw("DELETE", f"/api/v1/devices/{device}", admin | token).status == 204
    assert push.subscriptions(web.web.office.home.web) == []
