"""`python -I -m bot_bottle.bottles.session`: the launcher of a detached bottle. fd 3 is the command line, which goes
once the bottle runs. It holds no secret, like any launcher; it is exec'd, so it has no terminal and no memory of one.
"""

import os
import secrets
import signal
import socket
import sys

import msgspec

from bot_bottle.base.errors import BottleError, OurFault
from bot_bottle.base.home import Home
from bot_bottle.bottles import detached
from bot_bottle.bottles.backends.bubblewrap import Bubblewrap
from bot_bottle.bottles.finish import Finish
from bot_bottle.bottles.live import as_error
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.run import LEASED, Run
from bot_bottle.bottles.session_messages import Begin, Begun, NotBegun
from bot_bottle.bottles.spawn import spawn
from bot_bottle.bottles.wishes import Wishes
from bot_bottle.egress.channel import Channel, ChannelClosed
from bot_bottle.keeper.messages.replies import Refused

Answer = Begun | NotBegun
_Child = Channel[Answer, Begin]
_Parent = Channel[Begin, Answer]


def main() -> int:
    """Exit status: the run's."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    link = _Child(socket.socket(fileno=3), Begin)
    try:
        order, fds = link.receive()
    except ChannelClosed:
        return 1
    try:
        outcome = serve(order, link, fds[0] if fds else -1)
    except BottleError as error:
        tell(link, NotBegun(type(error).__name__, error.slug, error.what, error.hint))
        return error.exit_code
    except OSError as error:
        tell(link, NotBegun("HostFault", "host.refused", f"{error.strerror}: {error.filename or ''}".strip(": ")))
        return 4
    return outcome.exit_code


def serve(order: Begin, link: _Child, terminal: int) -> Outcome:
    """Runs the bottle to its end; whoever is attached then hears how it went."""
    home = Home(order.home, order.runtime)
    os.makedirs(outputs(home), 0o700, exist_ok=True)
    streams = detached.Detached(order.plan.terminal)

    def place(step: str, run: Run) -> None:
        if step == LEASED:
            label = run.plan.label
            streams.place(home.sockets(label), f"{outputs(home)}/{label}.log")

    wishes = Wishes(
        run=order.run,
        streams=streams,
        backend=Bubblewrap(),
        at_end=Finish(home, order.at_end, lambda _question: False),
        environ=dict(os.environ),
        detached=True,
        terminal=terminal,
        work=order.at_end != "discard",
        base=order.base,
        step=place,
        ready=lambda run: tell(link, Begun(run.plan.label)),
    )
    outcome = Run(order.plan, home, wishes).go()
    write_result(f"{outputs(home)}/{outcome.label}.json", outcome)
    if order.result:
        write_result(order.result, outcome)
    streams.tell_ended(outcome)
    return outcome


def tell(link: _Child, message: Answer) -> None:
    """The command line may be gone already."""
    try:
        link.send(message)
    except ChannelClosed:
        pass


def outputs(home: Home) -> str:
    """Where the output of detached bottles lies, one file per label."""
    return f"{home.root}/output"


def write_result(path: str, outcome: Outcome) -> None:
    """The result file, whole or not at all; in a bound workspace the agent may have left links for it (D22)."""
    part = f"{path}.{secrets.token_hex(8)}"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(msgspec.json.format(msgspec.json.encode(outcome), indent=2) + b"\n")
    os.replace(part, path)


def begin(order: Begin, environ: dict[str, str], terminal: int = -1) -> str:
    """The command line's side: starts a session, waits until its bottle runs; the label. Raises what stopped it."""
    ours, theirs = socket.socketpair()
    with theirs:
        child = spawn("bot_bottle.bottles.session", [theirs.fileno()], environ, quiet=True)
    link = _Parent(ours, Answer)
    try:
        link.send(order, (terminal,) if terminal >= 0 else ())
        answer, _ = link.receive()
    except ChannelClosed as error:
        raise OurFault(
            "session.ended", "The session ended before its bottle ran.", "Run bot-bottle doctor."
        ) from error
    finally:
        link.close()
        os.close(child.pidfd)
    if isinstance(answer, NotBegun):
        raise as_error(Refused(answer.kind, answer.slug, answer.what, answer.hint))
    return answer.label


if __name__ == "__main__":
    sys.exit(main())
