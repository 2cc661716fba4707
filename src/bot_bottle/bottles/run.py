"""The straight path of one run, numbered (design, Processes). Every door of the house is on it; nothing is elsewhere.

 1 lease            4 workspace and home     7 probe       10 stop, seal the log
 2 keeper           5 seal the bottle        8 go          11 the changes it made
 3 gateway          6 doors to the gateway   9 relay       12 outcome

An error before 8 leaves nothing running and nothing on the disk but a sealed log; from 8 on everything that ends the
bottle goes through 10. `step` is told the name of each step before it is done: crash tests kill there.
"""

import contextlib
import os
import time
from dataclasses import dataclass, field

import msgspec

from bot_bottle.base.errors import BusyFault, SealFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible
from bot_bottle.bottles import ended
from bot_bottle.bottles import lease as leases
from bot_bottle.bottles.crew import Crew
from bot_bottle.bottles.furnish import furnish, stock
from bot_bottle.bottles.hatch import hatch
from bot_bottle.bottles.live import Ending, Live
from bot_bottle.bottles.notice import Notices
from bot_bottle.bottles.order import identity, order
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.plan import Plan
from bot_bottle.bottles.ports import Layout, Started
from bot_bottle.bottles.reap import has_work, reap, remove_state, settle
from bot_bottle.bottles.wishes import Wishes
from bot_bottle.bottles.workspace.exposed import conceal
from bot_bottle.bottles.workspace.prepare import Prepared, mark_again, prepare
from bot_bottle.bottles.workspace.sockets import watch
from bot_bottle.keeper.loop import Loop

READY_SECONDS = 30.0
SEAL_SECONDS = 30.0
MOST_LABELS = 100
STEPS = (
    "lease", "keeper", "gateway", "workspace", "seal", "doors", "probe", "go", "relay", "stop", "changes", "outcome",
)  # fmt: skip
LEASED = STEPS[1]
"""The first step of a run that has its label."""


@dataclass(slots=True)
class Run:
    """One run under way. The fields fill from top to bottom."""

    plan: Plan
    home: Home
    wishes: Wishes
    started: float = field(default_factory=time.monotonic)
    loop: Loop = field(default_factory=Loop)
    lease: leases.Lease | None = None
    crew: Crew | None = None
    live: Live | None = None
    prepared: Prepared | None = None
    bottle: Started | None = None
    findings: tuple[str, ...] = ()
    kept: bool = False
    orphans: list[leases.Held] = field(default_factory=list[leases.Held])

    def go(self) -> Outcome:
        """The path. Raises BottleError where the bottle never ran; afterwards faults are part of the outcome."""
        with contextlib.ExitStack() as undo:
            self._lease(undo)  # 1
            self._processes(undo)  # 2, 3
            layout = self._workspace()  # 4
            self._seal(undo, layout)  # 5
            self._doors()  # 6
            self._probe()  # 7
            ending = self._release()  # 8, 9
            outcome = self._stop(ending)  # 10
            self._changes(outcome)  # 11
            return self._outcome(outcome)  # 12

    # ---- 1 to 3

    def _lease(self, undo: contextlib.ExitStack) -> None:
        """1: the label is ours; what dead runs left is ended, and sealed by our keeper."""
        self._at("lease")
        self.orphans = reap(self.home)
        self.lease = self._label()
        undo.callback(self._free_label)

    def _label(self) -> leases.Lease:
        """Somebody may have taken it since the plan was made: another one, where the person named none."""
        refused: set[str] = set()
        while True:
            try:
                return self._take()
            except BusyFault:
                refused.add(self.plan.label)
                if not self.wishes.base or len(refused) > MOST_LABELS:
                    raise
                label = leases.free_label(self.home, self.wishes.base, refused)
                self.plan = msgspec.structs.replace(self.plan, label=label)

    def _take(self) -> leases.Lease:
        plan = self.plan
        if any(has_work(self.home, held) for held in self.orphans if held.label == plan.label):
            raise leases.busy(plan.label, msgspec.structs.replace(self.orphans[0], state="kept"))
        held = leases.Held(
            label=plan.label,
            run=self.wishes.run,
            bottle=plan.bottle,
            agent=plan.agent,
            harness=plan.harness,
            workspace=plan.workspace.source,
            started=time.time_ns(),
            detached=self.wishes.detached,
            work=self.wishes.work and plan.workspace.mode in ("copy", "overlay"),
            log=self.home.run_log(self.wishes.run),
            task=plan.task,
            policy=plan.policy.digest,
            leaf=plan.leaf,
            processes=(leases.process("launcher", os.getpid()),),
        )
        return leases.take(self.home, held)

    def _free_label(self) -> None:
        """Last of all: the state is removed and the label free, unless changes wait there."""
        assert self.lease is not None
        if self.kept:
            self.lease.update(state="kept", processes=(), handle=None, env={})
        else:
            remove_state(self.home, self.plan.label)
        self.lease.release(keep=self.kept)

    def _processes(self, undo: contextlib.ExitStack) -> None:
        """2, 3: both are exec'd at once (or were already), so that they come up while the workspace is made."""
        self._at("keeper")
        crew = self.wishes.crew or Crew(hatch(self.wishes.environ), self.wishes.terminal)
        undo.callback(crew.close)
        self.crew = crew
        self._at("gateway")
        assert crew.gateway_link is not None
        self.live = Live(self.loop, crew.keeper_link, crew.gateway_link)
        self.live.on_hold = self._held
        notices = Notices(self.wishes.environ, self.wishes.streams.ring, self.wishes.say)
        self.live.on_ask = lambda word: notices.heard(self.plan.label, word)
        recover = tuple(held.run for held in self.orphans)
        crew.open(order(self.plan, self.home, self.wishes.run, self.wishes.environ, recover))
        self._note_processes()

    def _note_processes(self) -> None:
        """Into the lease: whom the next start must find dead, and how `exec` gets in."""
        assert self.lease is not None and self.crew is not None and self.crew.gateway is not None
        children = [("keeper", self.crew.keeper.pid), ("gateway", self.crew.gateway.pid)]
        more = [("bottle", self.bottle.pid)] if self.bottle else []
        known = tuple(leases.process(name, pid) for name, pid in [("launcher", os.getpid()), *children, *more])
        self.lease.update(processes=known)
        if self.bottle:
            hidden = self.plan.visible.values()
            env = {name: value for name, value in self.plan.env.items() if name not in hidden}
            self.lease.update(handle=self.bottle.handle(), env=env, state="running")

    # ---- 4 to 7

    def _workspace(self) -> Layout:
        """4: copy or overlay, HOME with its seeds, the authority's file. Waits for the keeper's word at its end."""
        assert self.live is not None
        self._at("workspace")
        state = self.home.state(self.plan.label)
        watched = watch(self.plan)  # before the look: what comes later is seen, what was there is masked
        self.prepared = prepare(self.plan, state)
        self.plan = stock(self.prepared.extend(self.plan), self.home)
        opened = self.live.wait_opened(READY_SECONDS)
        settle(self.home, [held for held in self.orphans if held.label != self.plan.label])
        if opened.visible:
            self.plan = msgspec.structs.replace(self.plan, env={**self.plan.env, **opened.visible})
        self._conceal()
        if watched is not None:
            watched.masks = frozenset(self.prepared.masks)
            self.live.watch = watched.reason
        return furnish(self.plan, self.home, self.prepared, opened.authority)

    def _conceal(self) -> None:
        """No file of the workspace brings a real secret in (D07): the keeper says which, we hide them."""
        assert self.live is not None and self.prepared is not None
        self.prepared, self.findings = conceal(self.prepared, self.plan.workspace.keep, self.live.inspect)
        for line in self.findings:
            self.wishes.say(f"bot-bottle: {line}.")

    def _seal(self, undo: contextlib.ExitStack, layout: Layout) -> None:
        """5: the bottle exists and waits; nothing of the agent has run."""
        self._at("seal")
        assert self.prepared is not None
        self.bottle = self.wishes.backend.start(self.plan, layout)
        undo.callback(self._end_bottle)
        mark_again(self.prepared)
        self._note_processes()

    def _end_bottle(self) -> None:
        bottle = self.bottle
        if bottle is None:
            return
        bottle.stop()
        self.wishes.streams.close()
        for fd in {fd for _, fd in bottle.doors} | {bottle.pidfd}:
            with contextlib.suppress(OSError):
                os.close(fd)

    def _doors(self) -> None:
        """6: the gateway gets the sockets and answers on all of them before anything else happens (B78)."""
        assert self.live is not None and self.bottle is not None
        self._at("doors")
        self.live.send_doors(self.bottle.doors, self.bottle.pidfd)
        for _, fd in self.bottle.doors:
            os.close(fd)
        self.bottle.doors.clear()
        self.live.wait_serving(READY_SECONDS)

    def _probe(self) -> None:
        """7: our own file and interpreter look for a way out, inside; one found, and nothing starts."""
        assert self.bottle is not None
        self._at("probe")
        found = self.bottle.probe()
        if found:
            what = f"The seal is not tight: {'; '.join(found[:5])}."
            raise SealFault("seal.open", what, "Nothing was started. Run bot-bottle doctor.")

    def _held(self, reason: str) -> None:
        """The gateway froze the bottle, or a person did: whoever looks at a still screen should know why."""
        label = self.plan.label
        if self.lease is not None:
            with contextlib.suppress(OSError):  # a full disk must not stop the freeze
                self.lease.update(frozen=reason)
        text = f"frozen: {visible(reason, 200)}; bot-bottle thaw {label} or stop {label}" if reason else "thawed"
        self.wishes.say(f"\rbot-bottle: {label} is {text}.\r")

    # ---- 8 to 12

    def _release(self) -> Ending:
        """8, 9: the agent runs; its streams are relayed until it ends."""
        assert self.live is not None and self.bottle is not None
        self._at("go")
        self.wishes.streams.attach(self.loop, self.bottle.stdio)
        self.wishes.ready(self)
        self.bottle.go()
        assert self.lease is not None
        self.kept = self.lease.held.work  # whatever interrupts us from here on, the work stays
        self._at("relay")
        return self.live.serve(self.bottle, self.wishes.streams, self.plan.wall_clock)

    def _stop(self, ending: Ending) -> Outcome:
        """10: no process of the bottle lives; terminal given back; the record is sealed."""
        assert self.live is not None and self.bottle is not None and self.lease is not None
        self._at("stop")
        self.bottle.stop()
        status = self.bottle.wait(0)
        self.wishes.streams.close()
        with contextlib.suppress(OSError):  # a full disk must not stop the stop
            self.lease.update(state="ending")
        agent = -1 if status is None else status
        ending = ended.why(ending, self.bottle.breach())
        sealed = self.live.close(ended.facts(ending, agent), SEAL_SECONDS)
        outcome = ended.outcome(identity(self.plan, self.wishes.run), ending, agent, sealed)
        outcome.seconds = time.monotonic() - self.started
        outcome.log, outcome.findings = self.home.run_log(self.wishes.run), self.findings
        return outcome

    def _changes(self, outcome: Outcome) -> None:
        """11: what the agent changed, looked at in a second sealed bottle without a door (D05, D13, D22)."""
        assert self.prepared is not None
        self._at("changes")
        self.wishes.at_end(self.prepared, self.plan, outcome)
        self.kept = False

    def _outcome(self, outcome: Outcome) -> Outcome:
        """12: the label stays with its changes, or is freed by what `go` undoes."""
        assert self.lease is not None
        self._at("outcome")
        self.kept = outcome.kept
        return outcome

    def _at(self, step: str) -> None:
        self.wishes.step(step, self)
