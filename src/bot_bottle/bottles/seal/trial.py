"""Really tries it: one bottle with all its doors and the probe inside, which ends at once."""

import time

from bot_bottle.base.errors import BottleError
from bot_bottle.bottles.seal import probe
from bot_bottle.bottles.seal.bottle import Bottle
from bot_bottle.bottles.seal.checks import FAIL, OK, Finding, Host, container_kind, leave
from bot_bottle.bottles.seal.interpreter import interpreter
from bot_bottle.bottles.seal.spec import Spec
from bot_bottle.bottles.seal.start import close_all, start


def bottle(host: Host) -> Finding:
    """ok with the time it took, or fail with the reason; in a container with what its engine must allow."""
    began = time.monotonic()
    try:
        ways = attempt()
    except (BottleError, OSError) as error:
        kind = container_kind(host)
        return Finding("bottle", FAIL, f"A bottle does not start: {error}", leave(kind))
    if ways:
        return Finding("bottle", FAIL, f"The seal has a way out, so nothing would start: {'; '.join(ways)}.")
    return Finding("bottle", OK, f"A bottle starts and is sealed ({(time.monotonic() - began) * 1000:.0f} ms).")


def attempt() -> list[str]:
    """The ways out of a bottle of its own; raises what a start raises."""
    ours = interpreter()
    bait = probe.Bait()
    bait.lay()
    try:
        spec = Spec(
            argv=("/bin/true",),
            env={"PATH": "/usr/bin:/bin"},
            binds=ours.binds,
            masks=ours.masks,
            contents=(probe.content(),),
            probe=ours.probe,
        )
        made = Bottle(start(spec))
    finally:
        bait.forget()
    try:
        made.wait_ready()
        return probe.run(made, bait)
    finally:
        made.stop()
        made.close()
        bait.close()
        close_all((*made.stdio, made.pidfd, *(fd for _, fd in made.doors)))
