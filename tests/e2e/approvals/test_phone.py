"""A phone in another network: Debian's Chromium with our authority installed pairs by the code of `serve --phone` and
answers a real held request on a 390x844 screen, over TLS (acceptance 1). Pictures are kept beside the test's output.
"""

import base64
import contextlib
import json
import os
import ssl
import urllib.request
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect, sync_playwright

from e2e.approvals.conftest import Approvals
from e2e.approvals.test_serve import Serve
from e2e.lifecycle.world import HOST
from one_network import cable, ip

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(180), pytest.mark.xdist_group("phone")]
CHROMIUM = os.environ.get("BOT_BOTTLE_CHROMIUM", "/usr/bin/chromium")
_NUMBER = os.getpid() % 250
HERE, THERE = f"10.78.{_NUMBER}.1", f"10.78.{_NUMBER}.2"  # each process has a network of its own
SPACE, NEAR, FAR = f"bb-web{os.getpid()}", f"bn{os.getpid()}", f"bf{os.getpid()}"


@pytest.fixture
def network() -> Iterator[str]:
    """A network namespace of its own, at the other end of a cable; what is only on this host's loopback is not there."""
    assert os.geteuid() == 0, "needs root to make a network"
    with cable(SPACE, (NEAR, HERE), (FAR, THERE)):
        ip("-n", SPACE, "link", "set", "lo", "up")
        ip("-n", SPACE, "route", "add", "default", "via", HERE)
        yield HERE


def fetched(path: str, serve: Serve) -> bytes:
    """What the dashboard gives before anybody is signed in, as a person who compared its fingerprint takes it."""
    free = ssl.create_default_context()
    free.check_hostname, free.verify_mode = False, ssl.CERT_NONE
    origin = str(serve.facts["phone"]["link"]).partition("/pair#")[0]
    with urllib.request.urlopen(f"{origin}{path}", context=free, timeout=15) as reply:
        return bytes(reply.read())


@contextlib.contextmanager
def phone(place: Path, authority: bytes = b"") -> Generator[Page]:
    """Chromium in that network, small, by touch. authority: DER of a CA that its owner installed; nothing else is waived."""
    rules = place / "etc" / "policies" / "managed"
    rules.mkdir(parents=True, exist_ok=True)
    installed = [base64.b64encode(authority).decode()] if authority else []
    (rules / "phone.json").write_text(json.dumps({"CACertificates": installed}))
    program = place / "chromium"
    program.write_text(
        f'#!/bin/sh\nexec ip netns exec {SPACE} unshare -m sh -c \'mount --bind "$0" /etc/chromium && exec {CHROMIUM} "$@"\' '
        f'{place / "etc"} "$@"\n'
    )  # fmt: skip
    program.chmod(0o700)
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=str(program), args=["--no-sandbox"])
        page = browser.new_page(
            viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True, color_scheme="dark"
        )
        page.set_default_timeout(20_000)
        yield page
        browser.close()


def picture(page: Page, name: str) -> None:
    place = Path(os.environ.get("BOT_BOTTLE_PICTURES", Path(__file__).parents[3] / "build" / "pictures"))
    place.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(place / f"{name}.png"))


def test_a_phone_pairs_and_lets_a_held_request_through(world: Approvals, network: str, tmp_path: Path) -> None:
    world.asks_first()
    serve = Serve(world, "--phone")
    try:
        link = str(serve.facts["phone"]["link"])
        held = world.curl("-d", "the build is red", f"https://{HOST}/in")
        (ask,) = world.asked()
        # whose owner has not installed our authority:
        with phone(tmp_path) as stranger, pytest.raises(Exception, match="ERR_CERT_AUTHORITY_INVALID"):
            stranger.goto(link)
        with phone(tmp_path, fetched("/authority.crt", serve)) as page:
            errors = complaints(page)
            page.goto(link.partition("/pair#")[0] + "/inbox")
            expect(page.locator("#sentence")).to_have_count(0)  # nobody is signed in here
            errors.clear()  # the console names the 401
            page.goto(link)
            assert page.evaluate("location.hash") == ""
            page.get_by_label("Name of this device").fill("Mara's phone")
            picture(page, "phone-pair")
            page.get_by_role("button", name="Pair").tap()
            page.wait_for_url("**/inbox*")
            expect(page.locator("#sentence")).to_contain_text(HOST)
            expect(page.locator(".wire pre")).to_contain_text("the build is red")
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            picture(page, "phone-inbox")
            page.locator("html[data-seen]").wait_for(state="attached")
            assert world.upstream.seen == []
            page.locator("button.yes").tap()
            out, err = held.communicate(timeout=60)
            assert "took the build is red" in out, (out, err)
            expect(page.locator(".empty")).to_contain_text("No bottle asks for anything")
            picture(page, "phone-answered")
            assert errors == []
        assert world.upstream.seen == [("/in", "the build is red")]
        assert world.state(ask["id"]) == "allowed"
        (answer,) = [one for one in world.records() if one.kind == "answer"]
        assert "device" in answer.approver or "Mara's phone" in json.dumps(answer.detail), answer
    finally:
        serve.close()


def complaints(page: Page) -> list[Any]:
    """What the page's scripts and the browser complain of, as it comes."""
    found: list[Any] = []
    page.on("pageerror", lambda error: found.append(str(error)))
    page.on("console", lambda message: found.append(message.text) if message.type == "error" else None)
    return found
