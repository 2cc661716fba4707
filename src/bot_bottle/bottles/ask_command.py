"""The command `bottle-ask` that every bottle has, for agents without MCP: a small sh script, shown read-only."""

import functools
import os

from bot_bottle.bottles.plan import Seed
from bot_bottle.policy.inside import COMMAND

DIRECTORY = os.path.dirname(COMMAND)
"""On the PATH of every bottle, behind all else."""
_SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bottle-ask.sh")


@functools.cache
def text() -> str:
    """The script, the same for every bottle of this release."""
    with open(_SOURCE, encoding="utf-8") as file:
        return file.read()


def seed() -> Seed:
    """Where it lies inside."""
    return Seed(COMMAND, text(), executable=True)
