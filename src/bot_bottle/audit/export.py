"""Which entries an export holds: one log or all, with the filters of `log search`. A stream: nothing is kept."""

import os
from collections.abc import Iterable, Iterator

import msgspec

from bot_bottle.audit.entries import HOST_NAME, Entry, entries
from bot_bottle.audit.formats.parts import place_of
from bot_bottle.base.home import Home


class Wish(msgspec.Struct, frozen=True):
    """What is wanted; empty means any. host: exact, or ``*.suffix``. since, until: wall ns, until exclusive.
    label, bottle, agent: exact."""

    kinds: tuple[str, ...] = ()
    host: str = ""
    verdict: str = ""
    rule: str = ""
    bottle: str = ""
    label: str = ""
    agent: str = ""
    since: int = 0
    until: int = 0

    def takes(self, entry: Entry) -> bool:
        """Whether an entry is wanted."""
        record = entry.record
        exact = ((self.verdict, record.verdict), (self.rule, record.rule), (self.bottle, record.bottle))
        exact += ((self.label, record.label), (self.agent, record.agent))
        if any(wish and wish != found for wish, found in exact) or (self.kinds and record.kind not in self.kinds):
            return False
        if record.time < self.since or (self.until and record.time >= self.until):
            return False
        return not self.host or _is_host(self.host, place_of(record.target).host)


def _is_host(wish: str, host: str) -> bool:
    return host.endswith(wish[1:]) if wish.startswith("*.") else host == wish


def wanted(found: Iterable[Entry], wish: Wish) -> Iterator[Entry]:
    """The entries that are wanted, in their order."""
    return (entry for entry in found if wish.takes(entry))


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
