"""Where subscriptions of Web Push lie: a directory of the web process, which may be taken over (D17). The starter
reads and empties it by a descriptor, so that no link leads it out of there: neither to a file of the person that it
would remove, nor to one without an end that it would read.
"""

import contextlib
import itertools
import os
import stat
from collections.abc import Container

import msgspec

NAME = "push"
_MOST_FILES, _MOST_BYTES = 256, 16384
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class Subscription(msgspec.Struct, frozen=True):
    """What a browser gives (PushSubscription.toJSON): endpoint, and its keys in base64url. until: when the session of
    its device ends, wall ns; 0 where it was not said."""

    endpoint: str
    p256dh: str
    auth: str
    device: str = ""
    until: int = 0


class Shelf:
    """The directory as it is now, wherever it is moved to. web: Home.web. None of its methods follows a link."""

    def __init__(self, web: str) -> None:
        self._fd = -1
        with contextlib.suppress(OSError):  # none, or a link: nobody is subscribed
            above = os.open(web, _OPEN | os.O_DIRECTORY)
            try:
                self._fd = os.open(NAME, _OPEN | os.O_DIRECTORY, dir_fd=above)
            finally:
                os.close(above)

    def __enter__(self) -> "Shelf":
        return self

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            os.close(self._fd)

    def all(self) -> list[tuple[str, Subscription]]:
        """File names with what they hold; what is no subscription is left out, and all beyond some hundred."""
        if self._fd < 0:
            return []
        with os.scandir(self._fd) as entries:
            names = sorted(entry.name for entry in itertools.islice(entries, _MOST_FILES))
        found: list[tuple[str, Subscription]] = []
        for name in names:
            with contextlib.suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
                found.append((name, msgspec.json.decode(self._read(name), type=Subscription)))
        return found

    def remove(self, name: str) -> None:
        """Gone afterwards, whoever removes it."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=self._fd)

    def _read(self, name: str) -> bytes:
        """b"" of what is no regular file."""
        fd = os.open(name, _OPEN | os.O_NONBLOCK, dir_fd=self._fd)
        try:
            return os.read(fd, _MOST_BYTES) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
        finally:
            os.close(fd)


def keep_only(web: str, devices: Container[str]) -> int:
    """Forgets those of devices that are signed in no more; how many there were."""
    with Shelf(web) as shelf:
        gone = [name for name, one in shelf.all() if one.device not in devices]
        for name in gone:
            shelf.remove(name)
    return len(gone)
