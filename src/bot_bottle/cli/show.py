"""What the verbs print for a person: the end of a run, questions, tables. Errors are printed in cli/main.py only."""

import contextlib
import os
import sys
from typing import TYPE_CHECKING

from bot_bottle.api.wiring import Host
from bot_bottle.base.text import visible
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.plan import Plan
from bot_bottle.bottles.summary import lines

if TYPE_CHECKING:
    from bot_bottle.api.bottles import Prepared


def host(ask: bool) -> Host:
    """This host; ask: a person is at the terminal and can answer."""
    return Host(dict(os.environ), confirm=question if ask else refuse, say=tell, terminal=0 if os.isatty(0) else -1)


def refuse(_question: str) -> bool:
    """Nobody is there to ask: no."""
    return False


def tell(line: str) -> None:
    """One line for the person. A terminal that is gone must not stop the end of a run."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr)


def question(text: str) -> bool:
    """A yes/no question on the terminal; everything but yes is no, also a terminal that is gone."""
    try:
        print(f"{text} [y/N] ", end="", file=sys.stderr, flush=True)
        return sys.stdin.readline().strip().lower() in ("y", "yes")
    except (KeyboardInterrupt, OSError):
        return False


def warn(plan: Plan) -> None:
    """What a person should know before the agent runs."""
    for warning in plan.warnings:
        print(f"warning: {visible(warning, 500)}", file=sys.stderr)


def finished(outcome: Outcome) -> None:
    """The five lines on standard error, and why it ended where that was not the agent's own doing."""
    say = [f"bot-bottle: {outcome.reason}"] if outcome.reason else []
    for line in (*say, *lines(outcome), *work(outcome)):
        tell(line)


def work(outcome: Outcome) -> list[str]:
    """Where the agent's work is now."""
    label = outcome.label
    where = {
        "applied": "changes   applied to the workspace",
        "kept": f"changes   in the branch {outcome.branch}",
        "discarded": "changes   thrown away (--apply or --keep would have kept them)",
        "waiting": f"changes   wait: bot-bottle changes show {label}; then apply, keep or discard {label}",
    }
    return [where[outcome.done]] if outcome.done in where else []


def show_plan(prepared: "Prepared", as_json: bool) -> None:
    """Everything that would be done, and nothing of it done."""
    from bot_bottle.bottles import plan_text

    prepared.close()
    if as_json:
        print(plan_text.as_json(prepared.plan).decode())
    else:
        print(plan_text.as_text(prepared.plan), end="")
