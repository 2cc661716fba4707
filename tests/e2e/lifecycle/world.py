"""A home, a project, a TLS upstream that counts, and the program as a person types it. For the lifecycle tests."""

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bot_bottle.audit.reader import LogReader
from e2e.traffic.upstream import make_authority

HOST = "api.example.com"
SECRET = "sk-real-lifecycle-secret-0123456789"
PROGRAM = [sys.executable, "-I", "-m", "bot_bottle.cli.main"]
NAMES = ("bot_bottle.keeper.main", "bot_bottle.egress.main", "bot_bottle.bottles.session", "bot_bottle.cli.main")


class Counting(ThreadingHTTPServer):
    """Counts requests by path, and remembers the authorization that arrived."""

    daemon_threads = True

    def __init__(self, directory: Path) -> None:
        self.seen: list[tuple[str, str]] = []
        self.ca, chain = make_authority(directory, HOST)
        super().__init__(("127.0.0.1", 0), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(chain)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def port(self) -> int:
        return self.server_address[1]

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        assert isinstance(self.server, Counting)
        self.server.seen.append((self.path, self.headers.get("authorization", "")))
        body = b"hello\n"
        self.send_response(200)
        self.send_header("content-type", "text/plain")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@dataclass
class World:
    """Everything of one test; nothing is shared with another."""

    home: Path
    project: Path
    upstream: Counting
    env: dict[str, str] = field(default_factory=dict)
    begun: list[subprocess.Popen[str]] = field(default_factory=list)

    def bottle(self, text: str = "", name: str = "b") -> None:
        (self.home / "bottles").mkdir(exist_ok=True)
        up = f"address: '127.0.0.1:{self.upstream.port}', tls: {{ca: {self.upstream.ca}}}"
        auth = "auth: {scheme: bearer, secret: example}"
        routes = f"egress:\n  routes:\n    - {{name: up, host: {HOST}, {up}, {auth}}}\n"
        (self.home / "bottles" / f"{name}.md").write_text(f"---\nversion: 1\n{text}{routes}---\n")

    def secret(self, name: str = "example", value: str = SECRET) -> None:
        done = self.cli("secret", "set", name, stdin=value)
        assert done.returncode == 0, done.stderr

    def cli(self, *words: str, stdin: str = "", timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *words], cwd=self.project, env=self.env, input=stdin, capture_output=True, text=True,
            timeout=timeout, check=False,
        )  # fmt: skip

    def shell(self, words: str) -> subprocess.CompletedProcess[str]:
        """The program in a pipeline of bash, which replaces it at the start of `words`."""
        line = " ".join(PROGRAM) + " " + words
        return subprocess.run(
            ["bash", "-c", line], cwd=self.project, env=self.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip

    def run(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        return self.cli("run", "--bottle", "b", "--", *command, timeout=timeout)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        child = subprocess.Popen(
            [*PROGRAM, *words], cwd=self.project, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip
        self.begun.append(child)
        return child

    def sweep(self) -> None:
        """Ends what should not be there any more, so that one failure does not become many."""
        for pid, _ in processes(str(self.home.parent)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        """What a failed test left."""
        for child in self.begun:
            if child.poll() is None:
                child.kill()
            child.communicate()

    def verify(self) -> subprocess.CompletedProcess[str]:
        return self.cli("log", "verify")

    def leases(self) -> dict[str, dict[str, object]]:
        found = {}
        for path in sorted((self.home / "leases").glob("*.json")):
            with contextlib.suppress(ValueError, OSError):
                found[path.stem] = json.loads(path.read_text())
        return found

    def ours(self) -> list[str]:
        """Command lines of all living processes of this home: our own by environment, bottles by their tree."""
        return [line for _, line in processes(str(self.home.parent))]

    def quiet(self, seconds: float = 10) -> list[str]:
        """Waits until no process of this home lives; what still does after that."""
        deadline = time.monotonic() + seconds
        while (left := self.ours()) and time.monotonic() < deadline:
            time.sleep(0.02)
        return left

    def runs(self) -> list[str]:
        return sorted(path.name for path in (self.home / "log" / "runs").glob("*"))

    def records(self) -> list[dict[str, object]]:
        """All records of all runs, in order."""
        lines = [
            line
            for run in self.runs()
            for _, batch in LogReader(str(self.home / "log" / "runs" / run)).batches()
            for line in batch
        ]
        found: list[dict[str, object]] = []
        for line in lines:
            with contextlib.suppress(ValueError):  # a line that a crash or a full disk cut is a leaf, but no record
                found.append(json.loads(line))
        return found

    def intents(self) -> int:
        return sum(record["kind"] == "intent" for record in self.records())


def processes(top: str) -> Iterator[tuple[int, str]]:
    """Processes of a test: HOME in their environment, or its project mounted in their namespace. No zombies."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            parts = {
                what: Path(f"/proc/{name}/{what}").read_bytes()
                for what in ("stat", "environ", "mountinfo", "cmdline")
            }
            if parts["stat"].rpartition(b")")[2].split()[0] in (b"Z", b"X"):
                continue
            marked = f"HOME={top}\0".encode() in parts["environ"] or f" {top}/".encode() in parts["mountinfo"]
            if marked:
                yield int(name), parts["cmdline"].replace(b"\0", b" ").decode("utf-8", "replace").strip()


def world(tmp_path: Path, serve: Counting) -> World:
    home, project = tmp_path / "home", tmp_path / "project"
    home.mkdir(mode=0o700)
    project.mkdir()
    (project / "a.txt").write_text("a\n")
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8", "BOT_BOTTLE_HOME": str(home)}
    return World(home, project, serve, env)


@contextlib.contextmanager
def serving(directory: Path) -> Iterator[Counting]:
    server = Counting(directory)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
