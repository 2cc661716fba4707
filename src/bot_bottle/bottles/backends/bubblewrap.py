"""The bubblewrap backend: the seal's own helper, and bubblewrap inside it. Rootless and as root, no daemon.

Implements `ports.Backend` and `ports.Started`. What it cannot hold it says in `capabilities`; it never weakens
silently.
"""

import os

from bot_bottle.base.errors import HostFault, OperatorFault
from bot_bottle.bottles import limits, limits_cgroup, limits_watch
from bot_bottle.bottles.plan import Plan
from bot_bottle.bottles.ports import Layout
from bot_bottle.bottles.seal import enter, freeze, places, probe, processes, start, which
from bot_bottle.bottles.seal.bottle import Bottle
from bot_bottle.bottles.seal.etc import git_config
from bot_bottle.bottles.seal.interpreter import interpreter
from bot_bottle.bottles.seal.spec import Bind, Overlay, Spec

MOST_NAMED_PORTS = 24  # two sockets each; all of them travel to the gateway in one message


class Bubblewrap:
    """See `ports.Backend`. bwrap: chosen at the first start unless given."""

    name = "bubblewrap"

    def __init__(self, bwrap: which.Found | None = None, place: limits_cgroup.Place | None = None) -> None:
        self._bwrap = bwrap
        self._place = place if place is not None else limits_cgroup.find()

    def capabilities(self) -> dict[str, str]:
        """Limits as `limits.capabilities`, and the properties of the seal."""
        own_uid = limits.ENFORCED if os.getuid() == 0 else limits.NOT_ENFORCED
        freezer = limits.ENFORCED if "freezer" in self._place.controllers else limits.WATCHED
        seal = {"network": limits.ENFORCED, "filter": limits.ENFORCED, "own_uid": own_uid, "freeze": freezer}
        return limits.capabilities(self._place) | seal

    def start(self, plan: Plan, layout: Layout, reserved: tuple[int, ...] = ()) -> "Sealed":
        """Seals, stages and waits. reserved: ports of the policy that get no door, because the agent serves them."""
        bwrap = self._bwrap or which.bubblewrap()
        budget = limits.budget(plan.limits, self._place)
        group = make_group(self._place, budget)
        bait = probe.Bait()
        try:
            ports = named_ports(plan, reserved)
            bait.lay(avoid=ports)
            spec = describe(plan, layout, budget, ports, group.directories)
            opened = start.start(spec, bwrap)
        except BaseException:
            bait.close()
            group.remove()
            raise
        finally:
            bait.forget()
        sealed = Sealed(opened, spec, budget, group, bait, trees(plan, layout))
        try:
            sealed.wait_ready()
        except BaseException:
            sealed.abandon()
            raise
        return sealed


def make_group(place: limits_cgroup.Place, budget: limits.Budget) -> limits_cgroup.Group:
    """No group where there is no place; a place that refuses is an error, because the plan said `enforced`."""
    if not place.controllers:
        return limits_cgroup.Group()
    try:
        return limits_cgroup.create(place, budget.memory, budget.pids, budget.cpus)
    except OSError as error:
        raise HostFault(
            "host.no-cgroup", f"The control group for the bottle's limits cannot be made: {error}.", start.ADVICE
        ) from error


def named_ports(plan: Plan, reserved: tuple[int, ...]) -> tuple[int, ...]:
    ports = tuple(port for port in plan.policy.ports() if port not in reserved)
    if len(ports) > MOST_NAMED_PORTS:
        raise OperatorFault(
            "plan.too-many-ports",
            f"The routes of this bottle name {len(ports)} ports; a bottle has at most {MOST_NAMED_PORTS}.",
            "Split the bottle, or use fewer ports.",
        )
    return ports


def describe(
    plan: Plan, layout: Layout, budget: limits.Budget, ports: tuple[int, ...], groups: tuple[str, ...]
) -> Spec:
    """Plan and layout as the helper's spec."""
    ours = interpreter()
    workspace = (plan.workspace.source,) if plan.workspace.mode != "none" else ()
    for target in (plan.home, *workspace, *(m.target for m in plan.mounts), *layout.files):
        places.check(target)
    hosts = tuple(route.host for route in plan.policy.routes)
    return Spec(
        argv=plan.argv,
        env=plan.env,
        cwd=plan.cwd,
        home=plan.home if layout.home else "",
        doors=ports,
        binds=(*binds(plan, layout), *ours.binds),
        overlay=overlay(plan, layout),
        masks=(*layout.masks, *ours.masks),
        contents=(probe.content(), git_config(hosts, plan.git_user, plan.workspace.source)),
        authority=layout.authority,
        terminal=plan.terminal,
        ceilings=budget.ceilings(),
        cgroups=groups,
        probe=ours.probe,
    )


def binds(plan: Plan, layout: Layout) -> tuple[Bind, ...]:
    found: list[Bind] = []
    if layout.home:
        found.append(Bind(layout.home, plan.home, writable=True, ours=True))
    if layout.workspace:
        copied = plan.workspace.mode == "copy"
        found.append(Bind(layout.workspace, plan.workspace.source, writable=True, ours=copied))
    found += [Bind(mount.source, mount.target, mount.mode == "rw", ours=mount.ours) for mount in plan.mounts]
    made = layout.state.rstrip("/") + "/"
    found += [Bind(source, target, ours=source.startswith(made)) for target, source in layout.files.items()]
    return tuple(found)


def overlay(plan: Plan, layout: Layout) -> Overlay | None:
    if not layout.lower:
        return None
    return Overlay(plan.workspace.source, layout.lower, layout.upper, layout.work)


def trees(plan: Plan, layout: Layout) -> tuple[str, ...]:
    """Directories on the host's disk that the agent fills; not a workspace that is the person's own."""
    copied = layout.workspace if plan.workspace.mode == "copy" else ""
    return tuple(path for path in (layout.home, copied, layout.upper) if path)


class Sealed(Bottle):
    """A bottle of this backend."""

    def __init__(
        self,
        opened: start.Opened,
        spec: Spec,
        budget: limits.Budget,
        group: limits_cgroup.Group,
        bait: probe.Bait,
        measured: tuple[str, ...],
    ) -> None:
        super().__init__(opened)
        self._spec = spec
        self._budget = budget
        self._group = group
        self._bait = bait
        self._trees = measured
        self._freezer = freeze.Freezer(opened.pid, group.directories)
        self._watchdog = (0, -1)
        self._breach = ""

    def probe(self) -> list[str]:
        return probe.run(self, self._bait)

    def go(self) -> None:
        if self._budget.watched:
            self._watchdog = limits_watch.fork(self._measures())
        super().go()

    def _measures(self) -> limits_watch.Measures:
        watched = self._budget.watched
        memory = self._budget.memory if "memory" in watched else 0
        disk = self._budget.disk if "disk" in watched and self._trees else 0
        return limits_watch.Measures(self.pid, self.pidfd, memory, disk, self._trees, tuple(self.meters))

    def breach(self) -> str:
        """After the end: the limit that the watchdog found exceeded, e.g. ``memory: 5 bytes of 4``, or ""."""
        _, reader = self._watchdog
        if reader >= 0:
            self._breach = os.read(reader, 500).decode()
            self._end_watchdog()
        return self._breach

    def _end_watchdog(self) -> None:
        pid, reader = self._watchdog
        if pid:
            os.waitpid(pid, 0)
            os.close(reader)
        self._watchdog = (0, -1)

    def stop(self) -> None:
        if self._freezer.frozen and self._group.directories:
            self._freezer.thaw()  # a frozen version 1 group does not die
        super().stop()
        self.breach()
        self._bait.close()
        self._group.remove()
        self.close()

    def abandon(self) -> None:
        """Ends it and closes everything, also what would be the caller's."""
        self.stop()
        start.close_all((*self.stdio, self.pidfd, *(fd for _, fd in self.doors)))

    def freeze(self) -> None:
        self._freezer.freeze()

    def thaw(self) -> None:
        self._freezer.thaw()

    def handle(self) -> enter.Handle:
        ceilings = self._spec.ceilings
        return enter.Handle(
            first=self.pid,
            born=processes.born(self.pid),
            inside=self.ids.inside,
            by=self.ids.by,
            cwd=self._spec.cwd,
            files=ceilings.files,
            processes=ceilings.processes,
            data=ceilings.data,
            groups=self._group.directories,
        )

    def execute(self, argv: list[str], env: dict[str, str], stdio: tuple[int, int, int], terminal: bool) -> int:
        return enter.enter(self.handle(), enter.Entry(tuple(argv), env, stdio, terminal))

    def dial(self, port: int) -> int:
        return enter.dial(self.handle(), port)
