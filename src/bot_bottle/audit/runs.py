"""What the host log says of the runs: which there were, under which label, with which heads, and which have ended."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from bot_bottle.audit.checkpoint import Checkpoint, run_origin
from bot_bottle.audit.encode import decode
from bot_bottle.audit.hostlog import head_of
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import Kind, Record
from bot_bottle.base.errors import AuditFault


@dataclass(slots=True)
class Facts:
    """One run. start: its start record. heads: countersigned heads, oldest first. ended: it was stopped or sealed."""

    run: str
    start: Record | None = None
    heads: list[Checkpoint] = field(default_factory=list[Checkpoint])
    ended: bool = False
    bottle: str = ""
    label: str = ""

    def take(self, record: Record) -> None:
        self.bottle, self.label = record.bottle or self.bottle, record.label or self.label
        if record.kind == Kind.START:
            self.start = record
        elif record.kind == Kind.CHECKPOINT:
            head = head_of(record)
            if head is not None and head.origin == run_origin(self.run):
                self.heads.append(head)
        elif record.kind in (Kind.STOP, Kind.RECOVERED):
            self.ended = True


def read(host_log: str) -> dict[str, Facts]:
    """run id -> facts, in the order of the first mention. Proves nothing by itself: see `whole`."""
    return collect(line for _, lines in LogReader(host_log).batches() for line in lines)


def collect(lines: Iterable[bytes]) -> dict[str, Facts]:
    """The same from lines; what is no record is passed over (verify names it)."""
    found: dict[str, Facts] = {}
    for line in lines:
        try:
            record = decode(line)
        except AuditFault:
            continue
        if record.run:
            found.setdefault(record.run, Facts(record.run)).take(record)
    return found
