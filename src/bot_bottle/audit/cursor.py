"""How far a sink has got in every log: appended to and synced, so that kill -9 at any point repeats, never skips.

On disk, below ``<home>/forward/<sink>/``: ``cursor`` (lines ``LOG NEXT``, the last of a log counts; a torn last line
does not), ``lock`` (one forwarder at a time), ``status.json`` (for people).
"""

import contextlib
import fcntl
import os
import re
from collections.abc import Generator, Mapping

from bot_bottle.audit import files
from bot_bottle.base.errors import BusyFault
from bot_bottle.base.home import Home
from bot_bottle.base.text import visible

NAME = "cursor"
_LINE = re.compile(rb"([A-Za-z0-9._@-]{1,128}) (\d{1,18})\n")
_COMPACT = 1 << 20


def read(directory: str) -> dict[str, int]:
    """Log -> number of the first record that has not arrived. Also for others than the forwarder."""
    data = files.read(os.path.join(directory, NAME)) or b""
    return {found[1].decode(): int(found[2]) for found in _LINE.finditer(data)}


def exists(directory: str) -> bool:
    """Whether this sink was ever used."""
    return os.path.exists(os.path.join(directory, NAME))


def names(home: Home) -> list[str]:
    """Sinks that have a cursor, whether or not they are still in the settings."""
    try:
        return sorted(name for name in os.listdir(home.forward) if exists(os.path.join(home.forward, name)))
    except FileNotFoundError:
        return []


class Cursor:
    """The forwarder's hold of one cursor. Methods raise AuditFault when it cannot be written."""

    def __init__(self, directory: str) -> None:
        with files.writing("The cursor of a sink"):
            os.makedirs(directory, mode=0o700, exist_ok=True)
            self.positions = read(directory)
            self._path = os.path.join(directory, NAME)
            self._fd = -1
            self._compact()

    def _compact(self) -> None:
        """One line a log, whole, in place of all that was appended."""
        self.close()
        text = "".join(f"{log} {number}\n" for log, number in self.positions.items())
        files.replace(self._path, text.encode(), sync=True)
        self._fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)

    def advance(self, ends: Mapping[str, int]) -> None:
        """These logs have arrived up to these numbers: on the disk when this returns. A cursor never goes back."""
        moved = {log: number for log, number in ends.items() if number > self.positions.get(log, 0)}
        if not moved:
            return
        text = "".join(f"{log} {number}\n" for log, number in moved.items()).encode()
        with files.writing("The cursor of a sink"):
            if os.write(self._fd, text) != len(text):
                self._compact()
            os.fdatasync(self._fd)
            self.positions |= moved
            if os.fstat(self._fd).st_size > _COMPACT + 64 * len(self.positions):
                self._compact()

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


@contextlib.contextmanager
def held(directory: str) -> Generator[None]:
    """One forwarder per sink. Raises BusyFault while another process has it."""
    with files.writing("The cursor of a sink"):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        descriptor = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        name = visible(os.path.basename(directory), 64)
        what = f"The sink {name} is being served by another process."
        raise BusyFault("sink.busy", what, "Stop `bot-bottle serve` or the other `log forward` first.") from None
    finally:
        os.close(descriptor)
