"""Acceptance 3: the real agents at a terminal, from the first screen to the last daemon (facts: agents 11)."""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.agents.person import Person
from e2e.agents.screen import Screen
from e2e.agents.traps import plant

pytestmark = [pytest.mark.bottle, pytest.mark.agents, pytest.mark.slow, pytest.mark.timeout(600)]
READY = {"claude": "bypass permissions on", "codex": "Ask Codex to do anything", "pi": "Pi can explain"}
UNWANTED = (
    "Do you trust", "Folder access", "Sign in", "Log in", "Select login method", "Choose the text style",
    "Hooks need review", "Unable to connect", "detected a custom API key", "Welcome to",
)  # fmt: skip


def processes(needle: Path) -> list[str]:
    """Command lines of all processes that name this test's folder or run in it."""
    found: list[str] = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
            place = os.readlink(f"/proc/{pid}/cwd")
        except OSError:
            continue
        if (str(needle) in line or place.startswith(str(needle))) and "fake_model.py" not in line:
            found.append(line)
    return found


@pytest.mark.parametrize("trapped", [False, True], ids=["plain", "trapped"])
@pytest.mark.parametrize("name", sorted(READY))
def test_s10_a_person_works_with_an_agent(person: Callable[..., Person], name: str, trapped: bool) -> None:
    somebody = person(name)
    if trapped:
        plant(somebody.project)
    argv = somebody.command("start", name, "--bottle", "lab", "--apply")
    screen = Screen(argv, somebody.project, somebody.env)
    screen.shows(READY[name])
    assert [word for word in UNWANTED if word in screen.text()] == []
    screen.type("Create hello.txt")
    screen.shows("Created hello.txt")

    before = len(screen.raw)
    screen.resize(30, 90)
    screen.until(lambda: len(screen.raw) > before)
    if name != "codex":
        screen.until(lambda: "\n" + "─" * 90 + "\n" in screen.text())
    screen.shows("Created hello.txt")

    screen.child.send("\x03")
    screen.pump(0.5)
    assert screen.child.isalive(), "one ctrl-C ends the turn, not the program"
    screen.child.send("\x03")
    screen.pump(0.5)
    if screen.child.isalive():
        screen.child.send("\x04")
    assert screen.ended() == 0, screen.text()
    assert b"allowed" in screen.raw and b"record" in screen.raw

    assert (somebody.project / "hello.txt").read_text() == "hello from fake model\n"
    assert list(somebody.project.glob("PWNED*")) == []
    deadline = time.monotonic() + 5
    while processes(somebody.folder) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert processes(somebody.folder) == []
    assert somebody.key.encode() not in screen.raw
