"""The verbs of `bot-bottle` as functions: what the command line does, another program can do, with the same values.

`start` belongs to the main thread: the bottle is bound to it by PDEATHSIG (D08).
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot_bottle.api.request import Request
from bot_bottle.api.wiring import Host, choose_backend, make_plan, new_run
from bot_bottle.base.errors import UsageFault
from bot_bottle.bottles import control
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.crew import Crew
from bot_bottle.bottles.hatch import Hatched, hatch
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.plan import Plan
from bot_bottle.bottles.ports import Backend
from bot_bottle.bottles.run import Run
from bot_bottle.bottles.streams import Pipes, Streams
from bot_bottle.bottles.wishes import Step, Wishes
from bot_bottle.keeper.messages.control import Facts

if TYPE_CHECKING:
    from bot_bottle.audit.whole import Whole


def nothing(_name: str, _run: Run) -> None:
    """The step callback of an ordinary run."""


@dataclass(slots=True)
class Prepared:
    """A plan with the keeper and gateway that wait for it. `close` where it is not started."""

    host: Host
    request: Request
    plan: Plan
    backend: Backend
    crew: Crew

    @property
    def base(self) -> str:
        """What the label begins with where the person named none, so that a busy one can be exchanged; else ""."""
        return "" if self.request.label else self.request.base or self.plan.agent

    def close(self) -> None:
        self.crew.close()

    def start(
        self, streams: Streams | None = None, step: Step = nothing, look: Callable[[Outcome], None] | None = None
    ) -> Outcome:
        """Runs the bottle to its end. streams: default the process's own input and output.

        look: sees the outcome once the bottle is dead and its files are still there.
        """
        from bot_bottle.bottles.finish import Finish

        wishes = Wishes(
            run=new_run(),
            streams=streams or Pipes(),
            backend=self.backend,
            at_end=Finish(self.host.home, self.request.at_end, self.host.confirm, self.host.say, look),
            environ=self.host.environ,
            crew=self.crew,
            say=self.host.say,
            work=self.request.at_end != "discard",
            base=self.base,
            step=step,
        )
        return Run(self.plan, self.host.home, wishes).go()

    def detach(self, result: str = "") -> str:
        """Hands the plan to a session process of its own; its label once it runs. result: path of a result file."""
        import os

        from bot_bottle.bottles.hatch import session_environment
        from bot_bottle.bottles.session import begin
        from bot_bottle.bottles.session_messages import Begin

        self.close()
        at_end = "keep" if self.request.at_end == "ask" else self.request.at_end
        home = self.host.home
        path = os.path.abspath(result) if result else ""
        order = Begin(self.plan, home.root, home.runtime, new_run(), at_end, path, self.base)
        return begin(order, session_environment(self.host.environ), self.host.terminal)


def prepare(
    request: Request, host: Host | None = None, survey: bool = False, hatched: Hatched | None = None
) -> Prepared:
    """Makes the plan of a request; keeper and gateway (hatched: already started) come up meanwhile.

    Raises BottleError, with both ended.
    """
    host = host or Host()
    backend = choose_backend()
    with contextlib.ExitStack() as undo:
        crew = Crew(hatched or hatch(host.environ), host.terminal)
        undo.callback(crew.close)
        plan = make_plan(host, request, crew, backend, survey)
        undo.pop_all()
    return Prepared(host, request, plan, backend, crew)


def start(request: Request, host: Host | None = None, streams: Streams | None = None) -> Outcome:
    """Plans and runs to the end."""
    return prepare(request, host).start(streams)


def run(
    argv: tuple[str, ...], bottles: tuple[str, ...] = (), workspace: str = "", host: Host | None = None
) -> Outcome:
    """One command in a bottle, with this process's own input, output and errors."""
    if not argv:
        raise UsageFault("run.no-command", "There is no command to run.", "bot-bottle run -- COMMAND")
    return start(Request(argv=argv, bottles=bottles, workspace=workspace), host)


@dataclass(frozen=True, slots=True)
class Listed:
    """One bottle: its lease and whether it lives."""

    held: leases.Held
    lives: bool

    @property
    def state(self) -> str:
        """starting | running | frozen | ending | kept | dead (left by a killed launcher; `cleanup` takes it away)."""
        if self.lives and self.held.state == "running" and self.held.frozen:
            return "frozen"
        return self.held.state if self.lives or self.held.state == "kept" else "dead"


def bottles(host: Host | None = None) -> list[Listed]:
    """All bottles of this home, oldest first."""
    host = host or Host()
    return [Listed(held, lives) for held, lives in leases.leases(host.home)]


def info(label: str, host: Host | None = None) -> Facts:
    """What the keeper of a running bottle knows: counters, policy, log."""
    return control.ask((host or Host()).home, label)


def stop(label: str, host: Host | None = None) -> None:
    """Ends a bottle; returns when it has ended and its log is sealed."""
    control.stop((host or Host()).home, label)


def freeze(label: str, host: Host | None = None) -> None:
    """No byte moves and no process runs when this returns."""
    control.freeze((host or Host()).home, label)


def thaw(label: str, host: Host | None = None) -> None:
    """A frozen bottle goes on."""
    control.thaw((host or Host()).home, label)


def cleanup(host: Host | None = None) -> dict[str, list[str]]:
    """Ends and removes what killed runs left; seals their logs. labels: freed; kept: labels whose
    work waits for `apply` or `discard`; sealed, unsealed: runs."""
    from bot_bottle.bottles.reap import has_work, reap, settle

    host = host or Host()
    orphans = reap(host.home)
    crew = Crew(hatch(host.environ, gateway=False), host.terminal)
    try:
        recovered = crew.recover(host.home)
    finally:
        crew.close()
    kept = [held.label for held in orphans if has_work(host.home, held)]
    settle(host.home, orphans)
    unsealed = [f"{run}: {why}" for run, why in recovered.kept.items()]
    freed = [held.label for held in orphans if held.label not in kept]
    return {"labels": freed, "kept": kept, "sealed": list(recovered.runs), "unsealed": unsealed}


def verify(host: Host | None = None, fingerprint: str = "") -> "Whole":
    """Proves the host log and every run's log. fingerprint: of the key to trust; default: the pinned one."""
    from bot_bottle.audit import keys
    from bot_bottle.audit.whole import verify_home

    home = (host or Host()).home
    return verify_home(home, fingerprint or keys.pinned(home.keys))


def execute(label: str, argv: tuple[str, ...], terminal: bool = False, host: Host | None = None) -> int:
    """Another command in a running bottle, under the same confinement; its exit status."""
    from bot_bottle.bottles.execute import execute as inside

    return inside((host or Host()).home, label, argv, terminal)


def forward(label: str, port: int, listen: int, ready: Callable[[int], None], host: Host | None = None) -> None:
    """Serves 127.0.0.1:listen (0: any) of this host from `port` inside, until interrupted or the bottle ends."""
    from bot_bottle.bottles.forward import serve

    serve((host or Host()).home, label, port, listen, ready)
