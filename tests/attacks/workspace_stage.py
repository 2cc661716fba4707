"""A person's project, a state directory, and an "agent" that may do anything to what it was given."""

import contextlib
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot_bottle.bottles.plan import Mount, Plan, Workspace
from bot_bottle.bottles.seal.offline import run_sealed
from bot_bottle.bottles.workspace import changes, facts, prepare
from bot_bottle.bottles.workspace.prepare import Prepared
from bot_bottle.policy.effective import Policy

ROOT = os.geteuid() == 0
GIT_ENV = {
    "PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_AUTHOR_NAME": "p", "GIT_AUTHOR_EMAIL": "p@x", "GIT_COMMITTER_NAME": "p", "GIT_COMMITTER_EMAIL": "p@x",
}  # fmt: skip


def git(where: Path | str, *arguments: str, check: bool = True, **env: str) -> str:
    """Plain git, as a careless tool of the host would run it."""
    done = subprocess.run(
        ["git", *arguments], cwd=where, env=GIT_ENV | env, capture_output=True, text=True, check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.strip()


def shell(where: Path | str, script: str) -> None:
    subprocess.run(["sh", "-euc", script], cwd=where, env=GIT_ENV, check=True, capture_output=True)


def repository(path: Path, **files: str) -> Path:
    """A repository with one commit."""
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "-q", "-b", "main")
    for name, text in (files or {"a.txt": "one\ntwo\nthree\n"}).items():
        place = path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    git(path, "add", "-A")
    git(path, "commit", "-qm", "start")
    return path


def plan(workspace: Workspace, **more: Any) -> Plan:
    base: dict[str, Any] = {
        "label": "demo", "bottle": "default", "agent": "a", "harness": "h", "harness_digest": "", "argv": ("true",),
        "env": {}, "cwd": workspace.source, "home": "/home/agent", "policy": Policy("default", ()),
        "workspace": workspace,
    }  # fmt: skip
    return Plan(**(base | more))


@dataclass
class Stage:
    """top: everything; source: the person's project; state: of the bottle."""

    top: Path
    source: Path
    state: Path

    def look(self, keep: tuple[str, ...] = ()) -> facts.SourceFacts:
        return facts.inspect_source(str(self.source), keep, str(self.top / "home"), str(self.top / "run"))

    def prepare(self, mode: str = "copy", keep: tuple[str, ...] = (), **more: Any) -> Prepared:
        return prepare.prepare(plan(self.look(keep).workspace(mode), **more), str(self.state))

    def collect(self, prepared: Prepared, run: Any = run_sealed) -> changes.Changes:
        return changes.collect(prepared, run)

    def worked(self, work: Callable[[Path], object], **more: Any) -> tuple[Prepared, changes.Changes]:
        """Prepare a copy, let the agent work in it, take the changes."""
        prepared = self.prepare(**more)
        work(Path(prepared.workspace))
        return prepared, self.collect(prepared)


def stage(top: Path) -> Stage:
    (top / "home" / "state").mkdir(parents=True)
    (top / "source").mkdir()
    return Stage(top, top / "source", top / "home" / "state" / "demo")


def mounts_of(prepared: Prepared, top: Path, guarded: bool = True) -> tuple[Mount, ...]:
    """What a backend makes of a bound workspace: the tree, the guards, the masks, the files over files."""
    out = [Mount(prepared.source, prepared.source, "rw")]
    if not guarded:
        return tuple(out)
    nothing, empty = top / "nothing", top / "empty"
    nothing.mkdir(exist_ok=True)
    empty.touch()
    out += prepared.mounts
    out += [Mount(source, target) for target, source in prepared.files.items()]
    out += [Mount(str(nothing if os.path.isdir(path) else empty), path) for path in prepared.masks]
    return tuple(out)


@contextlib.contextmanager
def as_user() -> Iterator[None]:
    """An ordinary user's rights in this process: root without its powers over files. Ordinary users just go on."""
    if not ROOT:
        yield
        return
    os.setegid(65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
