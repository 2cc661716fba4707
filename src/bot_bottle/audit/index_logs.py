"""Which logs there are, and whether one changed since it was indexed: looked at from outside, some files a log."""

import contextlib
import os
from collections.abc import Iterator

from bot_bottle.audit.merkle import leaf_hash
from bot_bottle.audit.reader import LogReader, purged_hint
from bot_bottle.base.home import Home

HOST = "host"
"""The host log's name among the runs. Of it only what people did is indexed: the rest repeats the runs' own logs."""


def logs(home: Home) -> dict[str, str]:
    """Name -> directory of every log, in the order of the run ids, which is time; the host log last."""
    try:
        runs = sorted(entry.name for entry in os.scandir(home.run_logs) if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        runs = []
    found = {run: home.run_log(run) for run in runs if run != HOST}
    if os.path.isdir(home.host_log):
        found[HOST] = home.host_log
    return found


def signature(directory: str) -> str:
    """What a log's directory looks like from outside: equal means that nothing was appended, purged or exchanged."""
    parts = [str(os.stat(directory).st_ino)]
    for name in ("checkpoint", "purged"):
        with contextlib.suppress(OSError):
            found = os.stat(f"{directory}/{name}")
            parts.append(f"{name}:{found.st_mtime_ns}:{found.st_size}")
    with contextlib.suppress(OSError):
        for entry in sorted(os.scandir(f"{directory}/journal"), key=lambda entry: entry.name):
            parts.append(f"{entry.name}:{entry.stat().st_size}")
    return " ".join(parts)


def is_line(directory: str, number: int, digest: bytes) -> bool:
    """Whether record `number` is still the one that was indexed last; a purged one cannot be told."""
    if number < purged_hint(directory):
        return True
    return next((leaf_hash(line) == digest for at, line in _lines(directory, number) if at == number), False)


def _lines(directory: str, start: int) -> Iterator[tuple[int, bytes]]:
    for first, lines in LogReader(directory, start).batches():
        yield from enumerate(lines, first)
