"""One-time ways in: the local link's key (256 bits) and a device's pairing code (40 bits, typed or in a QR code).

In memory only: a restart ends them. Each works once and not for long. A code is short, so guesses are counted over
all clients: after ten wrong ones within the life of the codes, every open code is dead and nobody pairs until a new
one is made. Ten guesses at 2**40 are one chance in 10**11.
"""

import hmac
import secrets
import threading
from collections.abc import Callable

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"  # Crockford: no I, L, O, U
CODE_LENGTH = 8
CODE_SECONDS = 300
KEY_SECONDS = 600
GUESSES = 10
_SECOND = 1_000_000_000
_MOST = 8


class Keys:
    """Local links. clock: monotonic ns."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._open: dict[str, int] = {}
        self._lock = threading.Lock()

    def issue(self) -> str:
        key = secrets.token_urlsafe(32)
        with self._lock:
            _cut(self._open, self._clock())
            self._open[key] = self._clock() + KEY_SECONDS * _SECOND
        return key

    def take(self, given: str) -> bool:
        """Whether this key was open; it no longer is."""
        with self._lock:
            return _take(self._open, given, self._clock())


class Codes:
    """Pairing codes. clock: monotonic ns."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._open: dict[str, int] = {}
        self._wrong = 0
        self._lock = threading.Lock()

    def issue(self) -> str:
        """A new code; earlier guesses are forgiven, since they died with their codes."""
        code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
        with self._lock:
            _cut(self._open, self._clock())
            if not self._open:
                self._wrong = 0
            self._open[code] = self._clock() + CODE_SECONDS * _SECOND
        return code

    def take(self, given: str) -> bool:
        """Whether this code was open; it no longer is. A wrong one counts against all."""
        with self._lock:
            if _take(self._open, plain(given), self._clock()):
                return True
            self._wrong += 1
            if self._wrong >= GUESSES:
                self._open.clear()
            return False

    def waiting(self) -> bool:
        """Whether any code is open: without one, nothing is compared at all."""
        with self._lock:
            _cut(self._open, self._clock(), _MOST)
            return bool(self._open)


def plain(typed: str) -> str:
    """A code as a person types it: any case, spaces and hyphens, o for 0, i and l for 1."""
    kept = "".join(c for c in typed[:64].upper() if c.isalnum())
    return kept.translate({ord("O"): "0", ord("I"): "1", ord("L"): "1"})


def spoken(code: str) -> str:
    """A code as it is shown: ABCD-EFGH."""
    return f"{code[:4]}-{code[4:]}"


def _take(entries: dict[str, int], given: str, now: int) -> bool:
    _cut(entries, now, _MOST)
    found = [key for key in entries if hmac.compare_digest(key.encode(), given.encode("utf-8", "surrogatepass"))]
    for key in found:
        del entries[key]
    return bool(found)


def _cut(entries: dict[str, int], now: int, most: int = _MOST - 1) -> None:
    """Drops what has expired, and the oldest beyond `most`."""
    for key in [key for key, until in entries.items() if until <= now]:
        del entries[key]
    while len(entries) > most:
        del entries[next(iter(entries))]
