"""Asks a person for the passphrase of the secrets file, on a terminal that the launcher lent us by descriptor.

The launcher itself never sees it: keeper and terminal talk alone, without echo. Where nobody lent one, nobody asks.
"""

import os
import termios
from collections.abc import Callable

from bot_bottle.base.errors import OperatorFault

_PROMPT = b"Passphrase of the bot-bottle secrets: "
_LONGEST = 4096


def asker(terminal: int) -> Callable[[], str]:
    """What custody calls for a passphrase. terminal: descriptor, -1 for none."""
    return (lambda: ask(terminal)) if terminal >= 0 else nobody


def ask(terminal: int) -> str:
    """One line typed without echo; the terminal is as before afterwards."""
    before = termios.tcgetattr(terminal)
    silent = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    silent[3] |= termios.ICANON | termios.ISIG
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, silent)
        os.write(terminal, _PROMPT)
        typed = os.read(terminal, _LONGEST)
        os.write(terminal, b"\r\n")
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
    return typed.decode("utf-8", "surrogateescape").rstrip("\r\n")


def nobody() -> str:
    """There is no terminal: a sentence instead of a hang."""
    raise OperatorFault(
        "custody.passphrase",
        "The secrets file is locked with a passphrase, and there is no terminal to ask at.",
        "Start it at a terminal, or choose the keyring or the key file in secrets/config.toml.",
    )
