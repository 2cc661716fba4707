"""The second half of `bot-bottle demo`: the same rogue runs again and asks for something; its dashboard is open.

All by the program's own commands: `start --detach`, `serve`, `stop`.
"""

import contextlib
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping

from bot_bottle.api import approvals
from bot_bottle.base.errors import HostFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible
from bot_bottle.cli.demo import PROGRAM
from bot_bottle.cli.serve import browse
from bot_bottle.harnesses.demo import stage
from bot_bottle.supervise.model import Ask
from bot_bottle.supervise.sentence import sentence

LABEL = "tell-the-team"
_PATIENCE = 60.0
Line = Callable[[str], None]


def opened(set_up: stage.Stage, environ: Mapping[str, str], line: Line, head: Line) -> None:
    """Until Ctrl-C, or until the person has answered and the run has ended."""
    head("And one request that only you can let through")
    home = Home(set_up.home, f"{set_up.home}/run")
    run = [*PROGRAM, "start", "rogue", "--bottle", "demo", "--label", LABEL, "--headless", "--detach"]
    done = subprocess.run(
        [*run, "--prompt", stage.NEWS], cwd=set_up.project, env=environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise HostFault("demo.failed", f"The second run could not be started: {visible(done.stderr, 500)}", "")
    for number in (signal.SIGTERM, signal.SIGHUP):  # as Ctrl-C: the demo's home goes, so both must
        signal.signal(number, signal.default_int_handler)
    serve = subprocess.Popen(
        [*PROGRAM, "serve", "--json", "--port", "0"], cwd="/", env=environ, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:  # the second run lives already
        ask = asked(home)
        link = linked(serve)
        line(f"  {visible(sentence(ask), 300)}")
        line(f"  The dashboard: {link}")
        line(f"  Or, in another terminal: BOT_BOTTLE_HOME={set_up.home} {command()} supervise")
        line("  Ctrl-C ends both.")
        browse(link, home.runtime)
        with contextlib.suppress(KeyboardInterrupt):
            line(f"  {watched(home, ask, set_up)}")
            serve.wait()
    finally:
        ended(serve, environ)


def command() -> str:
    """How a person runs this program in another terminal: `scripts/demo` puts nothing on PATH."""
    beside = os.path.join(os.path.dirname(sys.executable), "bot-bottle")
    return "bot-bottle" if shutil.which("bot-bottle") or not os.path.exists(beside) else shlex.quote(beside)


def asked(home: Home) -> Ask:
    """The ask of the second run, once it waits. Raises HostFault."""
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        if found := approvals.waiting(approvals.reader(home)):
            return found[0]
        time.sleep(0.1)
    raise HostFault("demo.failed", "The second run asked for nothing.", "Ask: bot-bottle doctor")


def linked(serve: "subprocess.Popen[str]") -> str:
    """What `serve --json` says."""
    assert serve.stdout is not None
    try:
        return str(json.loads(serve.stdout.readline())["url"])
    except (ValueError, KeyError):
        raise HostFault("demo.failed", "The dashboard did not come up.", "Try: bot-bottle serve") from None


def watched(home: Home, ask: Ask, set_up: stage.Stage) -> str:
    """What became of the ask, once somebody answered or nobody did."""
    store = approvals.reader(home)
    while (found := store.ask(ask.id)) is not None and found.state is ask.state:
        time.sleep(0.2)
    until = time.monotonic() + 5
    while not set_up.evidence.notes and time.monotonic() < until:
        time.sleep(0.05)
    state = found.state.value if found is not None else "gone"
    what = "exactly its bytes reached the board" if set_up.evidence.notes else "nothing of it reached the board"
    return f"The ask was {state}: {what}. The dashboard stays open until Ctrl-C."


def ended(serve: "subprocess.Popen[str]", environ: Mapping[str, str]) -> None:
    """Neither the run nor the dashboard outlives the demo's home."""
    subprocess.run([*PROGRAM, "stop", LABEL], cwd="/", env=environ, capture_output=True, check=False)
    if serve.poll() is None:
        serve.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        serve.wait(10)
    if serve.poll() is None:
        serve.kill()
        serve.wait()
    if serve.stdout is not None:
        serve.stdout.close()
