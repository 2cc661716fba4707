"""Notices during `start`: nothing is drawn into the agent's screen, no word of an agent is in them (B73, B74)."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from bot_bottle.bottles.notice import Notices, programs, sequence
from bot_bottle.keeper.messages.launcher import AskWaits
from bot_bottle.supervise.model import AskState

EVIL = "evil\x1b[2J.example"
WAITS = AskWaits("a-one", AskState.WAITING, f"fix wants to read from {EVIL}")


class Person:
    """A terminal, a standard error, a desktop, a clock."""

    def __init__(self, terminal: bool, environ: Mapping[str, str]) -> None:
        self.rung: list[bytes] = []
        self.lines: list[str] = []
        self.begun: list[list[str]] = []
        self.now = 100.0
        self._terminal = terminal
        self.notices = Notices(
            environ, self.ring, self.lines.append, lambda argv, _: self.begun.append(argv), lambda: self.now
        )

    def ring(self, data: bytes) -> bool:
        if self._terminal:
            self.rung.append(data)
        return self._terminal


@pytest.fixture
def tools(tmp_path: Path) -> str:
    for name in ("notify-send", "tmux"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    return str(tmp_path)


def test_at_a_terminal_it_is_bell_and_osc_and_nothing_that_moves_a_cursor() -> None:
    person = Person(True, {"TERM": "xterm-256color", "PATH": "/nowhere"})
    person.notices.heard("fix", WAITS)
    (rung,) = person.rung
    assert rung.startswith(b"\x07\x1b]9;")
    assert rung.endswith(b"\x1b\\")
    assert b"\x1b[" not in rung
    assert b"supervise" in rung
    assert b"evil" not in rung
    assert person.lines == []


@pytest.mark.parametrize("term", ["", "dumb", "linux", "screen-256color", "vt100"])
def test_a_terminal_that_may_print_what_it_does_not_know_gets_the_bell_alone(term: str) -> None:
    assert sequence("x", term) == b"\x07"


def test_without_a_terminal_it_is_a_line_with_what_to_type() -> None:
    person = Person(False, {"DISPLAY": ":0"})
    person.notices.heard("fix", WAITS)
    (line,) = person.lines
    assert "bot-bottle approve a-one" in line
    assert person.begun == []


def test_the_desktop_and_tmux_are_told_by_argument_lists(tools: str) -> None:
    environ = {"PATH": tools, "DISPLAY": ":0", "TMUX": "/tmp/x,1,0", "TMUX_PANE": "%3", "TERM": "tmux-256color"}
    person = Person(True, environ)
    person.notices.heard("fix", WAITS)
    desktop, tmux = person.begun
    assert desktop[0].endswith("/notify-send")
    assert tmux[1:4] == ["display-message", "-t", "%3"]
    assert person.rung == [b""]  # tmux has its own line; its pane gets not even a bell
    assert all("evil" not in word for argv in person.begun for word in argv)
    assert programs("50% #{pane}", environ)[1][-1] == "50% ##{pane}"


def test_b74_one_notice_in_ten_seconds() -> None:
    person = Person(True, {"TERM": "xterm"})
    for number in range(500):
        person.notices.heard("fix", AskWaits(f"a-{number}", AskState.WAITING, "x"))
    assert len(person.rung) == 1
    person.now += 11
    person.notices.heard("fix", AskWaits("a-0", AskState.DENIED, "x"))
    assert len(person.rung) == 1
    person.notices.heard("fix", WAITS)
    assert len(person.rung) == 2
    assert len(person.notices.waiting) == 500
