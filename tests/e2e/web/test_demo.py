"""Acceptance 1: `bot-bottle demo` ends with the dashboard open on a real rogue run with one ask waiting; answering it on a
phone's screen lets exactly its bytes through. Pictures are kept beside the test's output.
"""

import os
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from e2e.lifecycle.world import PROGRAM

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(180)]


class Demo:
    """The demo as a stranger runs it, with its lines."""

    def __init__(self, home: Path) -> None:
        env = {"HOME": str(home), "PATH": os.environ["PATH"]}
        self.process = subprocess.Popen(
            [*PROGRAM, "demo", "--dashboard"], env=env, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, start_new_session=True,
        )  # fmt: skip
        self.lines: list[str] = []

    def until(self, pattern: str) -> "re.Match[str]":
        """Reads on until a line has it."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            if found := re.search(pattern, line):
                return found
        raise AssertionError("".join(self.lines))

    def close(self) -> str:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.lines.append(self.process.communicate(timeout=120)[0])
        return "".join(self.lines)


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    one = Demo(tmp_path)
    yield one
    one.close()


def pictures(name: str) -> str:
    place = Path(os.environ.get("BOT_BOTTLE_PICTURES", Path(__file__).parents[3] / "build" / "pictures"))
    place.mkdir(parents=True, exist_ok=True)
    return str(place / f"{name}.png")


def test_the_demo_ends_with_an_ask_that_a_person_lets_through(demo: Demo) -> None:
    demo.until(r"10 of 10 ways out were held")
    link = demo.until(r"The dashboard: (http://127\.0\.0\.1:\d+/\?key=\S+)").group(1)
    errors: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page: Any = browser.new_page(viewport={"width": 390, "height": 844}, color_scheme="dark")
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(link)
        page.screenshot(path=pictures("demo-now"))
        page.goto(link.partition("/?")[0] + "/inbox")
        page.locator("#sentence", has_text="board.example").wait_for()
        page.get_by_text("discount.py is mended").first.wait_for()  # the held bytes, from the gateway
        page.screenshot(path=pictures("demo-inbox"), full_page=True)
        page.locator("html[data-seen]").wait_for(state="attached")  # before, no answer counts
        page.locator("button[name=answer][value=allow]").click()
        said = demo.until(r"The ask was (\w+): (.*)")
        assert said.group(1) == "allowed"
        assert "exactly its bytes reached the board" in said.group(2)
        page.screenshot(path=pictures("demo-answered"), full_page=True)
        browser.close()
    assert errors == []
    text = demo.close()
    assert demo.process.returncode == 0, text
