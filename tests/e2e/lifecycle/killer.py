"""A launcher that kills one of the four processes with SIGKILL at a numbered step. Run as a program: step victim.

victim: launcher | keeper | gateway | bottle. Prints the exit code that a person would see, or dies.
"""

import os
import signal
import sys

from bot_bottle.api import Host, Request, prepare
from bot_bottle.base.errors import BottleError
from bot_bottle.bottles.run import Run
from bot_bottle.bottles.streams import Pipes


def pid_of(run: Run, victim: str) -> int:
    """0 where that process does not exist yet."""
    crew = run.crew or run.wishes.crew
    assert crew is not None
    known = {
        "launcher": os.getpid(),
        "keeper": crew.keeper.pid,
        "gateway": crew.gateway.pid if crew.gateway else 0,
        "bottle": run.bottle.pid if run.bottle else 0,
    }
    return known[victim]


def main(step: str, victim: str, *argv: str) -> int:
    def kill(name: str, run: Run) -> None:
        pid = pid_of(run, victim) if name == step else 0
        if pid:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    request = Request(bottles=("b",), workspace=os.getcwd(), argv=argv, label="crash", wall_clock=1)
    try:
        return prepare(request, Host()).start(Pipes(), step=kill).exit_code
    except BottleError as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
