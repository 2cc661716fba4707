"""Runs whose records were purged: their names, when and by whom, as the host log keeps them. The index knows of such
a run only that it has no records any more."""

import msgspec

from bot_bottle.audit.encode import decode
from bot_bottle.audit.filters import Filter, Term
from bot_bottle.audit.holds import RULE
from bot_bottle.audit.index import HOST
from bot_bottle.audit.index_counts import RunRow
from bot_bottle.base.errors import AuditFault
from bot_bottle.web.desk import Desk

_CONTROLS = Filter((Term("run", (HOST,)), Term("kind", ("control",)), Term("rule", (RULE,))))
"""What only a holder of the log key writes."""
_MOST, _SECONDS = 5000, 1.0
PURGE, WITHDRAWN = "purge", "purge-withdrawn"


class Purge(msgspec.Struct, frozen=True):
    """at: wall ns. by: who; reason: their words."""

    run: str
    label: str
    bottle: str
    agent: str
    harness: str
    at: int
    by: str
    reason: str


class RunItem(RunRow):
    """A run. purged_at, purged_by: when (wall ns) and by whom its records were purged; 0 and "" where they were not.
    Of a purged run the sums are 0, and the names come from the host log."""

    purged_at: int = 0
    purged_by: str = ""


def purges(at: Desk) -> dict[str, Purge]:
    """run -> its purge, the newest first."""
    return at.office.remembered("purges", _SECONDS, lambda: _purges(at))


def _purges(at: Desk) -> dict[str, Purge]:
    found: dict[str, Purge] = {}
    withdrawn: set[str] = set()
    for hit in at.index().page(_CONTROLS, at.clock(), _MOST).hits:
        try:
            record = decode(hit.text.encode() + b"\n")
        except AuditFault:
            continue
        what, run = record.detail.get("what", ""), record.detail.get("run", "")
        if what == WITHDRAWN:
            withdrawn.add(run)
        elif what == PURGE and run in withdrawn:
            withdrawn.discard(run)
        elif what == PURGE:
            who = (record.label, record.bottle, record.agent, record.harness)
            found.setdefault(run, Purge(run, *who, record.time, record.approver, record.reason))
    return found


def item(at: Desk, row: RunRow) -> RunItem:
    """A run with what the host log says of its purge."""
    made = RunItem(**msgspec.structs.asdict(row))
    gone = purges(at).get(row.run) if row.purged else None
    if gone is None:
        return made
    return msgspec.structs.replace(
        made, label=gone.label, bottle=gone.bottle, agent=gone.agent, harness=gone.harness, ended=True,
        purged_at=gone.at, purged_by=gone.by,
    )  # fmt: skip


def labelled(at: Desk, label: str) -> str:
    """The run that was purged last of those with a label, or ""."""
    return next((one.run for one in purges(at).values() if one.label == label), "")
