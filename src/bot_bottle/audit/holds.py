"""Legal holds: which runs must not be purged. They stand in the host log and nowhere else, so none vanishes unseen.

A hold is a record of what a person did (kind `control`, detail ``what = hold``); ``what = release`` ends it. The run
``*`` means every run, those to come as well. Only records with the rule `RULE` count: what the web process has noted
as done by a person is a `control` record, too, and must not end a hold.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from bot_bottle.audit.encode import decode
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import Kind, Record
from bot_bottle.base.errors import AuditFault

EVERY = "*"
HOLD, RELEASE = "hold", "release"
RULE = "audit.retention"


@dataclass(frozen=True, slots=True)
class Hold:
    """run: id, or ``*``. at: wall ns. approver: who; reason: their words."""

    run: str
    at: int
    approver: str
    reason: str


def read(host_log: str) -> dict[str, Hold]:
    """Run -> its hold, from the host log. Proves nothing by itself: see verify."""
    return collect(line for _, lines in LogReader(host_log).batches() for line in lines)


class Following:
    """The holds of a log that goes on: each look reads only what came since."""

    def __init__(self, host_log: str) -> None:
        self._reader = LogReader(host_log)
        self._found: dict[str, Hold] = {}

    def now(self) -> dict[str, Hold]:
        """Run -> its hold."""
        for _, lines in self._reader.batches():
            for line in lines:
                _take_line(self._found, line)
        return self._found


def collect(lines: Iterable[bytes]) -> dict[str, Hold]:
    """The same from lines."""
    found: dict[str, Hold] = {}
    for line in lines:
        _take_line(found, line)
    return found


def _take_line(found: dict[str, Hold], line: bytes) -> None:
    """A line that cannot be read may have been a hold, so it holds every run until a person releases ``*``."""
    try:
        take(found, decode(line))
    except AuditFault:
        found.setdefault(EVERY, Hold(EVERY, 0, "", "A record of the host log cannot be read; it may be a hold."))


def take(found: dict[str, Hold], record: Record) -> None:
    """Follows one record of the host log."""
    what, run = record.detail.get("what", ""), record.detail.get("run", "")
    if record.kind != Kind.CONTROL or record.rule != RULE or not run:
        return
    if what == HOLD:
        found[run] = Hold(run, record.time, record.approver, record.reason)
    elif what == RELEASE:
        found.pop(run, None)


def is_held(found: Mapping[str, Hold], run: str) -> bool:
    """Whether a purge must leave this run alone."""
    return run in found or EVERY in found
