"""An ask waits: the person at the terminal is told, and nothing is drawn into the agent's screen.

Where there is a desktop it tells them; tmux shows it in its own status line; else the terminal itself is asked to, by
the bell and OSC 9, which set no cell of the screen and which a terminal that does not know them drops. They go
through the relay, behind whole sequences only. Where the agent has no terminal, it is a line on standard error.
It names the label and our own commands, no word that an agent chose (B73); at most one in ten seconds (B74).
"""

import os
import time
from collections.abc import Callable, Mapping

from bot_bottle.keeper.messages.launcher import AskWaits
from bot_bottle.supervise.model import AskState

QUIET_SECONDS = 10.0
_DRAWS_OSC = ("linux", "dumb", "screen", "vt")
"""Terminals that may show an unknown command as text: they get the bell alone."""

Ring = Callable[[bytes], bool]


class Notices:
    """ring: gives bytes to the person's own terminal, False where the agent has none. say: a line on standard error.
    spawn: starts a program and waits for nothing."""

    def __init__(
        self,
        environ: Mapping[str, str],
        ring: Ring,
        say: Callable[[str], None],
        spawn: Callable[[list[str], Mapping[str, str]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._environ = environ
        self._ring = ring
        self._say = say
        self._spawn = spawn or begin
        self._clock = clock
        self._quiet_until = 0.0
        self.waiting: set[str] = set()

    def heard(self, label: str, word: AskWaits) -> None:
        """A word of the keeper about an ask."""
        if word.state is not AskState.WAITING:
            self.waiting.discard(word.ask)
            return
        self.waiting.add(word.ask)
        if self._clock() < self._quiet_until:
            return
        self._quiet_until = self._clock() + QUIET_SECONDS
        self._tell(f"{label} asks for an answer. In another terminal: bot-bottle supervise", word)

    def _tell(self, text: str, word: AskWaits) -> None:
        bell = b"" if self._environ.get("TMUX") else sequence(text, self._environ.get("TERM", ""))
        if not self._ring(bell):
            self._say(f"bot-bottle: {word.sentence} Answer: bot-bottle approve {word.ask}, or deny {word.ask}")
            return
        for argv in programs(text, self._environ):
            self._spawn(argv, self._environ)


def sequence(text: str, term: str) -> bytes:
    """What a terminal is sent: bell, and a notice where it knows one (OSC 9, ended by ST)."""
    if not term or term.startswith(_DRAWS_OSC):
        return b"\x07"
    return b"\x07\x1b]9;" + text.encode("ascii", "replace") + b"\x1b\\"


def programs(text: str, environ: Mapping[str, str]) -> list[list[str]]:
    """Programs of this host that can tell it: the desktop's and tmux."""
    import shutil

    found: list[list[str]] = []
    desktop = shutil.which("notify-send", path=environ.get("PATH", os.defpath))
    if desktop and (environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY")):
        found.append([desktop, "--app-name=bot-bottle", "--", "bot-bottle", text])
    tmux = shutil.which("tmux", path=environ.get("PATH", os.defpath))
    if tmux and environ.get("TMUX"):
        pane = ["-t", environ["TMUX_PANE"]] if environ.get("TMUX_PANE") else []
        found.append([tmux, "display-message", *pane, text.replace("#", "##")])
    return found


def begin(argv: list[str], environ: Mapping[str, str]) -> None:
    """Without our terminal, without a shell, in /; what it says and whether it works is nobody's matter."""
    import subprocess  # few bottles ask anything

    names = (
        "PATH",
        "HOME",
        "DISPLAY",
        "WAYLAND_DISPLAY",
        "XAUTHORITY",
        "XDG_RUNTIME_DIR",
        "DBUS_SESSION_BUS_ADDRESS",
        "TMUX",
        "TMPDIR",
    )
    env = {name: environ[name] for name in names if name in environ}
    null = subprocess.DEVNULL
    try:
        subprocess.Popen(argv, stdin=null, stdout=null, stderr=null, cwd="/", env=env, start_new_session=True)
    except OSError:
        return
