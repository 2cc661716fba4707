"""A sealed helper run without a door: git on an agent-written tree and the like (D05). Nothing in it reaches anything.

The same seal, filter, ids and limits as a bottle, but no listener at all: every connection is refused.
"""

from dataclasses import dataclass

from bot_bottle.bottles.plan import Mount


@dataclass(frozen=True, slots=True)
class Finished:
    """status: exit status, 128+n for signal n. stdout, stderr: at most the given caps (see `run_sealed`).

    ended: "" | "timeout" | "output" - why we killed it.
    """

    status: int
    stdout: bytes
    stderr: bytes
    ended: str = ""


def run_sealed(
    argv: tuple[str, ...],
    mounts: tuple[Mount, ...] = (),
    stdin: bytes = b"",
    timeout: float = 60.0,
    *,
    env: dict[str, str] | None = None,
    cwd: str = "/",
    stdout_limit: int = 64_000_000,
    stderr_limit: int = 64_000,
    tmp_bytes: int = 256_000_000,
) -> Finished:
    """Runs argv (absolute program path) in a fresh bottle with no door and waits for its end.

    mounts: host directories or files; `rw` ones keep the host's owner also as root. HOME is an empty tmpfs.
    More than stdout_limit bytes end the run with `ended="output"`. Raises SealFault or HostFault.
    """
    raise NotImplementedError
