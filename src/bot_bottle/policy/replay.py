"""Past traffic against a candidate policy: which decisions would change, and which cannot be told. Pure.

A record holds what was decided about, not everything that was sent: values of headers only where a route of that time
matched on them, and a path only up to its limit. Where the candidate needs more, the answer is *undecidable*, never a
guess. What was refused for another reason than the policy (malformed, a secret in it, limits) stays refused. What a
person was asked about counts as asked, whatever they or their silence said.
"""

from collections.abc import Iterable
from enum import StrEnum

import msgspec

from bot_bottle.policy.arms import Arm
from bot_bottle.policy.decide import Compiled, decide, find_index, matched_headers
from bot_bottle.policy.hosts import canonical_host
from bot_bottle.policy.learn import target_of
from bot_bottle.policy.paths import canonical_path, loose_views
from bot_bottle.policy.verdict import Kind, Request

KINDS = ("intent", "denied")
"""Of each request one record says what was decided: these."""


class Line(msgspec.Struct):
    """The members of a record (audit.record) that a decision needs; the rest of the line is skipped."""

    kind: str = ""
    run: str = ""
    bottle: str = ""
    target: str = ""
    method: str = ""
    path: str = ""
    protocol: str = "http1"
    headers: tuple[str, ...] = ()
    matched: dict[str, str] = {}
    verdict: str = ""
    rule: str = ""
    reason: str = ""
    ask: str = ""
    grant: str = ""


class Change(StrEnum):
    """What becomes of a request of the past."""

    SAME = "same"
    GAINED = "gained"  # it was denied or asked, and would be allowed
    LOST = "lost"  # it was allowed, and would be denied
    ASKED = "asked"  # it was decided, and a person would be asked
    CLOSED = "closed"  # a person was asked, and it would be denied
    OTHER_RULE = "other-rule"  # decided alike, by another rule
    UNDECIDABLE = "undecidable"  # the record lacks an input
    REFUSED = "refused"  # refused before any rule, then as now
    NO_REQUEST = "no-request"  # not a record of a decision


class Outcome(msgspec.Struct, frozen=True):
    """change: what becomes of it. rule: of the candidate, "" where none. why: for UNDECIDABLE, what is missing."""

    change: Change
    rule: str = ""
    why: str = ""


class Group(msgspec.Struct):
    """Requests of one kind that change alike. path: an example."""

    change: Change
    host: str
    method: str
    was: str
    rule: str
    why: str
    path: str
    count: int = 0


class Tally(msgspec.Struct):
    """counts: how many of each change. groups: what is worth reading, the most frequent first."""

    counts: dict[Change, int]
    groups: list[Group]


_WORTH = frozenset({Change.GAINED, Change.LOST, Change.ASKED, Change.CLOSED, Change.UNDECIDABLE})
_CACHE = 50_000
_GROUPS = 10_000


class Replay:
    """One candidate. Equal requests are decided once, as long as they fit into memory."""

    def __init__(self, candidate: Compiled) -> None:
        self._candidate = candidate
        self._needs = matched_headers(candidate)
        self._known: dict[tuple[object, ...], Outcome] = {}
        self._counts: dict[Change, int] = dict.fromkeys(Change, 0)
        self._groups: dict[tuple[str, ...], Group] = {}

    def take(self, line: Line) -> Change:
        """Counts one record."""
        outcome = self._outcome(line)
        self._counts[outcome.change] += 1
        if outcome.change in _WORTH:
            self._group(line, outcome)
        return outcome.change

    def take_all(self, lines: Iterable[Line]) -> None:
        """Counts them all."""
        for line in lines:
            self.take(line)

    def tally(self) -> Tally:
        """What was found so far."""
        groups = sorted(self._groups.values(), key=lambda one: (-one.count, one.host, one.method, one.path))
        return Tally({change: number for change, number in self._counts.items() if number}, groups)

    def _outcome(self, line: Line) -> Outcome:
        if line.kind not in KINDS or not line.target:
            return Outcome(Change.NO_REQUEST)
        key = (
            line.target, line.method, line.path, line.protocol, _was(line), line.rule, line.reason,
            *line.matched.items(), *(self._needs.intersection(line.headers) if self._needs else ()),
        )  # fmt: skip
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _CACHE:
                self._known.clear()
            found = self._known[key] = replayed(self._candidate, line, self._needs)
        return found

    def _group(self, line: Line, outcome: Outcome) -> None:
        target = line.target.partition("://")[2]
        was = _was(line)
        key = (outcome.change, target, line.method, was, outcome.rule, outcome.why)
        found = self._groups.get(key)
        if found is None and len(self._groups) < _GROUPS:
            found = self._groups[key] = Group(
                outcome.change, target, line.method, was, outcome.rule, outcome.why, line.path
            )
        if found:
            found.count += 1


def replayed(candidate: Compiled, line: Line, needs: frozenset[str]) -> Outcome:
    """What the candidate makes of one recorded request. needs: `matched_headers` of it."""
    if _was(line) == Kind.DENY.value and not line.reason.startswith("policy."):
        return Outcome(Change.REFUSED)
    request = request_of(line)
    if isinstance(request, str):
        return Outcome(Change.UNDECIDABLE, why=request)
    missing = frozenset(name for name in needs.intersection(line.headers) if not _recorded(line, name))
    if missing and _could_matter(candidate, request, missing):
        return Outcome(Change.UNDECIDABLE, why=f"the value of header {', '.join(sorted(missing))} was not recorded")
    verdict = decide(candidate, request)
    return Outcome(_change(line, verdict.kind, verdict.rule), verdict.rule)


def _recorded(line: Line, name: str) -> bool:
    """Whether the one value of a header is there whole; of a repeated one only the last may be."""
    return "…" not in line.matched.get(name, "…") and line.headers.count(name) == 1


def request_of(line: Line) -> Request | str:
    """The request of a record, or what it lacks."""
    target = target_of(line.target)
    try:
        if target is None or canonical_host(target.host) != target.host:
            return "the target was not recorded"
        if "…" in line.path or not line.path or canonical_path(line.path) != line.path:
            return "the path was recorded in part"
    except ValueError:
        return "the path was recorded in part"
    headers = tuple((name, value) for name, value in line.matched.items())
    return Request(target, line.method, line.path, headers=headers, protocol=line.protocol or "http1")


def _was(line: Line) -> str:
    """What the policy of then said: a record of the end of an ask holds what came of it."""
    return Kind.ASK.value if line.ask or line.grant or line.reason.startswith("ask.") else line.verdict


def _change(line: Line, now: Kind, rule: str) -> Change:
    before = _was(line)
    if before == now.value:
        return Change.SAME if rule == line.rule else Change.OTHER_RULE
    if now is Kind.ALLOW:
        return Change.GAINED
    if now is Kind.ASK:
        return Change.ASKED
    return Change.LOST if before == Kind.ALLOW.value else Change.CLOSED


def _could_matter(candidate: Compiled, request: Request, missing: frozenset[str]) -> bool:
    """Whether a route that matches but for these headers is among those that decide."""
    index = find_index(candidate, request.target.host)
    if index is None:
        return False
    table = index.table(request.target.scheme, request.target.port)
    views = loose_views(request.path)
    return any(
        _matches_but(arm, request, views, missing) for arms in (table.deny, table.ask, table.allow) for arm in arms
    )


def _matches_but(arm: Arm, request: Request, views: tuple[str, ...], missing: frozenset[str]) -> bool:
    left = tuple(check for check in arm.headers if check.name not in missing)
    if len(left) == len(arm.headers):
        return False
    rest = msgspec.structs.replace(arm, headers=left)
    return rest.matches(request) if arm.action == "allow" else rest.matches_loosely(request, views)
