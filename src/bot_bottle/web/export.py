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
from bot_bottle.web.problem import WebFault

_PIECE = 1 << 16
_WAITING = 8


_PATIENCE = 600.0
"""Seconds after which a download that nobody takes on with is given up, so that its place is free again."""


class Gone(Exception):
    """The browser went away."""


class Exports:
    """The downloads of one dashboard: a few at once, since each reads all logs."""

    def __init__(self, most: int = 2) -> None:
        self._most, self._running = most, 0
        self._lock = threading.Lock()

    @property
    def running(self) -> int:
        return self._running

    def begin(self, home: Home, wanted: Filter, form: str, now: int) -> Iterator[bytes]:
        """The bytes of an export of all logs with a filter. now: wall ns, for moments. Raises WebFault 429 at once
        where too many run; what fails later is raised amid the bytes, so that no half file looks whole."""
        with self._lock:
            if self._running >= self._most:
                what = f"{self._most} exports are being written already."
                raise WebFault(429, "export.busy", what, "Try again when one of them is done.")
            self._running += 1
        file = _Out()
        given = (home, wanted, form, now, file)
        threading.Thread(target=self._write, args=given, name="export", daemon=True).start()
        return _taken(file)

    def _write(self, home: Home, wanted: Filter, form: str, now: int, file: "_Out") -> None:
        try:
            with contextlib.suppress(Gone):
                file.end(_written(home, wanted, form, now, file))
        finally:
            with self._lock:
                self._running -= 1


def _written(home: Home, wanted: Filter, form: str, now: int, file: "_Out") -> Exception | None:
    """Writes all of it; what went wrong."""
    try:
        entries = fitting(_while_taken(all_entries(home), file), wanted, now)
        format_of(form).write(entries, file)  # pyright: ignore[reportArgumentType]
    except Gone:
        raise
    except Exception as error:  # whatever it is, the browser waits for an end
        return error
    return None


def _taken(file: "_Out") -> Iterator[bytes]:
    """What the browser gets. Now and then nothing, so that whoever serves it can see that the browser is gone."""
    try:
        while (piece := file.take()) is not None:
            yield piece
    finally:
        file.gone.set()


def _while_taken(found: Iterable[Entry], file: "_Out") -> Iterator[Entry]:
    for entry in found:
        if file.gone.is_set():
            raise Gone
        yield entry


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


class _Out(io.RawIOBase):
    """The pieces between the writing thread and the browser. Raises Gone once nobody takes anything any more."""

    def __init__(self) -> None:
        self._pieces: queue.Queue[bytes | Exception | None] = queue.Queue(_WAITING)
        self.gone = threading.Event()
        self._filling = bytearray()

    def take(self) -> bytes | None:
        """The next piece, empty where none came for a second, None at the end. Raises what the writer met."""
        try:
            piece = self._pieces.get(timeout=1)
        except queue.Empty:
            return b""
        if isinstance(piece, Exception):
            raise piece
        return piece

    def end(self, error: Exception | None) -> None:
        if error is None and self._filling:
            self._put(bytes(self._filling))
        self._put(error)

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # pyright: ignore[reportIncompatibleMethodOverride]
        self._filling += data
        if len(self._filling) >= _PIECE:
            self._put(bytes(self._filling))
            self._filling.clear()
        return len(data)

    def _put(self, piece: bytes | Exception | None) -> None:
        waited = 0.0
        while not self.gone.is_set() and waited < _PATIENCE:
            try:
                self._pieces.put(piece, timeout=0.5)
                return
            except queue.Full:
                waited += 0.5
        raise Gone
