"""Really tries it: one bottle with all its doors, a home and a workspace, and the probe inside."""

import os
import tempfile
import time

from bot_bottle.base.errors import BottleError, SealFault
from bot_bottle.bottles.seal import probe
from bot_bottle.bottles.seal.bottle import Bottle
from bot_bottle.bottles.seal.checks import FAIL, OK, Finding, Host, container_kind, leave
from bot_bottle.bottles.seal.interpreter import interpreter
from bot_bottle.bottles.seal.spec import Bind, Spec
from bot_bottle.bottles.seal.start import close_all, start

SECONDS = 20.0
PLACES = ("home", "work")
WRITES = 'for at in "$HOME" /work; do echo x >"$at/new" && echo x >>"$at/old" || exit 1; done'


def bottle(host: Host) -> Finding:
    """ok with the time it took, or fail with the reason; in a container with what its engine must allow."""
    began = time.monotonic()
    try:
        with tempfile.TemporaryDirectory(prefix="bot-bottle-doctor-") as top:
            ways = attempt(top)
    except (BottleError, OSError) as error:
        kind = container_kind(host)
        return Finding("bottle", FAIL, f"A bottle does not start: {error}", leave(kind))
    if ways:
        return Finding("bottle", FAIL, f"The seal has a way out, so nothing would start: {'; '.join(ways)}.")
    return Finding("bottle", OK, f"A bottle starts and is sealed ({(time.monotonic() - began) * 1000:.0f} ms).")


def attempt(top: str) -> list[str]:
    """The ways out of a bottle of its own; raises what a start raises. top: an empty directory of ours."""
    bait = probe.Bait()
    bait.lay()
    try:
        made = Bottle(start(description(furnished(top))))
    finally:
        bait.forget()
    try:
        made.wait_ready()
        if ways := probe.run(made, bait):
            return ways
        made.go()
        if made.wait(SECONDS) != 0:
            raise SealFault("seal.not-writable", "The agent could not write in its home and its workspace.")
        return []
    finally:
        made.stop()
        made.close()
        bait.close()
        close_all((*made.stdio, made.pidfd, *(fd for _, fd in made.doors)))


def furnished(top: str) -> tuple[Bind, ...]:
    """A home and a workspace of ours with a file each, as every run has them."""
    for name in PLACES:
        os.mkdir(f"{top}/{name}", 0o700)
        with open(f"{top}/{name}/old", "x"):
            pass
    targets = zip(PLACES, ("/home/agent", "/work"), strict=True)
    return tuple(Bind(f"{top}/{name}", target, writable=True, ours=True) for name, target in targets)


def description(binds: tuple[Bind, ...]) -> Spec:
    ours = interpreter()
    return Spec(
        argv=("/bin/sh", "-c", WRITES),
        env={"PATH": "/usr/bin:/bin", "HOME": "/home/agent"},
        cwd="/work",
        home="/home/agent",
        binds=(*binds, *ours.binds),
        masks=ours.masks,
        contents=(probe.content(),),
        probe=ours.probe,
    )
