"""Private files of the person's home: written whole or not at all, read only when nobody else can."""

import os
import stat
import tempfile

from bot_bottle.base.errors import HostFault, OperatorFault

LIMIT = 4 * 1024 * 1024


def write_private(path: str, data: bytes) -> None:
    """Replaces the file atomically: 0600, on disk before the rename, the directory too. Raises HostFault."""
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".new-")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
        _sync(folder)
    except OSError as error:
        raise HostFault(
            "custody.write", f"{path} cannot be written: {error.strerror}.", "Free space or mend its permissions."
        ) from None


def read_private(path: str) -> bytes | None:
    """The bytes, or None where there is no file. Raises OperatorFault when others can read or replace it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise OperatorFault(
            "custody.read", f"{path} cannot be read: {error.strerror}.", "It must be a plain file of yours."
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
            raise OperatorFault("custody.permissions", f"{path} is open to others.", f"Run: chmod 600 {path}")
        return file.read(LIMIT)


def _sync(folder: str) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
