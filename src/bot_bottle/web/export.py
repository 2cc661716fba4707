"""An export as a download: written by a thread, taken as fast as the browser takes it, nothing kept on a disk."""

import contextlib
import io
import queue
import threading
from collections.abc import Iterable, Iterator

from bot_bottle.audit.entries import Entry
from bot_bottle.audit.export import all_entries
from bot_bottle.audit.filter_match import Seen, matcher
from bot_bottle.audit.filters import Filter
from bot_bottle.audit.formats.registry import format_of
from bot_bottle.audit.index_rows import place
from bot_bottle.audit.record import Kind
from bot_bottle.base.home import Home

STREAMED = ("jsonl", "csv", "ocsf", "ocsf18", "cef")
"""Formats that are written from front to back."""
_PIECE = 1 << 16
_WAITING = 8


class Gone(Exception):
    """The browser went away."""


def download(home: Home, wanted: Filter, form: str, now: int) -> Iterator[bytes]:
    """The bytes of an export of all logs with a filter. now: wall ns, for moments."""
    pieces: queue.Queue[bytes | None] = queue.Queue(_WAITING)
    file = _Out(pieces)
    thread = threading.Thread(target=_write, args=(home, wanted, form, now, file), name="export", daemon=True)
    thread.start()
    try:
        while (piece := pieces.get()) is not None:
            yield piece
    finally:
        file.gone.set()
        with contextlib.suppress(queue.Empty):
            while True:
                pieces.get_nowait()


def fitting(found: Iterable[Entry], wanted: Filter, now: int) -> Iterator[Entry]:
    """The entries that a filter takes; project and person are those of the entry's run."""
    fits = matcher(wanted, now)
    log, project, person = "", "", ""
    for entry in found:
        record = entry.record
        if entry.log != log:
            log, project, person = entry.log, "", ""
        if record.kind == Kind.START:
            project, person = record.detail.get("project", ""), record.detail.get("person", "")
        text = entry.line.decode("ascii", "backslashreplace").lower()
        if fits(Seen(record, entry.log, place(record.target)[1].lower(), text, project, person)):
            yield entry


def _write(home: Home, wanted: Filter, form: str, now: int, file: "_Out") -> None:
    with contextlib.suppress(Gone):
        buffered = io.BufferedWriter(file, _PIECE)  # pyright: ignore[reportArgumentType]
        format_of(form).write(fitting(all_entries(home), wanted, now), buffered)
        buffered.flush()
        file.put(None)


class _Out(io.RawIOBase):
    """The thread's end. Raises Gone once nobody takes anything any more."""

    def __init__(self, pieces: "queue.Queue[bytes | None]") -> None:
        self._pieces = pieces
        self.gone = threading.Event()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.put(bytes(data))
        return len(data)

    def put(self, piece: bytes | None) -> None:
        while not self.gone.is_set():
            try:
                self._pieces.put(piece, timeout=0.5)
                return
            except queue.Full:
                continue
        raise Gone
