"""A home whose log grows, a forwarder in a process of its own, and receivers that are killed: for tests/interop."""

import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bot_bottle.audit.checkpoint import run_origin
from bot_bottle.audit.encode import encode
from bot_bottle.audit.hostlog import HostLog
from bot_bottle.audit.keys import LogKey
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.audit.runlog import RunLog
from bot_bottle.base.home import Home

PROGRAM = [
    sys.executable,
    "-I",
    "-c",
    "import sys; sys.argv[0] = 'bot-bottle'; from bot_bottle.cli.main import main; main()",
]
_TEXT = "a\r\n<13>1 \x1b[2J\u202e" + "x" * 200


def a_record(kind: str, run: str, number: int = 0) -> Record:
    return Record(
        VERSION, kind, run, 1_700_000_000_000_000_000 + number, number, "work", "fixer", "claude", "one", "d" * 64,
        request=number, target="https://evil.example:443", method="GET", path=f"/{number}", verdict="deny", reason=_TEXT,
    )  # fmt: skip


class Growing:
    """Writes to two runs from a thread, as gateway and keeper do, until it is stopped; then both runs end."""

    def __init__(self, root: Path) -> None:
        self.home = Home(str(root), str(root / "run"))
        os.makedirs(root, mode=0o700, exist_ok=True)
        self._key = LogKey.open(self.home.keys)
        self._host = HostLog.open(self.home.host_log, self._key)
        self._runs = {
            run: self._begin(run) for run in ("20261125t000001-aaaaaaaaaaaa", "20261125t000002-bbbbbbbbbbbb")
        }
        self._stop = threading.Event()
        self.fault: BaseException | None = None
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    @property
    def fingerprint(self) -> str:
        return self._key.fingerprint

    def _begin(self, run: str) -> RunLog:
        self._host.append(a_record("start", run))
        log = RunLog.create(self.home.run_log(run), run_origin(run), self._key)
        log.append(a_record("start", run))
        return log

    def _write(self) -> None:
        number = 0
        try:
            while not self._stop.wait(0.01):
                for run, log in self._runs.items():
                    os.write(log.writer_fd(), b"".join(encode(a_record("denied", run, number + n)) for n in range(5)))
                    number += 5
                    if number % 50 == 0:
                        self._host.countersign(a_record("checkpoint", run), log.checkpoint())
        except BaseException as error:
            self.fault = error

    def finish(self) -> set[str]:
        """Ends both runs; the uids of everything that was recorded."""
        self._stop.set()
        self._thread.join(10)
        assert self.fault is None
        found: set[str] = set()
        for run, log in self._runs.items():
            size = log.close(a_record("stop", run)).size
            found |= {f"{run}/{number}" for number in range(size)}
            self._host.append(a_record("stop", run))
        found |= {f"host/{number}" for number in range(self._host.head.size)}
        self._host.close()
        return found


class Process:
    """Something that is started, killed by SIGKILL, and started again."""

    def __init__(
        self, argv: list[str], env: dict[str, str] | None = None, ready: Callable[[], bool] = lambda: True
    ) -> None:
        self._argv = argv
        self._env = env or {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
        self._ready = ready
        self.child: subprocess.Popen[bytes] | None = None
        self.kills = 0
        self.start()

    def start(self) -> None:
        quiet = subprocess.DEVNULL
        self.child = subprocess.Popen(self._argv, env=self._env, cwd="/", stdin=quiet, stdout=quiet, stderr=quiet)
        end = time.monotonic() + 60
        while not self._ready():
            assert self.child.poll() is None, f"{self._argv[0]} ended with {self.child.returncode}"
            assert time.monotonic() < end, f"{self._argv[0]} does not answer"
            time.sleep(0.02)

    def kill(self) -> None:
        if self.child is not None:
            self.child.send_signal(signal.SIGKILL)
            self.child.wait()
            self.kills += 1
        self.child = None


def forwarder(home: Home, sink: str, **secrets: str) -> Process:
    """`bot-bottle log forward SINK` of the real program. secrets: given as variables to its keeper."""
    env = {"PATH": os.environ["PATH"], "HOME": home.root, "BOT_BOTTLE_HOME": home.root}
    env |= {f"BOT_BOTTLE_SECRET_{name.upper()}": value for name, value in secrets.items()}
    return Process([*PROGRAM, "log", "forward", sink], env)


def rage(rounds: int, one: Process, other: Process, seed: int) -> None:
    """Kills one, the other or both at random moments, and starts them again."""
    chance = random.Random(seed)
    for _ in range(rounds):
        time.sleep(chance.uniform(0.2, 1.2))
        chosen = chance.choice([[one], [other], [one, other]])
        for process in chosen:
            process.kill()
        time.sleep(chance.uniform(0, 0.3))
        for process in chosen:
            process.start()


def arrived(found: Callable[[], set[str]], wanted: set[str], seconds: float = 60) -> set[str]:
    """Waits until everything is there; what is missing otherwise."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not wanted - found():
            return set()
        time.sleep(0.2)
    return wanted - found()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 1):
            return True
    except OSError:
        return False
