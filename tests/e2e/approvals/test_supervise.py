"""`supervise` in a real terminal, and the notice in the terminal of an interactive bottle."""

import os
import pty
import select
import subprocess
import time
from collections.abc import Callable

import pytest

from e2e.approvals.conftest import Approvals, until
from e2e.lifecycle.world import HOST, PROGRAM

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(120)]
URL = f"https://{HOST}/in"


class Typed:
    """A program of ours in a terminal of its own."""

    def __init__(self, world: Approvals, *words: str, term: str = "xterm-256color") -> None:
        self.master, slave = pty.openpty()
        self.process = subprocess.Popen(
            [*PROGRAM, *words], cwd=world.project, env={**world.env, "TERM": term, "TMUX": "", "LINES": "30", "COLUMNS": "100"},
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        self.seen = b""

    def sees(self, text: bytes, seconds: float = 20) -> None:
        self.until(lambda: text in self.seen, seconds)

    def until(self, done: Callable[[], bool], seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < end, self.seen[-2000:]
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    return

    def type(self, keys: str) -> None:
        os.write(self.master, keys.encode())

    def close(self) -> int:
        end = time.monotonic() + 20
        while self.process.poll() is None and time.monotonic() < end:
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536)
                except OSError:
                    break
        os.close(self.master)
        return self.process.wait(10)


def test_an_ask_appears_and_one_key_lets_it_go(world: Approvals) -> None:
    world.asks_first()
    live = Typed(world, "supervise")
    live.sees(b"Nothing waits")
    child = world.curl("-d", "x=1", URL)
    live.sees(b"wants to send")
    live.type("\r")
    live.sees(b"exactly what is held")
    live.sees(b"x=1")
    live.type("a")
    live.sees(b"allowed")
    assert child.communicate(timeout=30)[0] == "took x=1\n"
    live.type("q")
    assert live.close() == 0
    assert b"\x1b[?1049l" in live.seen, "the screen was given back"


def test_an_interactive_bottle_notices_without_a_cell_drawn(world: Approvals) -> None:
    world.asks_first()
    script = f"stty -echo; printf READY; curl -sS -d x=1 {URL} | tr t T; printf OVER"
    bottle = Typed(world, "run", "--label", "one", "--bottle", "b", "--", "sh", "-c", script)
    bottle.sees(b"READY")
    (ask,) = world.asked()
    bottle.sees(b"\x07\x1b]9;one asks for an answer.")
    world.cli("approve", ask["id"])
    bottle.sees(b"OVER")
    between = bottle.seen.partition(b"READY")[2].partition(b"Took")[0]
    left = between.partition(b"\x07")
    notice, _, after = left[2].partition(b"\x1b\\")
    assert notice.startswith(b"\x1b]9;")
    assert (left[0], after) == (b"", b""), "nothing but the notice stands between the agent's own words"
    bottle.close()


def test_once_as_json_is_what_the_issue_says(world: Approvals) -> None:
    world.asks_first()
    assert world.listed() == []
    child = world.curl("-d", "x=1", URL)
    (ask,) = world.asked()
    assert ask["id"].startswith("a-")
    assert ask["sentence"].startswith("one wants to send")
    text = world.cli("supervise", "--once").stdout
    assert ask["id"] in text
    world.cli("deny", ask["id"][2:])  # without its prefix
    child.communicate(timeout=30)
    until(lambda: world.listed() == [])
