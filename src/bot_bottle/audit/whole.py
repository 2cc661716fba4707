"""Verifies a home: the host log, every run's log against it, and that no run has vanished (D17).

Whoever can replace the whole home, key and remembered checkpoints included, can replace the past: only a
checkpoint kept elsewhere shows that. The documentation says so.
"""

import os
from collections.abc import Callable

import msgspec

from bot_bottle.audit import runs
from bot_bottle.audit.checkpoint import HOST, run_origin
from bot_bottle.audit.verify import Report, verify
from bot_bottle.base.home import Home


class Whole(msgspec.Struct):
    """host: the host log. runs: all runs that the host log or the directory knows."""

    host: Report
    runs: dict[str, Report] = {}

    @property
    def ok(self) -> bool:
        return self.host.ok and all(report.ok for report in self.runs.values())


def verify_home(home: Home, fingerprint: str) -> Whole:
    """Everything. Read first what must be there, so that a run that goes on meanwhile is not called short."""
    facts = runs.read(home.host_log)
    whole = Whole(verify(home.host_log, fingerprint, origin=HOST))
    for run in sorted(set(facts) | set(_directories(home))):
        whole.runs[run] = verify_run(home, run, fingerprint, facts=facts.get(run, runs.Facts(run)))
    return whole


def verify_run(
    home: Home,
    run: str,
    fingerprint: str,
    against: bytes | None = None,
    *,
    facts: runs.Facts | None = None,
    told: Callable[[int], None] | None = None,
) -> Report:
    """One run's log, also against the heads that the host log countersigned. told: as in `verify`."""
    if facts is None:
        facts = runs.read(home.host_log).get(run, runs.Facts(run))
    directory = home.run_log(run)
    if not os.path.isdir(directory):
        return Report(
            directory, "bad", problems=["The host log or a checkpoint knows this run, but its log has vanished."]
        )
    report = verify(directory, fingerprint, against, origin=run_origin(run), known=facts.heads, told=told)
    mentioned = facts.start is not None or facts.heads or facts.ended
    if not mentioned and report.size + report.unproven:
        report.problems.append("The host log does not know this run.")
        report.state = "bad"
    elif facts.ended and report.state == "open":
        report.problems.append("The host log says that this run has ended, but its log does not.")
        report.state = "bad"
    return report


def _directories(home: Home) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(home.run_logs) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
