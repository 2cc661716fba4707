"""The command that every bottle has, as root and as an ordinary user: it runs, it is ours, the agent cannot change it."""

import pytest

from bot_bottle.policy.inside import COMMAND
from e2e.lifecycle.test_ordinary_user import Ordinary, theirs
from e2e.lifecycle.world import World

pytestmark = pytest.mark.bottle
__all__ = ["theirs"]
SCRIPT = (
    f"command -v bottle-ask; bottle-ask routes | head -1; bash -lc 'command -v bottle-ask'; "
    f"for try in 'echo x >> {COMMAND}' 'rm -f {COMMAND}' 'mv {COMMAND} /tmp/x' 'chmod 777 {COMMAND}'; do "
    'sh -c "$try" 2>/dev/null && echo "$try"; done; bottle-ask routes | head -1'
)
EXPECTED = [COMMAND, "ok", COMMAND, "ok"]


def test_it_runs_and_stays_as_it_is(world: World) -> None:
    done = world.run("sh", "-c", SCRIPT)
    assert done.stdout.splitlines() == EXPECTED, done.stdout + done.stderr


def test_it_runs_for_an_ordinary_user(theirs: Ordinary) -> None:
    done = theirs.run("sh", "-c", SCRIPT)
    assert done.stdout.splitlines() == EXPECTED, done.stdout + done.stderr
