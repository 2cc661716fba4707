"""A world whose bottle asks before it posts to the upstream; answers are given as a person types them."""

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from bot_bottle.audit.encode import decode
from bot_bottle.audit.reader import LogReader
from bot_bottle.audit.record import Record
from bot_bottle.base.home import Home
from e2e.lifecycle.world import HOST, PROGRAM, Counting, World

ASK = "action: ask"


class Echo(BaseHTTPRequestHandler):
    """Remembers path and body; /slow answers a byte every tenth of a second until it is cut."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.take(b"")
        if not self.path.startswith("/slow"):
            self.answer(b"hello\n")
            return
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        try:
            for _ in range(600):
                self.wfile.write(b"1\r\nx\r\n")
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            return

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", "0")))
        self.take(body)
        self.answer(b"took " + body + b"\n")

    def take(self, body: bytes) -> None:
        self.server.seen.append((self.path, body.decode("latin-1")))  # pyright: ignore

    def answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class Approvals(World):
    """The bottle b asks about every request to HOST; `default` is what it does about all others."""

    children: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def place(self) -> Home:
        return Home(str(self.home), str(self.home / "run"))

    def asks_first(self, more: str = "", name: str = "b", action: str = ASK) -> None:
        (self.home / "bottles").mkdir(exist_ok=True)
        up = f"address: '127.0.0.1:{self.upstream.port}', tls: {{ca: {self.upstream.ca}}}"
        rule = f"    - {{name: up, host: {HOST}, {up}, {action}}}\n"
        text = f"---\n# mine\nversion: 1\negress:\n{more}  routes: # in order\n{rule}---\nNotes.\n"
        (self.home / "bottles" / f"{name}.md").write_text(text)

    def curl(self, *words: str, bottle: str = "b", label: str = "one") -> subprocess.Popen[str]:
        """A bottle that does one request."""
        argv = ["run", "--quiet", "--label", label, "--bottle", bottle, "--", "curl", "-sS", "-m", "50", *words]
        return self.begin(*argv)

    def listed(self) -> list[dict[str, Any]]:
        """`supervise --once --json`."""
        done = self.cli("supervise", "--once", "--json")
        assert done.returncode == 0, done.stderr
        return list(json.loads(done.stdout)["asks"])

    def asked(self, count: int = 1, seconds: float = 20) -> list[dict[str, Any]]:
        """Once so many asks wait."""
        found: list[dict[str, Any]] = []

        def enough() -> bool:
            found[:] = self.listed()
            return len(found) >= count

        try:
            until(enough, seconds)
        except AssertionError:
            for child in self.begun:
                child.kill()
                print(*child.communicate(), sep="\n")
            raise
        return found

    def records(self, label: str = "") -> list[Record]:
        """All records of all runs, and of the host log."""
        found: list[Record] = []
        for directory in [*sorted((self.home / "log" / "runs").iterdir()), self.home / "log" / "host"]:
            for _, lines in LogReader(str(directory)).batches():
                found += [record for line in lines if (record := decode(line)).label == label or not label]
        return found

    def state(self, ask: str) -> str:
        from bot_bottle.supervise.store import SqliteReader

        reader = SqliteReader(self.place.approvals)
        try:
            found = reader.ask(ask)
            assert found is not None
            return found.state.value
        finally:
            reader.close()


def until(done: Callable[[], bool], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Approvals]:
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir(mode=0o700)
    project.mkdir()
    upstream = Counting(tmp_path)
    upstream.RequestHandlerClass = Echo
    thread = threading.Thread(target=upstream.serve_forever, daemon=True)
    thread.start()
    env = {**os.environ, "BOT_BOTTLE_HOME": str(home)}
    env.pop("XDG_RUNTIME_DIR", None)
    one = Approvals(home, project, upstream, env)
    yield one
    one.close()
    upstream.shutdown()
    upstream.server_close()
    thread.join()


assert PROGRAM
