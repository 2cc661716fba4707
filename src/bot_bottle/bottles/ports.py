"""What a backend is: it starts one sealed bottle from a plan and gives back handles; nothing else.

Contract suite: tests/contract/test_backend.py, run for every backend that this machine can run.
"""

from dataclasses import dataclass, field
from typing import Protocol

from bot_bottle.bottles.plan import Plan
from bot_bottle.bottles.seal.enter import Handle


@dataclass(slots=True)
class Layout:
    """Host paths that the run prepared for one bottle (all outside the workspace, mode 0700).

    workspace: directory bound at plan.workspace.source, or "" (none). lower/upper/work: overlay instead of it.
    home: directory on disk bound at plan.home. authority: file with the bottle's CA bundle, bound over the
    system's. masks: absolute paths inside that show nothing. files: target path -> host file, bound read-only.
    """

    state: str
    home: str
    workspace: str = ""
    lower: str = ""
    upper: str = ""
    work: str = ""
    authority: str = ""
    masks: tuple[str, ...] = ()
    files: dict[str, str] = field(default_factory=dict[str, str])


class Started(Protocol):
    """A bottle that is sealed and waits for `go`. All descriptors belong to the caller afterwards."""

    pid: int
    pidfd: int
    doors: list[tuple[str, int]]
    """(kind, descriptor) of every listening socket; kinds as in egress.messages.Doors."""
    stdio: tuple[int, int, int]
    """Our ends of the agent's stdin, stdout, stderr; one pty master three times when plan.terminal."""

    def probe(self) -> list[str]:
        """Runs the seal probe inside; the ways out that it found. Empty means sealed."""
        ...

    def go(self) -> None:
        """Releases the agent. Only after the gateway serves and the probe found nothing."""
        ...

    def wait(self, timeout: float | None = None) -> int | None:
        """The agent's exit status (128+n for a signal), or None at the timeout."""
        ...

    def stop(self) -> None:
        """Certain: afterwards no process of the bottle lives."""
        ...

    def freeze(self) -> None: ...

    def thaw(self) -> None: ...

    def execute(self, argv: list[str], env: dict[str, str], stdio: tuple[int, int, int], terminal: bool) -> int:
        """Starts another process in the bottle under the same confinement; its host pidfd, a child of ours.

        argv[0] is looked up in env's PATH; stdio are descriptors for it (a pty's slave three times when terminal).
        `seal.bottle.exit_status(pidfd)` reaps it.
        """
        ...

    def dial(self, port: int) -> int:
        """A connected TCP socket to 127.0.0.1:port inside, for `forward`. Raises SealFault when nobody listens."""
        ...

    def breach(self) -> str:
        """After the end: the watched limit that ended it, e.g. ``memory: 5 bytes of 4``, or ""."""
        ...

    def handle(self) -> Handle:
        """Plain data by which another process of the same user can enter: `seal.enter.enter` and `dial`."""
        ...


class Backend(Protocol):
    name: str

    def capabilities(self) -> dict[str, str]:
        """limit or property -> enforced | watched | not enforced, on this host; a plan refuses what is missing."""
        ...

    def start(self, plan: Plan, layout: Layout, reserved: tuple[int, ...] = ()) -> Started:
        """Seals, stages and waits. Raises SealFault or HostFault and leaves nothing behind.

        reserved: ports that routes name but that get no door, because the agent's own servers listen there. Belongs
        to the main thread.
        """
        ...
