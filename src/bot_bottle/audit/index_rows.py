"""From a line of a log to the narrow row and the sums of the index. Decodes only what the index keeps."""

import re
from dataclasses import dataclass, field

import msgspec

from bot_bottle.audit.index_schema import HOUR, MOST
from bot_bottle.audit.record import Kind

KINDS = tuple(Kind)
UNKNOWN_KIND = len(KINDS)
KIND_NUMBERS = {kind.value: number for number, kind in enumerate(KINDS)}
PERSONAL_BIT = 1 << 40
"""In `groups.kinds`: some record of the group names an ask, a grant or an approver."""
REACHED_BIT = 1 << 41
"""In `groups.kinds`: some request of the group got a connection."""
UNCONNECTED = frozenset(("upstream.unresolved", "upstream.refused", "upstream.timeout", "upstream.proxy"))
"""Reasons of outcomes: no connection to the host came about, whatever was dialled."""
MOST_PATTERNS = 2000
"""Path patterns of one run; what comes later counts as ``/**``: a bottle cannot make the index grow without end."""
MOST_BYTES = 2**60
"""Where sums of bytes stop: what a gateway that was taken over may claim must not break the index."""
_MOST_KNOWN = 20_000
_DEPTH = 4
_LONG = 40
_VARIES = re.compile(r"\d+\Z|[0-9a-fA-F]{7,}\Z|(?=[^\d]*\d).{12,}\Z", re.ASCII | re.DOTALL)
_REQUESTS = frozenset((Kind.INTENT.value, Kind.DENIED.value))

ShapeKey = tuple[str, str, str, str, str, str, str, str, int]
"""host, scheme, method, path pattern, verdict, rule, reason, secrets (sorted, comma), solo: the kind of what has no
target, so that the few that say what people did do not lie among the many."""


_Known = tuple[str | int, str, str, str, str, str, tuple[str, ...]]


class Line(msgspec.Struct, gc=False):
    """What of a record the index looks at; the rest is not even decoded."""

    kind: str
    time: int
    bottle: str = ""
    agent: str = ""
    harness: str = ""
    label: str = ""
    policy: str = ""
    target: str = ""
    method: str = ""
    path: str = ""
    verdict: str = ""
    rule: str = ""
    reason: str = ""
    secrets: tuple[str, ...] = ()
    address: str = ""
    status: int = 0
    up: int = 0
    down: int = 0
    detail: dict[str, str] = {}
    ask: str = ""
    grant: str = ""
    approver: str = ""


_decode = msgspec.json.Decoder(Line).decode


def place(target: str) -> tuple[str, str]:
    """(scheme, host) of a record's target ``scheme://host:port``; a name that was asked for has no port."""
    scheme, found, rest = target.partition("://")
    if not found:
        scheme, rest = "", target
    host, colon, port = rest.rpartition(":")
    return scheme, host if colon and host and port.isdigit() else rest


def pattern(path: str) -> str:
    """A path with what varies as ``*``: numbers, digests, ids, long segments, those from twelve characters on with a
    digit in them; the fifth segment and on as ``**``."""
    parts = path.split("/", _DEPTH + 1)
    if len(parts) > _DEPTH + 1:
        parts[_DEPTH + 1 :] = ["**"]
    return "/".join("*" if len(part) > _LONG or (part != "**" and _VARIES.match(part)) else part for part in parts)


class Sum:
    """What a shape adds up to in one hour. missed: outcomes of requests that got no connection."""

    __slots__ = ("asks", "down", "first", "kinds", "last", "missed", "records", "requests", "up")

    def __init__(self) -> None:
        self.records = self.requests = self.asks = self.up = self.down = self.kinds = self.last = self.missed = 0
        self.first = MOST

    def add(self, other: "Sum") -> None:
        self.records, self.requests = self.records + other.records, self.requests + other.requests
        self.asks, self.kinds = self.asks + other.asks, self.kinds | other.kinds
        self.missed += other.missed
        self.up, self.down = min(MOST_BYTES, self.up + other.up), min(MOST_BYTES, self.down + other.down)
        self.first, self.last = min(self.first, other.first), max(self.last, other.last)


@dataclass(slots=True)
class Who:
    """What all records of a run share, as its records say it."""

    bottle: str = ""
    agent: str = ""
    harness: str = ""
    label: str = ""
    project: str = ""
    person: str = ""
    policy: str = ""
    first: int = MOST
    last: int = 0
    ended: int = 0

    def take(self, line: Line, kind: int) -> None:
        """kind: number in `KINDS`; the first that says something counts, of the policy the last."""
        self.policy = line.policy or self.policy
        if not self.bottle or not self.label:
            self.bottle, self.agent = self.bottle or line.bottle, self.agent or line.agent
            self.harness, self.label = self.harness or line.harness, self.label or line.label
        if KINDS[kind] is Kind.START:
            self.project = line.detail.get("project", "") or self.project
            self.person = line.detail.get("person", "") or self.person


Row = tuple[int, int, int, int, int]
"""time, number, kind, slot of the shape in the batch's `shapes`, status."""


@dataclass(slots=True)
class Batch:
    """Rows and sums that are not written yet. shapes: key -> slot. uses: grant -> requests that left under it."""

    rows: list[Row] = field(default_factory=list[Row])
    shapes: dict[ShapeKey, int] = field(default_factory=dict[ShapeKey, int])
    sums: dict[tuple[int, int], Sum] = field(default_factory=dict[tuple[int, int], Sum])
    uses: dict[str, int] = field(default_factory=dict[str, int])


class Taker:
    """Takes the lines of one run. patterns: those that the run has already."""

    def __init__(self, who: Who, patterns: set[str]) -> None:
        self.who = who
        self.patterns = patterns
        self.batch = Batch()
        self._known: dict[_Known, int] = {}

    def fresh(self) -> Batch:
        """What was taken since the last call."""
        batch, self.batch, self._known = self.batch, Batch(), {}
        return batch

    def take(self, number: int, data: bytes) -> None:
        """One line; what is no record is left out here (it stays in the log, and `verify` names it)."""
        try:
            line = _decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return
        moment, batch, who = min(max(line.time, 0), MOST), self.batch, self.who
        kind = KIND_NUMBERS.get(line.kind, UNKNOWN_KIND)
        if line.detail or not who.label or line.policy != who.policy:
            who.take(line, min(kind, UNKNOWN_KIND - 1))
        if moment < who.first:
            who.first = moment
        if moment > who.last:
            who.last = moment
        if kind in _ENDS:
            who.ended = 1
        if line.grant and kind == _INTENT:
            batch.uses[line.grant] = batch.uses.get(line.grant, 0) + 1
        known = (line.target or kind, line.method, line.path, line.verdict, line.rule, line.reason, line.secrets)
        slot = self._known.get(known, -1)
        if slot < 0:
            slot = self._slot(line, kind, known)
        batch.rows.append((moment, number, kind, slot, min(max(line.status, 0), MOST)))
        hour = (slot, moment // HOUR)
        total = batch.sums.get(hour)
        if total is None:
            total = batch.sums[hour] = Sum()
        _add(total, line, kind, moment)

    def _slot(self, line: Line, kind: int, known: _Known) -> int:
        scheme, host = place(line.target)
        path = pattern(line.path)
        if path not in self.patterns:
            if len(self.patterns) >= MOST_PATTERNS:
                path = "/**"
            self.patterns.add(path)
        secrets, solo = ",".join(sorted(line.secrets)), -1 if line.target else kind
        key = (host.lower(), scheme, line.method, path, line.verdict, line.rule, line.reason, secrets, solo)
        slot = self.batch.shapes.setdefault(key, len(self.batch.shapes))
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[known] = slot
        return slot


def _add(total: Sum, line: Line, kind: int, moment: int) -> None:
    total.records += 1
    total.kinds |= 1 << kind
    if line.ask or line.grant or line.approver:
        total.kinds |= PERSONAL_BIT
    if kind in _REQUEST_KINDS:
        total.requests += 1
    elif kind == _ASK:
        total.asks += 1
    elif kind == _OUTCOME:
        total.up = min(MOST_BYTES, total.up + max(0, line.up))
        total.down = min(MOST_BYTES, total.down + max(0, line.down))
        if line.address and line.reason not in UNCONNECTED:
            total.kinds |= REACHED_BIT
        else:
            total.missed += 1
    if moment < total.first:
        total.first = moment
    if moment > total.last:
        total.last = moment


_ASK, _INTENT, _OUTCOME = KIND_NUMBERS[Kind.ASK], KIND_NUMBERS[Kind.INTENT], KIND_NUMBERS[Kind.OUTCOME]
_ENDS = frozenset((KIND_NUMBERS[Kind.STOP], KIND_NUMBERS[Kind.RECOVERED]))
_REQUEST_KINDS = frozenset(KIND_NUMBERS[kind] for kind in _REQUESTS)
