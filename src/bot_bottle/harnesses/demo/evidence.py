"""What the host itself saw during the demo: listeners that nobody should reach, files that nobody should change."""

import hashlib
import os
import socket
import threading
from dataclasses import dataclass, field


@dataclass(slots=True)
class Evidence:
    """arrived: bytes that reached a canary listener. requests: what the scripted model got. keys: that it saw.
    notes: what the team's board got, after a person's yes."""

    arrived: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])
    keys: set[str] = field(default_factory=set[str])
    notes: list[str] = field(default_factory=list[str])


class Canary:
    """Two listeners on the host, loopback TCP and an abstract unix socket, that note whoever connects."""

    def __init__(self, evidence: Evidence, name: str) -> None:
        self.evidence = evidence
        self.name = name
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.tcp.getsockname()[1]
        self.unix = socket.socket(socket.AF_UNIX)
        self.unix.bind(f"\0{name}")
        self.unix.listen()
        for kind, listener in (("loopback", self.tcp), ("abstract socket", self.unix)):
            threading.Thread(target=self._watch, args=(kind, listener), daemon=True).start()

    def _watch(self, kind: str, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(2)
                try:
                    self.evidence.arrived.append(f"{kind}: {connection.recv(100)!r}")
                except OSError:
                    self.evidence.arrived.append(f"{kind}: connected")

    def close(self) -> None:
        for listener in (self.tcp, self.unix):
            listener.close()


def fingerprint(paths: list[str]) -> str:
    """Digest of names, sizes, times and contents of these files and folders (one level); absence counts too."""
    seen = hashlib.sha256()
    for path in paths:
        entries = sorted(os.path.join(path, name) for name in os.listdir(path)) if os.path.isdir(path) else [path]
        for entry in entries:
            seen.update(entry.encode("utf-8", "surrogateescape") + b"\0" + _facts(entry))
    return seen.hexdigest()


def _facts(path: str) -> bytes:
    try:
        info = os.lstat(path)
        return f"{info.st_mode} {info.st_size} {info.st_mtime_ns} {info.st_ino}".encode()
    except OSError:
        return b"absent"


def holds(roots: list[str], needle: bytes) -> list[str]:
    """Regular files below these folders that contain the bytes. Links are not followed."""
    found: list[str] = []
    for root in roots:
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                if not os.path.islink(path) and os.path.isfile(path) and _contains(path, needle):
                    found.append(path)
    return found


def _contains(path: str, needle: bytes) -> bool:
    try:
        with open(path, "rb") as file:
            return needle in file.read()
    except OSError:
        return False
