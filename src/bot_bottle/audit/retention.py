"""Purges the records of old runs: a hold beats it, sinks get them first, and a signed record says so beforehand.

The keeper alone calls this: it has the log key. What remains (checkpoints, hash tiles, the host log) still verifies,
and so does every proof made before. How old a run is, the host log's own records say: between two of them at most a
week counts, so that a clock that jumps ahead ten years makes nothing expire (and one that jumps back makes it wait).
"""

import os
from collections.abc import Iterable

import msgspec

from bot_bottle.audit import cursor, holds, runs
from bot_bottle.audit.checkpoint import Checkpoint, run_origin
from bot_bottle.audit.encode import decode
from bot_bottle.audit.entries import signed
from bot_bottle.audit.holds import Following, Hold
from bot_bottle.audit.hostlog import HostLog, facts
from bot_bottle.audit.note import Signer, VerifierKey
from bot_bottle.audit.purge import purge
from bot_bottle.audit.reader import LogReader, purged_hint
from bot_bottle.audit.record import VERSION, Kind, Record
from bot_bottle.audit.recover import is_orphan
from bot_bottle.audit.sealer import read_head
from bot_bottle.audit.wishes import BEHIND, HELD, OPEN, UNKNOWN, Kept, PurgeResult, PurgeWish
from bot_bottle.base.clock import Clock
from bot_bottle.base.errors import AuditFault, UsageFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible

DAY = 86_400_000_000_000
MOST_BETWEEN = 7 * DAY
"""What the time between two records of the host log counts at most."""


class Ages:
    """Follows the host log: how long ago each run ended, in time that the log itself has seen pass."""

    def __init__(self) -> None:
        self._elapsed = 0
        self._last = 0
        self._ended: dict[str, int] = {}

    def take(self, record: Record) -> None:
        self._pass(record.time)
        if record.kind in (Kind.STOP, Kind.RECOVERED) and record.run:
            self._ended[record.run] = self._elapsed

    def _pass(self, time: int) -> None:
        if self._last:
            self._elapsed += min(max(0, time - self._last), MOST_BETWEEN)
        self._last = time

    def expired(self, now: int, days: int) -> list[str]:
        """Runs that ended at least so many days ago, oldest first."""
        self._pass(now)
        return [run for run, at in self._ended.items() if self._elapsed - at >= days * DAY]


def expired(host_log: str, now: int, days: int) -> list[str]:
    """The runs that a retention of so many days lets go at this wall time."""
    if days <= 0:
        return []
    ages = Ages()
    for record in _records(host_log):
        ages.take(record)
    return ages.expired(now, days)


def purge_runs(home: Home, signer: Signer, clock: Clock, wish: PurgeWish) -> PurgeResult:
    """Purges what the wish names and nothing forbids. Raises AuditFault where the host log cannot be written."""
    due = expired(home.host_log, clock.wall(), wish.days)
    host = HostLog.open(home.host_log, signer)
    try:
        purging = _Purging(home, signer, clock, wish, host)
        for run in dict.fromkeys((*wish.runs, *due)):
            purging.look_at(run)
        if wish.days:
            purging.note({"what": "retention", "days": str(wish.days), **_counts(purging.result)})
    finally:
        host.close()
    return purging.result


class _Purging:
    """One purge. The host log is read once, then only what comes."""

    def __init__(self, home: Home, signer: Signer, clock: Clock, wish: PurgeWish, host: HostLog) -> None:
        self.result = PurgeResult()
        self._home = home
        self._signer = signer
        self._clock = clock
        self._wish = wish
        self._host = host
        self._runs = runs.read(home.host_log)
        self._holds = Following(home.host_log)

    def look_at(self, run: str) -> None:
        """Purges one run, or says why not."""
        why = kept_because(self._home, run, self._holds.now(), self._wish)
        if why is None:
            try:
                why = self._purge(run)
            except AuditFault as fault:
                why = Kept(fault.slug, fault.what)
        if why is not None and why is not GONE:
            self.result.kept[run] = why

    def _purge(self, run: str) -> Kept | None:
        """The record in the host log first: a purge that nobody recorded would look like a removal. Of a purge and a
        hold, what stands first in the host log counts."""
        directory = self._home.run_log(run)
        head, _ = read_head(directory, VerifierKey(run_origin(run), self._signer.public))
        before = purged_hint(directory)
        self._note_purge(run, head)
        if holds.is_held(self._holds.now(), run):
            self.note({"what": "purge-withdrawn", "run": run})
            return Kept(HELD, "It came under a legal hold meanwhile.")
        self.result.purged[run] = purge(directory, run_origin(run), self._signer) - before
        return None

    def _note_purge(self, run: str, head: Checkpoint) -> None:
        detail = {"what": "purge", "run": run, **facts(head)}
        if self._wish.despite_sinks:
            detail["despite"] = "sinks that have not got it"
        known = self._runs.get(run)
        self.note(detail, known.start if known is not None else None)

    def note(self, detail: dict[str, str], start: Record | None = None) -> None:
        """One record of the host log, with the identity of a run where it is about one."""
        record = _control(self._clock, self._wish, detail)
        if start is not None:
            who = {"bottle": start.bottle, "agent": start.agent, "harness": start.harness, "label": start.label}
            record = msgspec.structs.replace(record, **who)
        self._host.append(record)


GONE = Kept("", "Its records went before.")
"""Nothing is left that could go or stay."""


def foreseen(home: Home, now: int, wish: PurgeWish) -> PurgeResult:
    """What a purge would do at this wall time; needs no key and does nothing."""
    held, result = holds.read(home.host_log), PurgeResult()
    for run in dict.fromkeys((*wish.runs, *expired(home.host_log, now, wish.days))):
        why = kept_because(home, run, held, wish)
        if why is None:
            result.purged[run] = signed(home.run_log(run))[0]
        elif why is not GONE:
            result.kept[run] = why
    return result


def kept_because(home: Home, run: str, held: dict[str, Hold], wish: PurgeWish) -> Kept | None:
    """Why a run's records stay; GONE where there are none any more; None where they may go."""
    directory = home.run_log(run)
    if "/" in run or run.startswith(".") or not os.path.isdir(directory):
        return Kept(UNKNOWN, "There is no such run.")
    if holds.is_held(held, run):
        hold = held.get(run) or held[holds.EVERY]
        return Kept(HELD, f"It is under a legal hold: {visible(hold.reason, 200)}")
    if is_orphan(directory):
        return Kept(OPEN, "Its log is still open.")
    size, _ = signed(directory)
    if purged_hint(directory) >= size:
        return GONE
    behind = [] if wish.despite_sinks else [name for name in wish.sinks if _behind(home, name, run, size)]
    return Kept(BEHIND, f"Not forwarded to {', '.join(behind)} yet.") if behind else None


def _behind(home: Home, sink: str, run: str, size: int) -> bool:
    return cursor.read(os.path.join(home.forward, sink)).get(run, 0) < size


def hold_run(home: Home, signer: Signer, clock: Clock, run: str, approver: str, reason: str, release: bool) -> None:
    """Puts a run (``*``: all) under a hold, or ends it. Raises UsageFault where there is none to end, or no run."""
    held = holds.read(home.host_log)
    if release and run not in held:
        raise UsageFault("hold.none", f"{visible(run, 80)} is not under a hold.", "See: bot-bottle log holds")
    if not release and run != holds.EVERY and ("/" in run or not os.path.isdir(home.run_log(run))):
        raise UsageFault("hold.unknown", f"There is no run {visible(run, 80)}.", "See: bot-bottle log search")
    if not reason.strip():
        raise UsageFault("hold.reason", "A hold needs a reason.", "Add --reason 'what it is kept for'.")
    what = holds.RELEASE if release else holds.HOLD
    host = HostLog.open(home.host_log, signer)
    try:
        wish = PurgeWish(approver=approver, reason=reason)
        host.append(_control(clock, wish, {"what": what, "run": run}))
    finally:
        host.close()


def _control(clock: Clock, wish: PurgeWish, detail: dict[str, str]) -> Record:
    return Record(
        VERSION, Kind.CONTROL, "", clock.wall(), clock.monotonic(), "", "", "", "", "", reason=wish.reason,
        rule=holds.RULE, detail=detail, approver=wish.approver,
    )  # fmt: skip


def _counts(result: PurgeResult) -> dict[str, str]:
    return {"purged": str(len(result.purged)), "kept": str(len(result.kept))}


def _records(host_log: str) -> Iterable[Record]:
    for _, lines in LogReader(host_log).batches():
        for line in lines:
            try:
                yield decode(line)
            except AuditFault:
                continue
