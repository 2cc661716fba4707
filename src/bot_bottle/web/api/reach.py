"""What was reached: hosts, paths, times, secrets of any subject; first-seen hosts and their marks; runs compared."""

import time
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from bot_bottle.audit import filters
from bot_bottle.audit.entries import signed
from bot_bottle.audit.filters import Filter
from bot_bottle.audit.index import HOST
from bot_bottle.audit.index_reach import Bucket, Reached, RunRow
from bot_bottle.web.api import cursor
from bot_bottle.web.api.operation import Empty, Nothing, Operation
from bot_bottle.web.api.records import RunId, Text
from bot_bottle.web.desk import Desk
from bot_bottle.web.problem import WebFault
from bot_bottle.web.reviewed import Reviewed

DAY = 86400 * 1_000_000_000
HostName = Annotated[str, Meta(min_length=1, max_length=1100)]
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


class FirstSeenWish(msgspec.Struct, forbid_unknown_fields=True):
    """days: how far back. reviewed: also those that somebody reviewed."""

    days: Annotated[int, Meta(ge=1, le=3650)] = 30
    reviewed: bool = False
    before: Annotated[str, Meta(max_length=2000)] = ""
    limit: Annotated[int, Meta(ge=1, le=500)] = 50


class NewHost(msgspec.Struct):
    """first: when any log named it first. reached: requests were allowed to it. reviewed: by whom, "" for nobody."""

    host: str
    first: int
    last: int
    run: str
    label: str
    requests: int
    reached: bool
    reviewed: str = ""
    reviewed_at: int = 0


class NewHosts(msgspec.Struct):
    items: list[NewHost]
    next: str


class OneHost(msgspec.Struct, forbid_unknown_fields=True):
    host: HostName


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


class RunsWish(msgspec.Struct, forbid_unknown_fields=True):
    q: Text = ""
    limit: Annotated[int, Meta(ge=1, le=1000)] = 100


class RunList(msgspec.Struct):
    """Those with the newest record first."""

    items: list[RunRow]


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


def first_seen(desk: Desk, wish: FirstSeenWish) -> NewHosts:
    """Hosts that the logs named for the first time lately, and who reviewed them."""
    since, before = desk.clock() - wish.days * DAY, None
    if wish.before:
        before = cursor.decode(wish.before, tuple[int, str])
    desk.office.watch.fresh()
    items: list[NewHost] = []
    reach, marks = desk.index().reach, Reviewed(desk.home)
    end = time.monotonic() + 0.25
    while len(items) < wish.limit:
        found = reach.first_seen(since, wish.limit, before)
        reviewed = marks.of([one.host for one in found])
        for one in found:
            mark = reviewed.get(one.host)
            if mark is None or wish.reviewed:
                items.append(
                    NewHost(
                        one.host, one.first, one.last, one.run, one.label, one.requests, one.reached > 0,
                        mark.person if mark else "", mark.at if mark else 0,
                    )
                )  # fmt: skip
        before = (found[-1].first, found[-1].host) if found else None
        if len(found) < wish.limit or time.monotonic() > end:
            before = before if len(found) == wish.limit else None
            break
    return NewHosts(items, cursor.encode(before) if before else "")


def mark_reviewed(desk: Desk, which: OneHost) -> Nothing:
    """Says that a person has looked at a host. It decides nothing."""
    Reviewed(desk.home).mark(which.host.lower(), desk.clock(), f"{desk.person.kind}:{desk.person.id}")
    return Nothing()


def unmark_reviewed(desk: Desk, which: OneHost) -> Nothing:
    Reviewed(desk.home).unmark(which.host.lower())
    return Nothing()


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


def list_runs(desk: Desk, wish: RunsWish) -> RunList:
    desk.office.watch.fresh()
    return RunList(desk.index().reach.runs(asked(wish.q), desk.clock(), wish.limit))


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
        "readReach", "GET", "/reach", "What was reached, by host or path", "read", ReachWish, ReachAnswer, read_reach
    ),
    Operation(
        "readTimeline", "GET", "/reach/timeline", "Decisions over time", "read", TimelineWish, Timeline, read_timeline
    ),
    Operation(
        "compareRuns",
        "GET",
        "/reach/compare",
        "What one run reached and another did not",
        "read",
        CompareWish,
        Comparison,
        compare_runs,
    ),
    Operation(
        "listSubjects", "GET", "/reach/subjects", "What can be asked about", "read", Empty, Subjects, list_subjects
    ),
    Operation("listRuns", "GET", "/runs", "Runs that the logs know", "read", RunsWish, RunList, list_runs),
    Operation(
        "listFirstSeen",
        "GET",
        "/hosts/first-seen",
        "Hosts seen for the first time",
        "read",
        FirstSeenWish,
        NewHosts,
        first_seen,
    ),
    Operation(
        "markReviewed",
        "PUT",
        "/hosts/{host}/reviewed",
        "A person has looked at this host",
        "answer",
        OneHost,
        Nothing,
        mark_reviewed,
        status=204,
    ),
    Operation(
        "unmarkReviewed",
        "DELETE",
        "/hosts/{host}/reviewed",
        "Take the mark back",
        "answer",
        OneHost,
        Nothing,
        unmark_reviewed,
        status=204,
    ),
)
