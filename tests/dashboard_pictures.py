"""Pictures of every page, from a real server with a busy home (scripts/pictures)."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page

from dashboard_stage import busy
from records_stage import chromium, signed_in
from web_stage import Inside, Stage, until

WIDE = {"width": 1280, "height": 900}
PHONE = {"width": 390, "height": 844}
PAGES = {
    "now": "/", "inbox": "/inbox", "bottle": "/bottle/fix-login-422", "live": "/live", "reach": "/reach?of=bottle:web",
    "policy": "/policy?bottle=shop", "log": "/log", "settings": "/settings",
}  # fmt: skip
ON_A_PHONE = ("now", "inbox")
IN_THE_DARK = ("inbox", "reach")


def picture(page: Page, url: str, path: Path, whole: bool = False) -> None:
    """The page as it settles: streams connected, held bytes there."""
    page.goto(url)
    until(lambda: bool(page.evaluate("!!document.querySelector('#events')?._htmx?.sse?.reader")))
    until(lambda: not page.locator("#inbox .loading:visible").count())
    page.screenshot(path=str(path), full_page=whole)


def shoot(browser: Browser, web: Inside, place: Path) -> None:
    views: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
        ("", {"viewport": WIDE, "color_scheme": "light"}, tuple(PAGES)),
        ("-dark", {"viewport": WIDE, "color_scheme": "dark"}, IN_THE_DARK),
        ("-phone", {"viewport": PHONE, "color_scheme": "light", "has_touch": True, "is_mobile": True}, ON_A_PHONE),
    ]
    for suffix, settings, names in views:
        with signed_in(browser, web, reduced_motion="reduce", **settings) as page:
            page.goto(f"{web.url}/bottle/fix-login-422")  # waits for the index
            for name in names:
                picture(page, f"{web.url}{PAGES[name]}", place / f"{name}{suffix}.png", whole=False)
            if suffix == "-phone":
                page.goto(f"{web.url}/inbox")
                page.locator(".scopebtn").tap()
                page.screenshot(path=str(place / "inbox-phone-scope.png"))


def main(place: Path) -> None:
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch, Stage(Path(scratch)) as stage:
        busy(stage)
        with Inside(stage, names=("kestrel",)) as web, chromium() as browser:
            shoot(browser, web, place)
    for path in sorted(place.glob("*.png")):
        print(f"{path}  {path.stat().st_size // 1000} KB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
