"""A file that rotates: appended to, synced, cut at a size. Another uid's tailer may read it (mode is the person's).

With ``keep = 0`` nothing is ever deleted; a number of old files loses what only this sink had, so it is a choice.
"""

import contextlib
import os
import re
from collections.abc import Sequence

from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats.registry import format_of
from bot_bottle.audit.sinks.model import Secrets, SinkConfig, SinkFault, SinkKind
from bot_bottle.base.sizes import size


class FileConfig(SinkConfig, kw_only=True, frozen=True, tag="file", tag_field="kind"):
    """path: absolute. rotate: size of one file. keep: how many old ones stay, 0 for all. group_read: mode 0640."""

    path: str
    rotate: str = "100MB"
    keep: int = 0
    group_read: bool = False


class FileSink:
    """Whole lines; a line that a crash tore is ended before the next one."""

    settle = 0.0

    def __init__(self, config: FileConfig) -> None:
        line = format_of(config.format).line
        assert line is not None
        self._line = line
        self._config = config
        self._most = size(config.rotate)
        self._fd = -1

    def send(self, batch: Sequence[Entry]) -> None:
        """Written and on the disk when this returns."""
        try:
            self._write(b"".join(self._line(entry) for entry in batch))
        except OSError as error:
            self.close()
            raise SinkFault(f"{self._config.path} cannot be written: {error.strerror}.") from None

    def _write(self, data: bytes) -> None:
        self._open()
        if os.fstat(self._fd).st_size >= self._most:
            self._rotate()
        while data:
            data = data[os.write(self._fd, data) :]
        os.fdatasync(self._fd)

    def _open(self) -> None:
        """Again where somebody moved the file away (logrotate)."""
        path = self._config.path
        if self._fd >= 0 and not _is(path, self._fd):
            self.close()
        if self._fd >= 0:
            return
        mode = 0o640 if self._config.group_read else 0o600
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        self._fd = os.open(path, flags, mode)
        end = os.fstat(self._fd).st_size
        if end and os.pread(self._fd, 1, end - 1) != b"\n":
            os.write(self._fd, b"\n")

    def _rotate(self) -> None:
        path = self._config.path
        old = _old(path)
        os.rename(path, f"{path}.{(old[-1] if old else 0) + 1:06d}")
        self.close()
        self._open()
        for number in old[: max(0, len(old) + 1 - self._config.keep)] if self._config.keep else ():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{path}.{number:06d}")

    def check(self) -> None:
        """Nothing can be lost after `send`."""

    def close(self) -> None:
        """Idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1


def _is(path: str, fd: int) -> bool:
    try:
        found, ours = os.stat(path, follow_symlinks=False), os.fstat(fd)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)


def _old(path: str) -> list[int]:
    """Numbers of the rotated files, oldest first."""
    pattern = re.compile(re.escape(os.path.basename(path)) + r"\.(\d{6,12})\Z")
    found = [pattern.match(name) for name in os.listdir(os.path.dirname(path))]
    return sorted(int(one[1]) for one in found if one)


def open_file(config: FileConfig, _secrets: Secrets) -> FileSink:
    """The sink of a config that has no problems."""
    return FileSink(config)


def problems(config: FileConfig) -> list[tuple[str, str]]:
    """Relative paths, and sizes that are none."""
    found: list[tuple[str, str]] = []
    if not config.path.startswith("/") or "\0" in config.path:
        found.append(("path", "is no absolute path"))
    try:
        if size(config.rotate) < 4096:
            found.append(("rotate", "is less than 4KB"))
    except ValueError as error:
        found.append(("rotate", f"does not fit: {error}"))
    if config.keep < 0:
        found.append(("keep", "is less than 0"))
    return found


KIND = SinkKind("file", "A file that rotates.", FileConfig, open_file, problems)
