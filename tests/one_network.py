"""Tests that make a network of their own take turns, over all processes: `serve --phone` names an address of this host,
and a second network's address would be one, too."""

import contextlib
import fcntl
import os
import subprocess
import tempfile
from collections.abc import Generator


@contextlib.contextmanager
def one_at_a_time() -> Generator[None]:
    path = os.path.join(tempfile.gettempdir(), f"bot-bottle-test-network-{os.getuid()}.lock")
    with open(path, "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextlib.contextmanager
def cable(space: str, near: tuple[str, str], far: tuple[str, str]) -> Generator[None]:
    """A network namespace `space` at the other end of a cable; near, far: name and address of each end."""
    with one_at_a_time():
        ip("netns", "add", space)
        try:
            ip("link", "add", near[0], "type", "veth", "peer", "name", far[0], "netns", space)
            ip("addr", "add", f"{near[1]}/30", "dev", near[0])
            ip("link", "set", near[0], "up")
            ip("-n", space, "addr", "add", f"{far[1]}/30", "dev", far[0])
            ip("-n", space, "link", "set", far[0], "addrgenmode", "none")  # a late address interrupts Chromium
            ip("-n", space, "link", "set", far[0], "up")
            yield
        finally:
            subprocess.run(["ip", "netns", "del", space], check=False)
