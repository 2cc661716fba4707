"""Recorded requests of past runs, for `policy learn` and `policy replay`: read from the run logs, not proved here.

A line that is no record is passed over: `log verify` is what finds it.
"""

import os
from collections.abc import Collection, Iterable, Iterator

import msgspec

from bot_bottle.audit import runs as logged
from bot_bottle.audit.reader import LogReader
from bot_bottle.base.errors import UsageFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible
from bot_bottle.policy.grants import DEFAULT, LEARNED
from bot_bottle.policy.learn import Past
from bot_bottle.policy.replay import KINDS, Line, request_of

_LINE = msgspec.json.Decoder(Line)
_WORTH = tuple(f'"kind":"{kind}"'.encode() for kind in KINDS)
UNNAMED = ("policy.host-not-allowed", "policy.port-not-allowed", "policy.request-not-allowed")
"""Reasons of a denial that a route would lift."""


def runs_of(home: Home, names: Iterable[str] = ()) -> list[str]:
    """Run ids of these runs (a label is its newest one), all of them where none is named, oldest first. Raises
    UsageFault for an unknown one."""
    try:
        known = sorted(name for name in os.listdir(home.run_logs) if os.path.isdir(home.run_log(name)))
    except OSError:
        known = []
    chosen = dict.fromkeys(name if name in known else _labelled(home, name, known) for name in names)
    return sorted(chosen) or known


def _labelled(home: Home, label: str, known: Collection[str]) -> str:
    facts = reversed(logged.read(home.host_log).values()) if label else ()
    found = next((one.run for one in facts if one.label == label and one.run in known), "")
    if not found:
        raise UsageFault("run.unknown", f"There is no run {visible(label, 80)}.", "See: bot-bottle log search")
    return found


def lines(home: Home, runs: Iterable[str]) -> Iterator[Line]:
    """What was decided in these runs, in the order of their logs."""
    for run in runs:
        for _, batch in LogReader(home.run_log(run)).batches():
            for raw in batch:
                if raw[:64].find(_WORTH[0]) >= 0 or raw[:64].find(_WORTH[1]) >= 0:  # nine of ten need no reading
                    try:
                        yield _LINE.decode(raw)
                    except msgspec.MsgspecError:
                        continue


def to_learn(some: Iterable[Line], denied: bool) -> Iterator[Past]:
    """Requests that no route named: those that left in a learn mode or by a person's yes; with denied, those that
    were denied because nothing named them, too. Never what a route denied, or what was refused for itself."""
    for line in some:
        let_through = line.verdict == "allow" and line.rule in (LEARNED, DEFAULT)
        if let_through or (denied and line.verdict in ("deny", "ask") and line.reason in UNNAMED):
            request = request_of(line)
            if not isinstance(request, str):
                yield Past(request, line.run)


def refused(some: Iterable[Line]) -> Iterator[Past]:
    """Requests that did not leave: what a suggestion should better not let through unseen."""
    for line in some:
        request = request_of(line) if line.verdict in ("deny", "ask") else ""
        if not isinstance(request, str):
            yield Past(request, line.run)
