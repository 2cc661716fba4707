"""Files that appear whole or not at all, and what it takes for them to survive a power loss."""

import contextlib
import ctypes
import os
import tempfile
from collections.abc import Generator

from bot_bottle.base.errors import AuditFault


def replace(path: str, data: bytes, *, sync: bool, mode: int = 0o600) -> None:
    """Writes beside `path` and renames over it. sync: file and directory are on the disk when this returns."""
    directory = os.path.dirname(path)
    descriptor, temporary = tempfile.mkstemp(prefix=".new-", dir=directory)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if mode != 0o600:  # as it was made; web may not change modes at all
                os.fchmod(file.fileno(), mode)
            file.write(data)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.rename(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
    if sync:
        sync_directory(directory)


def read(path: str) -> bytes | None:
    """The whole file, or None where it is absent."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None


def sync_file(path: str) -> None:
    """Makes the content of a file durable; one that is gone needs nothing."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sync_directory(path: str) -> None:
    """Makes the names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(path: str) -> None:
    """One syncfs(2) instead of thousands of fsync: everything written so far below `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syncfs(descriptor) != 0:
            raise OSError(ctypes.get_errno(), "syncfs failed", path)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def writing(what: str) -> Generator[None]:
    """Turns a full disk or a read-only directory into one sentence (exit 7)."""
    try:
        yield
    except OSError as error:
        raise AuditFault(
            "audit.cannot-write",
            f"{what} cannot be written: {error.strerror or error}.",
            "Free space or mend permissions.",
        ) from error
