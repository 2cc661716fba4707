"""Bottles: what runs, starting, freezing, thawing, stopping, killing, the panic button, a timed learn mode."""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from bot_bottle.base.errors import BottleError
from bot_bottle.bottles.lease import Held
from bot_bottle.keeper.messages.control import Facts
from bot_bottle.web.api.operation import Empty, Nothing, Operation
from bot_bottle.web.desk import Desk
from bot_bottle.web.problem import WebFault
from bot_bottle.web.starts import Start
from bot_bottle.web.wish import Label, StartWish


class BottleItem(msgspec.Struct):
    """state: starting | running | frozen | ending. frozen: why. known: False where its keeper does not answer; the
    numbers are then 0. Times: wall ns. checkpoint: the newest signed one of its log."""

    label: str
    run: str
    bottle: str
    agent: str
    harness: str
    workspace: str
    started: int
    state: str
    frozen: str
    known: bool
    allowed: int = 0
    asked: int = 0
    denied: int = 0
    bytes_up: int = 0
    bytes_down: int = 0
    hosts: dict[str, int] = {}
    denied_hosts: dict[str, int] = {}
    waiting: int = 0
    records: int = 0
    policy: str = ""
    learn_until: int = 0
    checkpoint: str = ""


class BottleList(msgspec.Struct):
    """Oldest first."""

    items: list[BottleItem]


class BottleLabel(msgspec.Struct, forbid_unknown_fields=True):
    label: Label


class Started(msgspec.Struct):
    label: str


class StartItem(msgspec.Struct):
    """One start. state: starting | running | failed. label: once it runs. problem: what stopped it. Times: wall ns,
    ended 0 while it is under way."""

    start: str
    agent: str
    workspace: str
    state: str
    since: int
    ended: int
    label: str
    problem: str


class StartList(msgspec.Struct):
    """Newest first."""

    items: list[StartItem]


class LearnWish(msgspec.Struct, forbid_unknown_fields=True):
    """seconds: how long; 0 ends it."""

    label: Label
    seconds: Annotated[int, Meta(ge=0, le=86400)]


class FrozenAll(msgspec.Struct):
    """label -> "" where it is frozen, else why not. recorded: whether the host log says so."""

    results: dict[str, str]
    recorded: bool


def list_bottles(desk: Desk, _: Empty) -> BottleList:
    return BottleList([item(held, facts) for held, facts in desk.running()])


def get_bottle(desk: Desk, which: BottleLabel) -> BottleItem:
    from bot_bottle.bottles import control

    return item(control.held(desk.home, which.label), desk.facts(which.label))


def start_bottle(desk: Desk, wish: StartWish) -> Started:
    """Waits for it, but not for ever: what is under way then goes on, and a repeat with the same key finds it."""
    return Started(desk.office.starts.wait(begin_start(desk, wish), desk.key))


def list_starts(desk: Desk, _: Empty) -> StartList:
    return StartList([_start_item(one) for one in desk.office.starts.all()])


def _start_item(one: Start) -> StartItem:
    state = "starting" if not one.ended else "running" if one.label else "failed"
    problem = one.fault.what if isinstance(one.fault, BottleError) else "A fault of ours." if one.fault else ""
    return StartItem(
        one.id, one.request.agent, one.request.workspace, state, one.since, one.ended, one.label, problem
    )


def begin_start(desk: Desk, wish: StartWish) -> Start:
    """A device or token that is no administrator starts what was started here before: no command of its own, and no
    directory but one that a bottle of this home has worked in. Else a stolen phone, which may also say yes, could
    send any file of this machine anywhere."""
    if "admin" not in desk.scopes:
        permitted(desk, wish)
    return desk.start(wish)


def permitted(desk: Desk, wish: StartWish) -> None:
    """Raises WebFault 403 for a command, or a directory that no bottle of this home has worked in."""
    if wish.argv or wish.agent == "command":
        raise WebFault(403, "web.start", "This device may start agents, not commands.", "Start it at the machine.")
    known = {held.workspace for held, _ in desk.running()} | set(desk.index().reach.subjects("project", 1000))
    if wish.workspace and wish.workspace not in known:
        what = "No bottle of this home has worked in that directory before."
        raise WebFault(403, "web.start", what, "Start the first one at the machine.")


def freeze_bottle(desk: Desk, which: BottleLabel) -> Nothing:
    desk.freeze(which.label)
    return Nothing()


def thaw_bottle(desk: Desk, which: BottleLabel) -> Nothing:
    desk.thaw(which.label)
    return Nothing()


def stop_bottle(desk: Desk, which: BottleLabel) -> Nothing:
    desk.stop(which.label)
    return Nothing()


def kill_bottle(desk: Desk, which: BottleLabel) -> Nothing:
    desk.kill(which.label)
    return Nothing()


def learn(desk: Desk, wish: LearnWish) -> Nothing:
    desk.learn(wish.label, wish.seconds)
    return Nothing()


def freeze_all(desk: Desk, _: Empty) -> FrozenAll:
    results = desk.freeze_all()
    return FrozenAll({label: why for label, why in results.items() if label}, "" not in results)


def item(held: Held, facts: Facts | None) -> BottleItem:
    """One bottle from its lease and, where its keeper answers, what that one knows."""
    frozen = facts.frozen if facts else held.frozen
    found = BottleItem(
        held.label, held.run, held.bottle, held.agent, held.harness, held.workspace, held.started,
        "frozen" if frozen and held.state == "running" else held.state, frozen, facts is not None,
    )  # fmt: skip
    if facts is None:
        return found
    counters = facts.counters
    return msgspec.structs.replace(
        found, allowed=counters.allowed, asked=counters.asked, denied=counters.denied, bytes_up=counters.bytes_up,
        bytes_down=counters.bytes_down, hosts=counters.hosts, denied_hosts=counters.denied_hosts,
        waiting=facts.waiting, records=facts.records, policy=facts.policy, learn_until=facts.learn_until,
        checkpoint=facts.checkpoint,
    )  # fmt: skip


def _act(
    name: str, verb: str, summary: str, call: Callable[[Desk, BottleLabel], Nothing]
) -> Operation[BottleLabel, Nothing]:
    path = f"/bottles/{{label}}/{verb}"
    return Operation(name, "POST", path, summary, "control", BottleLabel, Nothing, call, lane="safe")


START = Operation(
    "startBottle", "POST", "/bottles", "Start one, detached", "control", StartWish, Started, start_bottle, status=201,
    joins=True, lane="slow",
    description="Answers once the bottle runs. 503 `start.under-way`: it takes longer and goes on; the same request"
    " with the same Idempotency-Key is told how it ends, `listStarts` as well.",
)  # fmt: skip
OPERATIONS = (
    Operation("listBottles", "GET", "/bottles", "Bottles that run", "read", Empty, BottleList, list_bottles),
    START,
    Operation(
        "listStarts", "GET", "/starts", "Starts of this day, and how they stand", "read", Empty, StartList,
        list_starts,
    ),
    Operation(
        "getBottle", "GET", "/bottles/{label}", "One bottle that runs", "read", BottleLabel, BottleItem, get_bottle,
    ),
    _act("freezeBottle", "freeze", "No byte moves, no process runs", freeze_bottle),
    _act("thawBottle", "thaw", "It goes on", thaw_bottle),
    _act("stopBottle", "stop", "It ends, its log is sealed", stop_bottle),
    _act("killBottle", "kill", "It ends without being asked", kill_bottle),
    Operation(
        "learn", "POST", "/bottles/{label}/learn", "Begin or end a timed learn mode", "control", LearnWish, Nothing,
        learn, also="answer", description="What no rule names leaves while it lasts: more than any one answer opens.",
    ),
    Operation(
        "freezeAll", "POST", "/freeze-all", "The panic button", "control", Empty, FrozenAll, freeze_all, lane="safe",
    ),
)  # fmt: skip
