"""What one sealed bottle is made of, as plain data: the backend and the offline run both speak it to the helper."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Bind:
    """A host file or directory at `target`. mapped: as root its owner appears as the agent (idmapped mount).

    ours: we made it for this bottle, so that its files may be given to the agent where no idmapped mount works.
    """

    source: str
    target: str
    writable: bool = False
    mapped: bool = True
    ours: bool = False


@dataclass(frozen=True, slots=True)
class Overlay:
    """Copy on write at `target`. upper and work lie in one directory of ours, empty or left by the same bottle."""

    target: str
    lower: str
    upper: str
    work: str


@dataclass(frozen=True, slots=True)
class Content:
    """A read-only file that exists only inside."""

    target: str
    data: bytes
    executable: bool = False


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Bytes of the two tmpfs, descriptors and data segment per process, processes per bottle; 0 = unlimited.

    D16, S12: every tmpfs has a size and a number of inodes; RLIMIT_AS is never used, it kills Node.
    """

    tmp: int = 256_000_000
    shm: int = 64_000_000
    files: int = 4096
    processes: int = 512
    data: int = 0


@dataclass(frozen=True, slots=True)
class Spec:
    """argv, env, cwd: the agent. home: where HOME is inside, for passwd; "" = a sized tmpfs at /home/agent.

    doors: TCP ports to listen on besides 3128, 80, 443 and 53, or None: no door at all. masks: absolute paths
    that show nothing. cgroups: directories that the first process joins. probe: the sh command
    of the seal probe, or "".
    """

    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict[str, str])
    cwd: str = "/"
    home: str = ""
    doors: tuple[int, ...] | None = ()
    binds: tuple[Bind, ...] = ()
    overlay: Overlay | None = None
    masks: tuple[str, ...] = ()
    contents: tuple[Content, ...] = ()
    authority: str = ""
    terminal: bool = False
    ceilings: Ceilings = Ceilings()
    cgroups: tuple[str, ...] = ()
    probe: str = ""
    hostname: str = "bottle"
