"""Seals the log of a run whose keeper died: the next start calls it for every orphan (D17).

What is there is proved against the signed head first; a log that does not continue it is refused and kept as
evidence. Then the intents without an outcome are closed as unknown, the torn last line (if any) is ended so that it
stays as a line that is no record, and one `recovered` record says how many there were.
"""

import contextlib
import os
import time
from collections.abc import Sequence

import msgspec

from bot_bottle.audit import runs
from bot_bottle.audit.checkpoint import Checkpoint, run_origin
from bot_bottle.audit.encode import decode, encode
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.journal import segments
from bot_bottle.audit.merkle import EMPTY
from bot_bottle.audit.note import Signer, VerifierKey
from bot_bottle.audit.record import VERSION, Kind, Record
from bot_bottle.audit.sealer import Sealer, inconsistent, read_head
from bot_bottle.audit.tiles import Tiles, TileSource
from bot_bottle.base.clock import Clock
from bot_bottle.base.errors import AuditFault
from bot_bottle.base.home import Home

CLOSED = (Kind.STOP, Kind.RECOVERED)
MOST_OUTCOMES = 10_000
"""Open intents that get an outcome record each; more are only counted."""


class Recovered(msgspec.Struct):
    """What was found. run: its id. head: the sealed head. torn: bytes of the torn last line."""

    run: str
    head: Checkpoint
    open_intents: int = 0
    unreadable: int = 0
    torn: int = 0


class _State:
    """Follows the records of the orphan: identity, open intents, whether it was ended properly."""

    def __init__(self) -> None:
        self.open: dict[int, Record] = {}
        self.last: Record | None = None
        self.identity: Record | None = None
        self.unreadable = 0

    def watch(self, lines: Sequence[bytes]) -> None:
        for line in lines:
            try:
                record = decode(line)
            except AuditFault:
                self.unreadable += 1
                self.last = None
                continue
            self.last = record
            self.identity = self.identity or record
            if record.kind == Kind.INTENT:
                self.open[record.request] = record
            elif record.kind in (Kind.OUTCOME, Kind.DENIED):
                self.open.pop(record.request, None)


def is_orphan(directory: str) -> bool:
    """Whether the log was never closed: its journal is still there."""
    return os.path.isdir(os.path.join(directory, "journal"))


def recover(
    directory: str, run: str, signer: Signer, clock: Clock, known: Sequence[Checkpoint] = ()
) -> Recovered | None:
    """Seals an orphan; None where the log was closed. known: heads of this run that the host log countersigned.

    Raises BusyFault while its keeper or gateway still lives, AuditFault when the log does not continue what was
    signed (it is then left exactly as it is).
    """
    if not is_orphan(directory):
        return None
    state = _State()
    sealer = Sealer.load(directory, run_origin(run), signer, watch=state.watch)
    try:
        sealer.restore_tiles()
        _prove(directory, sealer, known)
        return _seal(run, sealer, state, clock)
    finally:
        sealer.close()


def _prove(directory: str, sealer: Sealer, known: Sequence[Checkpoint]) -> None:
    head, source = sealer.head, TileSource(Tiles(directory), sealer.size)
    for remembered in known:
        if remembered.size > head.size:
            raise inconsistent(directory, f"the host log knows {remembered.size} records, it has {head.size}")
        root = source(0, remembered.size) if remembered.size else EMPTY
        if root != remembered.root:
            raise inconsistent(directory, f"its first {remembered.size} records are not those in the host log")


def recover_run(home: Home, run: str, signer: Signer, clock: Clock | None = None) -> Recovered | None:
    """Seals the log of a dead run and says so in the host log; None where both knew its end already."""
    clock = clock or HostClock()
    directory = home.run_log(run)
    if _never_began(directory):
        return None
    facts = runs.read(home.host_log).get(run, runs.Facts(run))
    found = recover(directory, run, signer, clock, facts.heads)
    if found is None and facts.ended:
        return None
    head, _ = read_head(directory, VerifierKey(run_origin(run), signer.public))
    host = HostLog.open(home.host_log, signer)
    try:
        record = _recovered(run, facts.start, found or Recovered(run, head), clock)
        host.countersign(record, head)
        host.append(record)
    finally:
        host.close()
    return found


def _never_began(directory: str) -> bool:
    """A keeper that died before its first checkpoint has written nothing else either; what it left is removed."""
    journal = os.path.join(directory, "journal")
    if os.path.exists(os.path.join(directory, "checkpoint")):
        return False
    if any(os.path.getsize(path) for _, path in segments(directory)):
        return False
    for folder in (journal, directory):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            if os.path.isfile(os.path.join(folder, name)):
                os.unlink(os.path.join(folder, name))
        with contextlib.suppress(OSError):
            os.rmdir(folder)
    return True


class HostClock:
    """The clock of this machine."""

    def wall(self) -> int:
        return time.time_ns()

    def monotonic(self) -> int:
        return time.monotonic_ns()


def _seal(run: str, sealer: Sealer, state: _State, clock: Clock) -> Recovered:
    torn = len(sealer.front.rest)
    unread = sealer.size > sealer.head.size
    found = Recovered(run, sealer.head, len(state.open), state.unreadable, torn)
    if torn or state.last is None or state.last.kind not in CLOSED:
        for record in list(state.open.values())[:MOST_OUTCOMES]:
            sealer.append(encode(_unknown(record, clock)))
        sealer.append(encode(_recovered(run, state.identity, found, clock)))
        unread = True
    if unread:
        sealer.read()
        sealer.sign()
    found.head = sealer.head
    sealer.finish()
    return found


def _unknown(intent: Record, clock: Clock) -> Record:
    """The outcome of a request that nobody saw end."""
    return msgspec.structs.replace(
        intent, kind=Kind.OUTCOME, time=clock.wall(), mono=clock.monotonic(), reason="unknown", headers=(), matched={}
    )


def _recovered(run: str, identity: Record | None, found: Recovered, clock: Clock) -> Record:
    detail = {"open_intents": str(found.open_intents), "torn": str(found.torn), "unreadable": str(found.unreadable)}
    known = identity or Record(VERSION, Kind.RECOVERED, run, 0, 0, "", "", "", "", "")
    return Record(
        v=VERSION,
        kind=Kind.RECOVERED,
        run=run,
        time=clock.wall(),
        mono=clock.monotonic(),
        bottle=known.bottle,
        agent=known.agent,
        harness=known.harness,
        label=known.label,
        policy=known.policy,
        reason="the keeper ended without closing the log",
        detail=detail,
    )
