"""Whether files hold a real secret, in any form in which one may come back (D07).

The launcher opens them, carefully and for reading only, and holds no secret; the keeper reads from the descriptors,
bounded, and answers with names. It opens no path of a workspace itself, and it parses nothing: bytes are compared.
"""

import os
import stat
from collections.abc import Callable, Iterable

from bot_bottle.inspect.needles import needles
from bot_bottle.inspect.scrub import Scrubber

MOST = 5_000_000
"""Bytes of one file that are looked at; the launcher sends none that is larger."""
_CHUNK = 1 << 20


class Sieve:
    """values: name -> value, asked for at the first file; a workspace without files costs nothing."""

    def __init__(self, values: Callable[[], dict[str, bytes]]) -> None:
        self._values = values
        self._scrubber: Scrubber | None = None

    def look(self, fds: Iterable[int]) -> dict[int, str]:
        """Number of a descriptor -> name of the first secret in its file. Closes all of them."""
        if self._scrubber is None:
            found = self._values()
            self._scrubber = Scrubber(n for name, value in found.items() for n in needles(name, value, b""))
        named: dict[int, str] = {}
        for number, fd in enumerate(fds):
            try:
                name = holds(fd, self._scrubber)
            except OSError:
                continue
            finally:
                os.close(fd)
            if name:
                named[number] = name
        return named


def holds(fd: int, scrubber: Scrubber) -> str:
    """The name of the first secret in the first `MOST` bytes of a regular file, or ""."""
    if not scrubber or not stat.S_ISREG(os.fstat(fd).st_mode):
        return ""
    at, tail = 0, b""
    while at < MOST and (data := os.pread(fd, _CHUNK, at)):
        name = scrubber.contains_secret(tail + data)
        if name:
            return name
        at += len(data)
        tail = (tail + data)[-scrubber.longest :]
    return ""
