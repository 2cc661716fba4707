"""Two runs side by side: which hosts are new, gone or grown, and what else is different about them."""

from typing import Any, Literal

import msgspec

from bot_bottle.audit.filters import Filter
from bot_bottle.audit.index_counts import Reached
from bot_bottle.web.api.operation import Operation
from bot_bottle.web.api.records import RunId
from bot_bottle.web.desk import Desk


class CompareWish(msgspec.Struct, forbid_unknown_fields=True):
    """Two runs; what `run` has besides `other`."""

    run: RunId
    other: RunId


class HostChange(msgspec.Struct):
    """what: new | gone | grown | less | other (methods, secrets or verdicts differ). before, after: requests."""

    host: str
    what: Literal["new", "gone", "grown", "less", "other"]
    before: int
    after: int
    said: list[str]


class Comparison(msgspec.Struct):
    """same: hosts that did not change."""

    changes: list[HostChange]
    same: int


def compare_runs(desk: Desk, wish: CompareWish) -> Comparison:
    """Which hosts are new, gone or grown between two runs, and what else is different about them."""
    desk.office.watch.fresh()
    reach = desk.index().reach
    after = reach.hosts(Filter().plus("run", wish.run), desk.clock())
    before = reach.hosts(Filter().plus("run", wish.other), desk.clock())
    return compared(before, after)


def compared(before: list[Reached], after: list[Reached]) -> Comparison:
    """Pure. grown: half as much again at least, and ten requests more."""
    old, new = {one.name: one for one in before}, {one.name: one for one in after}
    changes: list[HostChange] = []
    for host in sorted(old.keys() | new.keys()):
        one, other = old.get(host), new.get(host)
        said = _said(one, other) if one and other else []
        count, now = (one.requests if one else 0), (other.requests if other else 0)
        what: Literal["new", "gone", "grown", "less", "other"] | None = None
        if one is None or other is None:
            what = "new" if one is None else "gone"
        elif now > count * 1.5 and now - count >= 10:
            what = "grown"
        elif count > now * 1.5 and count - now >= 10:
            what = "less"
        elif said:
            what = "other"
        if what:
            changes.append(HostChange(host, what, count, now, said))
    order = ("new", "other", "grown", "gone", "less")
    changes.sort(key=lambda change: (order.index(change.what), -change.after, change.host))
    return Comparison(changes, len(old.keys() | new.keys()) - len(changes))


def _said(one: Reached, other: Reached) -> list[str]:
    """What is different about a host that both reached."""
    said = [f"secret {name} is new" for name in other.secrets if name not in one.secrets]
    said += [f"{name} is new" for name in other.methods if name not in one.methods]
    if other.verdicts.get("deny", 0) and not one.verdicts.get("deny", 0):
        said.append("was never denied before")
    return said


OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        "compareRuns", "GET", "/reach/compare", "What one run reached and another did not", "read", CompareWish,
        Comparison, compare_runs,
    ),
)  # fmt: skip
