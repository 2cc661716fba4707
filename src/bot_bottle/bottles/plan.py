"""The plan: everything that a run will do, decided before anything is touched; shown by --dry-run.

Pure: built from loaded manifests, a harness and facts about the host by `plan_run`; golden-tested.
"""

import msgspec

from bot_bottle.policy.effective import Policy


class Mount(msgspec.Struct, frozen=True):
    """A host directory or file shown in the bottle. mode: ro | rw. why: shown in the plan.

    ours: we made it, so that it may be given to the agent's uid where it cannot be shown as the agent's otherwise.
    """

    source: str
    target: str
    mode: str = "ro"
    why: str = ""
    ours: bool = False


class Seed(msgspec.Struct, frozen=True):
    """A file laid into HOME (or another absolute path) before the agent starts. executable: mode 0755 not 0644."""

    path: str
    content: str
    executable: bool = False


class Limit(msgspec.Struct, frozen=True):
    """One limit and how it holds: enforced (cgroup, rlimit, tmpfs size) | watched | not enforced."""

    name: str
    value: int
    how: str = "not enforced"


class Workspace(msgspec.Struct, frozen=True):
    """source: absolute host path, also the path inside. mode: copy | overlay | bind | none.

    masked: relative paths hidden because they look like credentials (D07). keep: globs that stay visible.
    common_git: a worktree's common git directory, "" otherwise.
    """

    source: str
    mode: str
    masked: tuple[str, ...] = ()
    keep: tuple[str, ...] = ()
    common_git: str = ""
    findings: tuple[str, ...] = ()


class Skill(msgspec.Struct, frozen=True):
    """A skill directory to copy in. source: host directory; digest: sha256 over its files."""

    name: str
    source: str
    target: str
    digest: str = ""


class Plan(msgspec.Struct, frozen=True):
    """argv: what runs in the bottle. env: complete environment of the agent (placeholders, never secrets).

    home: path of HOME inside. secrets: names that must exist. visible: secret name -> variable, where the bottle
    says ``visible: true`` (the agent then holds the real value, and the plan warns). terminal: pty or pipes.
    wall_clock: seconds, 0 = none. task: the prompt's first line, or the command. leaf: the person's own bottle file
    that came last, which a yes for always may write to; "" where the last one is shipped.
    """

    label: str
    bottle: str
    agent: str
    harness: str
    harness_digest: str
    argv: tuple[str, ...]
    env: dict[str, str]
    cwd: str
    home: str
    policy: Policy
    workspace: Workspace
    mounts: tuple[Mount, ...] = ()
    seeds: tuple[Seed, ...] = ()
    skills: tuple[Skill, ...] = ()
    limits: tuple[Limit, ...] = ()
    secrets: tuple[str, ...] = ()
    visible: dict[str, str] = {}
    placeholders: dict[str, str] = {}
    terminal: bool = False
    wall_clock: float = 0
    backend: str = "bubblewrap"
    caches: tuple[str, ...] = ()
    git_user: tuple[str, str] = ("", "")
    success: str = ""
    events: str = ""
    warnings: tuple[str, ...] = ()
    task: str = ""
    leaf: str = ""
