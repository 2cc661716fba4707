"""What was reached: hosts, paths, times and secrets of a run, a bottle, an agent, a harness, a project, a person."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bot_bottle.audit import filters
from bot_bottle.audit.entries import signed
from bot_bottle.audit.filters import Filter
from bot_bottle.audit.index import HOST
from bot_bottle.audit.index_counts import Bucket, Reached
from bot_bottle.web import purged
from bot_bottle.web.api import compare, cursor, first_seen
from bot_bottle.web.api.operation import Empty, Operation
from bot_bottle.web.api.records import Text
from bot_bottle.web.desk import Desk
from bot_bottle.web.problem import WebFault
from bot_bottle.web.purged import RunItem

_REACHED = 2000


class ReachWish(msgspec.Struct, forbid_unknown_fields=True):
    """q: a filter; only its fields count, not words of lines. host: "" for all hosts, else the paths of this one."""

    q: Text = ""
    host: Annotated[str, Meta(max_length=1100)] = ""
    limit: Annotated[int, Meta(ge=1, le=_REACHED)] = 200


class ReachSums(msgspec.Struct):
    """Sums of everything that the filter holds, not only of the items shown."""

    hosts: int
    allowed: int
    asked: int
    denied: int
    up: int
    down: int
    secrets: list[str]
    first: int
    last: int


class ReachAnswer(msgspec.Struct):
    """items: hosts (or path patterns), the most requests first. first: of each host, when any log named it first."""

    items: list[Reached]
    sums: ReachSums
    more: int
    indexed: bool


class TimelineWish(msgspec.Struct, forbid_unknown_fields=True):
    """start, end: wall ns; 0: where the filter's records begin and end."""

    q: Text = ""
    start: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    end: Annotated[int, Meta(ge=0, le=2**63 - 1)] = 0
    buckets: Annotated[int, Meta(ge=1, le=500)] = 120


class Timeline(msgspec.Struct):
    buckets: list[Bucket]


RunPlace = tuple[int, str]
"""(time of its newest record, id) of a run: where the next page goes on."""


class RunsWish(msgspec.Struct, forbid_unknown_fields=True):
    q: Text = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    cursor: Annotated[str, Meta(max_length=200)] = ""


class RunList(msgspec.Struct):
    """Those with the newest record first. next: the cursor of the next page, "" at the end."""

    items: list[RunItem]
    next: str = ""


class Subjects(msgspec.Struct):
    """What a question can be about, the last used first."""

    label: list[str]
    agent: list[str]
    harness: list[str]
    project: list[str]
    person: list[str]
    bottle: list[str]


class Behind(msgspec.Struct):
    """To which checkpoint the log behind an answer is signed. run: or ``host``. size: records under it. records: that
    the log has. at: wall ns of the newest record that is indexed."""

    run: str
    size: int
    records: int
    ended: bool


def read_reach(desk: Desk, wish: ReachWish) -> ReachAnswer:
    """Counts from the index; it is brought up to date first, as far as half a second goes."""
    wanted = asked(wish.q)
    indexed = desk.office.watch.fresh()
    reach = desk.index().reach
    if wish.host:
        wanted = Filter((*wanted.without("host").terms, filters.Term("host", (filters.exactly(wish.host),))))
        found = reach.paths(wanted, desk.clock())
    else:
        found = reach.hosts(wanted, desk.clock())
    return ReachAnswer(found[: wish.limit], sums(found), max(0, len(found) - wish.limit), indexed)


def sums(found: list[Reached]) -> ReachSums:
    """All of them together."""
    denied = sum(one.verdicts.get("deny", 0) for one in found)
    secrets = sorted({secret for one in found for secret in one.secrets})
    return ReachSums(
        len(found), sum(one.requests for one in found) - denied, sum(one.asks for one in found), denied,
        sum(one.up for one in found), sum(one.down for one in found), secrets,
        min((one.first for one in found), default=0), max((one.last for one in found), default=0),
    )  # fmt: skip


def asked(text: str) -> Filter:
    """A filter for sums; what only lines can say is refused, not passed over. Raises FilterFault, WebFault."""
    wanted = filters.parse(text)
    for term in wanted.of(filters.TEXT, "path", "status", "up", "down", "kind", "ask", "grant", "approver"):
        what = f"Reach counts; it cannot look for {term.field} in single records."
        raise WebFault(422, "reach.field", what, "Use Log for that.")
    return wanted


def read_timeline(desk: Desk, wish: TimelineWish) -> Timeline:
    wanted, start, end = asked(wish.q), wish.start, wish.end
    reach = desk.index().reach
    if not start or not end:
        total = sums(reach.hosts(wanted, desk.clock()))
        start, end = start or total.first, end or total.last + 1
    return Timeline(reach.timeline(wanted, desk.clock(), start, end, wish.buckets))


def list_runs(desk: Desk, wish: RunsWish) -> RunList:
    desk.office.watch.fresh()
    before = cursor.decode(wish.cursor, RunPlace) if wish.cursor else None
    if before is not None and not 0 <= before[0] < 2**63:
        raise WebFault(422, "web.cursor", "This cursor is not one of ours.", "Start without a cursor.")
    found = desk.index().reach.runs(asked(wish.q), desk.clock(), wish.limit, before)
    items = [purged.item(desk, one) for one in found]
    return RunList(items, cursor.encode((found[-1].last, found[-1].run)) if len(found) == wish.limit else "")


def list_subjects(desk: Desk, _: Empty) -> Subjects:
    desk.office.watch.fresh()
    reach = desk.index().reach
    fields = ("label", "agent", "harness", "project", "person", "bottle")
    return Subjects(*(reach.subjects(name, 200) for name in fields))


def behind(desk: Desk, run: str) -> Behind:
    """How far the log of a run, or the host's log, is signed."""
    folder = desk.home.host_log if run in ("", HOST) else desk.home.run_log(run)
    size, _ = signed(folder)
    found = desk.index().reach.runs(Filter().plus("run", run), desk.clock(), 1) if run else []
    return Behind(run or HOST, size, found[0].records if found else size, bool(found and found[0].ended))


OPERATIONS: tuple[Operation[Any, Any], ...] = (
    Operation(
        "readReach", "GET", "/reach", "What was reached, by host or path", "read", ReachWish, ReachAnswer, read_reach,
    ),
    Operation(
        "readTimeline", "GET", "/reach/timeline", "Decisions over time", "read", TimelineWish, Timeline,
        read_timeline,
    ),
    Operation(
        "listSubjects", "GET", "/reach/subjects", "What can be asked about", "read", Empty, Subjects, list_subjects,
    ),
    Operation("listRuns", "GET", "/runs", "Runs that the logs know", "read", RunsWish, RunList, list_runs),
    *compare.OPERATIONS,
    *first_seen.OPERATIONS,
)  # fmt: skip
