"""Tests that make a network of their own take turns, over all processes: `serve --phone` names an address of this host,
and a second network's address would be one, too."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Generator


@contextlib.contextmanager
def one_at_a_time() -> Generator[None]:
    path = os.path.join(tempfile.gettempdir(), f"bot-bottle-test-network-{os.getuid()}.lock")
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
