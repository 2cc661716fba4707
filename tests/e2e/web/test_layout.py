"""Every page, from a phone to a desk, in both themes, with ordinary and with very long names: nothing is wider than the
window, no text is cut without saying so, and none lies on another (WCAG 1.4.10)."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, Page

from dashboard_stage import busy, lengthy
from web_stage import Bottle, Inside, Stage, until

PHONE = {"has_touch": True, "is_mobile": True}
SCREENS: tuple[tuple[dict[str, Any], tuple[int, int]], ...] = ((PHONE, (360, 390)), ({}, (768, 1280)))
"""Settings of a browser, and the widths of its window."""
PAGES = (
    "/", "/inbox", "/inbox?tab=missed", "/inbox?tab=answered", "/inbox?q=nothing-like-it", "/bottle/{label}", "/live",
    "/live?q=no-such-field:1", "/reach", "/reach?of=bottle:web", "/policy?bottle=shop", "/policy?bottle=shop&propose=1",
    "/policy?bottle=shop&method=POST&url=https://hooks.example.net/t/9f31c2/in", "/log", "/settings", "/pair",
    "/no-such-page", "/record/{run}/2", "/record/{run}/2?proof=1", "/reach?of=run:{run}&in=run&host=api.model.example",
)  # fmt: skip
LONG = (
    "/", "/inbox", "/inbox?tab=missed", "/bottle/{label}", "/live", "/reach", "/reach?of=bottle:web", "/log",
    "/record/{run}/60?proof=1",
)  # fmt: skip
EMPTY = ("/", "/inbox", "/live", "/reach", "/policy", "/log", "/settings")

WRONG = """() => {
  const wide = document.documentElement.clientWidth, found = [], seen = [];
  if (document.documentElement.scrollWidth > wide) found.push(`the page is ${document.documentElement.scrollWidth} of ${wide} px wide`);
  const tabs = document.querySelector(".tabs");
  if (tabs && tabs.scrollWidth > tabs.clientWidth) found.push("the tabs do not fit");
  for (const one of document.querySelectorAll("button, .btn, .tag")) {
    const box = one.getBoundingClientRect();
    const out = [...one.children].some(part => getComputedStyle(part).clipPath === "none" && part.getClientRects().length && (part.getBoundingClientRect().right > box.right || part.getBoundingClientRect().left < box.left));
    if (box.width && getComputedStyle(one).clipPath === "none" && out) found.push(`out of its button: ${one.textContent.trim()}`);
  }
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, one = node.parentElement, text = node.data.trim().slice(0, 60);
    if (!text || one.closest("script, template, style, noscript, svg, option, .vh, .skip") || !one.checkVisibility({visibilityProperty: true})) continue;
    const range = document.createRange();
    range.selectNodeContents(node);
    const boxes = [...range.getClientRects()].filter(box => box.width > 1 && box.height > 1)
      .map(box => ({left: box.left, right: box.right, top: box.top, bottom: box.bottom}));
    let hidden = false, told = false, cut = 0;
    for (let over = one; over && over !== document.body; over = over.parentElement) {
      const style = getComputedStyle(over);
      hidden ||= style.clipPath !== "none" && style.position === "absolute";
      told ||= over.hasAttribute("title");
      if (style.display === "inline" || (style.overflowX === "visible" && style.overflowY === "visible")) continue;
      const edge = over.getBoundingClientRect();
      const says = told || style.textOverflow === "ellipsis" || /auto|scroll/.test(style.overflowX + style.overflowY);
      for (const box of boxes) {
        if (!says) cut = Math.max(cut, box.right - edge.right - 1.5, edge.left - box.left - 1.5, box.bottom - edge.bottom - 3, edge.top - box.top - 3);
        Object.assign(box, {left: Math.max(box.left, edge.left), right: Math.min(box.right, edge.right), top: Math.max(box.top, edge.top), bottom: Math.min(box.bottom, edge.bottom)});
      }
    }
    if (hidden) continue;
    if (cut > 0) found.push(`cut: ${text}`);
    const layer = one.closest(".top, .answer, .buttons");
    for (const box of boxes) {
      if (box.right - box.left < 1 || box.bottom - box.top < 1) continue;
      if (box.right > wide + 1 || box.left < -1) found.push(`outside: ${text}`);
      for (const [other, last, place, under] of seen) {
        if (other === node || under !== layer) continue;
        const x = Math.min(box.right, place.right) - Math.max(box.left, place.left), y = Math.min(box.bottom, place.bottom) - Math.max(box.top, place.top);
        if (x > 3 && y > 8) found.push(`on one another: ${last} / ${text}`);
      }
      seen.push([node, text, box, layer]);
    }
  }
  return found.slice(0, 8);
}"""


@contextmanager
def windows(page: Page, widths: tuple[int, int]) -> Generator[Callable[[], dict[str, Any]]]:
    """What is wrong with the page that is open, for each width and theme where something is."""

    def look() -> dict[str, Any]:
        found: dict[str, Any] = {}
        for width in widths:
            page.set_viewport_size({"width": width, "height": 800})
            for theme in ("light", "dark"):
                page.emulate_media(color_scheme=theme)
                if wrong := page.evaluate(WRONG):
                    found[f"{width} {theme}"] = wrong
        return found

    yield look


def survey(
    web: Inside, watched: Callable[..., Any], paths: tuple[str, ...], bottle: Bottle | None = None
) -> dict[str, Any]:
    """Path -> width and theme -> what is wrong."""
    names = {"label": bottle.label, "run": bottle.identity.run} if bottle else {}
    found: dict[str, Any] = {}
    for settings, widths in SCREENS:
        with watched(viewport={"width": widths[0], "height": 800}, **settings) as page, windows(page, widths) as look:
            for path in paths:
                page.goto(web.url + path.format_map(names))
                page.locator("main h1").first.wait_for(state="attached")
                until(lambda: not page.locator("#inbox .loading:visible").count())
                if wrong := look():
                    found[path] = found.get(path, {}) | wrong
    return found


def indexed(web: Inside, watched: Callable[..., Any]) -> None:
    """The pages have something to show."""
    with watched() as page:

        def shown() -> bool:
            page.goto(f"{web.url}/reach?of=bottle:web")
            return page.locator("tr[data-row]").count() > 4

        until(shown)


def test_every_page_fits(stage: Stage, web: Inside, watched: Callable[..., Any]) -> None:
    bottle = busy(stage)[0]
    indexed(web, watched)
    assert survey(web, watched, PAGES, bottle) == {}


def test_also_with_very_long_names(stage: Stage, web: Inside, watched: Callable[..., Any]) -> None:
    bottle = lengthy(stage)
    indexed(web, watched)
    assert survey(web, watched, LONG, bottle) == {}


def test_and_where_there_is_nothing_yet(web: Inside, watched: Callable[..., Any]) -> None:
    assert survey(web, watched, EMPTY) == {}


def test_settings_with_devices_and_tokens(web: Inside, watched: Callable[..., Any]) -> None:
    """The widest rows of Settings come by themselves; here with names as long as they may be."""
    with watched() as page:
        page.goto(f"{web.url}/settings")
        page.get_by_label("Name", exact=True).fill(
            "the nightly import into the data warehouse of the company, really"
        )
        for scope in ("answer", "control", "admin"):
            page.get_by_label(scope).check()
        page.get_by_role("button", name="New token").click()
        page.get_by_role("status").filter(has_text="never again").wait_for()
        page.wait_for_load_state()  # the styles are there too
        page.set_viewport_size({"width": 360, "height": 800})
        assert page.evaluate(WRONG) == []
    assert survey(web, watched, ("/settings",)) == {}


def test_who_is_not_signed_in_sees_whole_pages_too(chromium: Browser, web: Inside) -> None:
    for settings, widths in SCREENS:
        context = chromium.new_context(**settings)
        page = context.new_page()
        with windows(page, widths) as look:
            for path in ("/", "/pair"):
                page.goto(web.url + path)
                page.locator("main h1").wait_for()
                assert look() == {}, path
        context.close()


def test_every_scope_of_an_answer_fits_its_button(stage: Stage, web: Inside, watched: Callable[..., Any]) -> None:
    """What is chosen is said on the button; before a file is changed, its change is passed on the way to the button."""
    busy(stage)
    for settings, widths in SCREENS:
        with watched(viewport={"width": widths[0], "height": 800}, **settings) as page, windows(page, widths) as look:
            page.goto(f"{web.url}/inbox")
            until(lambda: not page.locator("#inbox .loading:visible").count())
            for scope in ("once", "run", "bottle", "project", "always"):
                page.evaluate("scope => document.querySelector(`[name=scope][value=${scope}]`).checked = true", scope)
                assert look() == {}, scope
                if not settings:
                    place = page.locator(".buttons").evaluate("one => getComputedStyle(one).position")
                    assert place == ("static" if scope == "always" else "sticky")


def test_they_would_find_something(stage: Stage, web: Inside, person: Page) -> None:
    """Positive control: what is too wide, cut and covered is found by the same lines; an ellipsis is no fault."""
    person.goto(f"{web.url}/settings")
    person.locator("main h1").wait_for()
    assert person.evaluate(WRONG) == []
    person.evaluate(
        """() => {
          const add = (text, style) => { const one = document.createElement("div"); one.textContent = text; Object.assign(one.style, style); document.querySelector("main").append(one); };
          add("clipped words", {width: "4em", overflow: "hidden", whiteSpace: "nowrap"});
          add("words with dots", {width: "4em", overflow: "hidden", whiteSpace: "nowrap", textOverflow: "ellipsis"});
          add("below", {height: "1.5em"});
          add("above", {marginTop: "-1.5em"});
          add("wide", {width: "4000px"});
          const button = document.createElement("button");
          button.append(Object.assign(document.createElement("b"), {textContent: "too much for it"}));
          button.style.width = "3em";
          document.querySelector("main").append(button);
        }"""
    )
    found = person.evaluate(WRONG)
    assert any("px wide" in one for one in found), found
    assert "cut: clipped words" in found
    assert "out of its button: too much for it" in found
    assert not any("dots" in one for one in found)
    assert any(one.startswith("on one another: below / above") for one in found)
