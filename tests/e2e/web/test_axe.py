"""axe-core finds nothing serious or critical on any page, in both themes, wide and on a phone; every page is whole."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page

from dashboard_stage import busy
from web_stage import Inside, Stage

PAGES = (
    "/", "/inbox", "/inbox?tab=missed", "/inbox?tab=answered", "/inbox?q=nothing-like-it", "/bottle/fix-login-422", "/live",
    "/reach", "/reach?of=bottle:web", "/policy", "/policy?bottle=shop", "/log", "/settings", "/no-such-page",
)  # fmt: skip
EMPTY = ("/", "/inbox", "/live", "/reach", "/policy", "/log", "/settings")
_RUN = """() => axe.run(document, {resultTypes: ["violations"], rules: {"color-contrast": {enabled: true}}}).then(
  found => found.violations.map(one => [one.impact, one.id, one.nodes.slice(0, 3).map(node => node.html.slice(0, 160))]))"""


def wrong(page: Page, url: str, paths: tuple[str, ...]) -> list[Any]:
    """Serious and critical violations of all these pages."""
    found: list[Any] = []
    for path in paths:
        page.goto(f"{url}{path}")
        page.locator("main").wait_for()
        found += [(path, *one) for one in page.evaluate(_RUN) if one[0] in ("serious", "critical")]
    return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_page_has_a_serious_fault(
    stage: Stage, web: Inside, watched: Callable[..., Any], axe: str, theme: str
) -> None:
    busy(stage)
    with watched(color_scheme=theme) as page:
        page.add_init_script(axe)
        assert wrong(page, web.url, PAGES) == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_nor_on_a_phone(stage: Stage, web: Inside, watched: Callable[..., Any], axe: str, theme: str) -> None:
    busy(stage)
    with watched(color_scheme=theme, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True) as page:
        page.add_init_script(axe)
        assert (
            wrong(
                page,
                web.url,
                ("/", "/inbox", "/bottle/fix-login-422", "/settings", "/live", "/reach", "/policy", "/log"),
            )
            == []
        )
        page.goto(f"{web.url}/inbox")
        page.locator(".scopebtn").tap()
        assert [one for one in page.evaluate(_RUN) if one[0] in ("serious", "critical")] == []


def test_nor_where_there_is_nothing_yet(web: Inside, person: Page, axe: str) -> None:
    person.add_init_script(axe)
    assert wrong(person, web.url, EMPTY) == []


def test_axe_would_find_one(web: Inside, person: Page, axe: str) -> None:
    """Positive control: the same run finds a field without a name."""
    person.add_init_script(axe)
    person.goto(f"{web.url}/settings")
    person.evaluate("() => document.querySelector('main').append(document.createElement('input'))")
    assert ["critical", "label"] in [one[:2] for one in person.evaluate(_RUN)]
