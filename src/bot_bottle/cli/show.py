"""What the verbs print for a person: the end of a run, questions, tables. Errors are printed in cli/main.py only."""

import os
import sys

from bot_bottle.api.wiring import Host
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.summary import lines


def host(ask: bool) -> Host:
    """This host; ask: a person is at the terminal and can answer."""
    return Host(dict(os.environ), confirm=question if ask else refuse)


def refuse(_question: str) -> bool:
    """Nobody is there to ask: no."""
    return False


def question(text: str) -> bool:
    """A yes/no question on the terminal; everything but yes is no."""
    print(f"{text} [y/N] ", end="", file=sys.stderr, flush=True)
    try:
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except KeyboardInterrupt:
        return False


def finished(outcome: Outcome) -> None:
    """The five lines on standard error, and why it ended where that was not the agent's own doing."""
    say = [f"bot-bottle: {outcome.reason}"] if outcome.reason else []
    for line in (*say, *lines(outcome), *outcome.changes, *waiting(outcome)):
        print(line, file=sys.stderr)


def waiting(outcome: Outcome) -> list[str]:
    """How to go on with changes that wait."""
    if not outcome.kept:
        return []
    return [f"changes wait: bot-bottle changes {outcome.label}, then apply or discard."]
