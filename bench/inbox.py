"""The inbox with 500 asks that wait, in Chromium at a fourth of its speed: from a key to the painted result.

The server runs beside it at full speed on the same machine. Each figure is the time from the key press to the first
frame that shows the result: the next card, the next request after an answer, the filtered queue; `input` is the longest
"event timing" entry (INP) of the run, which is what a person feels as a page that does not react.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from playwright.sync_api import Page

from dashboard_stage import crowd
from records_stage import chromium, signed_in
from web_stage import Inside, Stage

ASKS, TURNS, SLOWER = 500, 20, 4
_WATCH = """(() => {
  window.slowest = 0;
  new PerformanceObserver(list => { for (const e of list.getEntries()) if (e.interactionId) window.slowest = Math.max(window.slowest, e.duration); })
    .observe({type: "event", durationThreshold: 16, buffered: true});
  window.shown = 0;
  let last = "";
  const look = () => {
    const now = (document.querySelector("#card")?.dataset.ask || "") + document.querySelector("h1")?.textContent;
    if (now !== last) { last = now; window.shown = performance.timeOrigin + performance.now(); }
    requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
  window.pressed = 0;
  addEventListener("keydown", e => { window.pressed = performance.timeOrigin + e.timeStamp; }, true);
})()"""


def turn(page: Page, key: str) -> float:
    """Milliseconds from the key to the first frame with another card or another count."""
    until(page, "!!document.documentElement.dataset.seen")
    page.keyboard.press(key)
    until(page, "window.shown > window.pressed")
    return float(page.evaluate("window.shown - window.pressed"))


def until(page: Page, what: str) -> None:
    end = time.monotonic() + 20
    while not page.evaluate(what):
        if time.monotonic() > end:
            raise SystemExit(f"bench: {what} never came")
        time.sleep(0.01)


def measure() -> None:
    with tempfile.TemporaryDirectory() as scratch, Stage(Path(scratch)) as stage:
        bottle = stage.running("swarm")
        crowd(stage, bottle, ASKS)
        with Inside(stage) as web, chromium() as browser, signed_in(browser, web) as page:
            page.add_init_script(_WATCH)
            page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
            page.goto(f"{web.url}/inbox")
            first = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime || 0")
            until(page, "!!document.querySelector('#events')?._htmx?.sse?.reader")
            print(f"{ASKS} asks wait, processor {SLOWER} times slower; {TURNS} turns each; ms\n")
            print("| from the key to the painted result | median | p95 | worst |\n|---|--:|--:|--:|")
            steps: tuple[tuple[str, Callable[[int], str]], ...] = (
                ("`j`: the next card", lambda _: "j"), ("`k`: the one before", lambda _: "k"),
                ("`a`, `d`: answered, the next one shown", lambda n: "ad"[n % 2]),
            )  # fmt: skip
            for name, key in steps:
                found = sorted(turn(page, key(n)) for n in range(TURNS))
                print(
                    f"| {name} | {statistics.median(found):.0f} | {found[int(0.95 * TURNS) - 1]:.0f} | {found[-1]:.0f} |"
                )
            print(
                f"\nFirst paint {first:.0f} ms; longest interaction (INP) {page.evaluate('window.slowest'):.0f} ms."
            )


if __name__ == "__main__":
    measure()
