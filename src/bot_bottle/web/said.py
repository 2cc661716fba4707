"""What a deed has to say on the page that it leads to: a form is answered with a redirect, so that loading again
repeats nothing, and the notes wait for that one page."""

import secrets
import threading

Notes = tuple[dict[str, str], ...]
_MOST = 64


class Said:
    """Notes by a key that nobody guesses; each is given once. Of too many the oldest go."""

    def __init__(self) -> None:
        self._notes: dict[str, Notes] = {}
        self._lock = threading.Lock()

    def leave(self, notes: Notes) -> str:
        key = secrets.token_urlsafe(12)
        with self._lock:
            while len(self._notes) >= _MOST:
                del self._notes[next(iter(self._notes))]
            self._notes[key] = notes
        return key

    def take(self, key: str) -> Notes:
        with self._lock:
            return self._notes.pop(key, ())
