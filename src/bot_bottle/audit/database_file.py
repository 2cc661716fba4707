"""The file of an SQLite database, made with a mode of ours before SQLite sees it, and never opened once it is there.

POSIX record locks belong to the process, and closing any descriptor of a file drops all of them, those of SQLite too:
another process then takes itself for the last one and deletes the log of writes that this one still uses
(https://www.sqlite.org/howtocorrupt.html, 2.2).
"""

import contextlib
import errno
import os
import stat
import threading

_MAKING = threading.Lock()
"""Of the process, as its record locks are: no thread may use a file before the one that made it has closed it."""


def make(path: str) -> None:
    """Makes an empty file that its owner alone reads, where none is. Raises OSError, also where something else than
    a file stands there."""
    with _MAKING:
        if not os.path.lexists(path):
            with contextlib.suppress(FileExistsError):  # another process was quicker
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise OSError(errno.ELOOP, "not a file of its own", path)
