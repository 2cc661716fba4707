"""Which entries an export holds: one log or all, with the filters of Live and Log. A stream: nothing is kept."""

import os
from collections.abc import Iterable, Iterator

from bot_bottle.audit.entries import HOST_NAME, Entry, entries
from bot_bottle.audit.filter_match import Seen, matcher
from bot_bottle.audit.filters import Filter
from bot_bottle.audit.formats.parts import place_of
from bot_bottle.audit.record import Kind
from bot_bottle.base.home import Home


def wanted(found: Iterable[Entry], wish: Filter, now: int) -> Iterator[Entry]:
    """The entries that a filter asks for, in their order. now: wall ns, for ``since:1h``.

    Project and person stand in the start record of a run, so they are followed on the way.
    """
    if not wish.terms:
        yield from found
        return
    fits = matcher(wish, now)
    facts: dict[str, dict[str, str]] = {}
    for entry in found:
        record = entry.record
        if record.kind == Kind.START:
            facts[record.run] = record.detail
        known = facts.get(record.run, {})
        line = entry.line.decode("ascii", "replace").lower()
        place = place_of(record.target)
        if fits(Seen(record, record.run, place.host, line, known.get("project", ""), known.get("person", ""))):
            yield entry


def logs(home: Home) -> list[tuple[str, str]]:
    """(name, directory) of every log: the host's first, then the runs in the order of their ids, which is time."""
    try:
        runs = sorted(entry.name for entry in os.scandir(home.run_logs) if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        runs = []
    host = [(HOST_NAME, home.host_log)] if os.path.isdir(home.host_log) else []
    return host + [(run, home.run_log(run)) for run in runs]


def all_entries(home: Home) -> Iterator[Entry]:
    """Everything that this home has recorded, log by log."""
    for name, directory in logs(home):
        yield from entries(directory, name)
