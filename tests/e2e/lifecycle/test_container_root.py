"""Root as a container engine gives it: with docker's default capabilities and no power over mounts (S03).

Everything is the real program; only the capabilities are taken away, before it is exec'd.
"""

import ctypes
import json
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.lifecycle.world import PROGRAM, World

pytestmark = pytest.mark.bottle

PR_CAPBSET_DROP = 24
KEPT = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)  # docker's default set, capabilities(7)
ROOT = os.getuid() == 0


def as_in_a_container(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    libc = ctypes.CDLL(None)

    def drop() -> None:
        for capability in set(range(64)) - set(KEPT):
            libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)

    return subprocess.run(
        [*PROGRAM, *words], cwd=world.project, env=world.env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False, preexec_fn=drop,
    )  # fmt: skip


@pytest.fixture
def project(world: World) -> Iterator[Path]:
    """A repository with a file that git ignores, and one that only its owner may read."""
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.com", "-C", str(world.project)]
    (world.project / ".gitignore").write_text("*.log\n")
    (world.project / "old.log").write_text("old\n")
    (world.project / "private").write_text("private\n")
    (world.project / "private").chmod(0o600)
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"]):
        subprocess.run([*git, *words], check=True, env=world.env | {"GIT_CONFIG_GLOBAL": "/dev/null"})
    yield world.project
    assert {path.lstat().st_uid for path in world.project.rglob("*")} == {os.getuid()}


def test_s03_a_containers_root_runs_bottles_and_takes_their_changes_over(world: World, project: Path) -> None:
    work = (
        "cat private >>a.txt; mkdir new; echo n >new/n; chmod 600 new/n; mkdir shut; chmod 0 shut; "
        'echo x >"$HOME/x"; git status --short; id -u; grep CapBnd /proc/self/status'
    )
    done = as_in_a_container(world, "run", "--bottle", "b", "--apply", "--", "sh", "-c", work)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[:3] == ["M", "a.txt", "??"]
    assert "1000\n" in done.stdout or not ROOT
    assert (project / "a.txt").read_text() == "a\nprivate\n"
    assert (project / "new" / "n").read_text() == "n\n"
    assert "ignored by" not in done.stderr, "files that nobody touched count as changed"
    assert list((world.home / "state").iterdir()) == [], "what the bottle's uid owned was not removed"


def test_s03_changes_that_wait_are_seen_and_thrown_away_later(world: World, project: Path) -> None:
    words = ("run", "--bottle", "b", "--label", "k", "--apply", "--", "sh", "-c", "echo b >>a.txt; echo x >.envrc")
    done = as_in_a_container(world, *words)
    assert "need a look" in done.stderr and (world.home / "state" / "k").is_dir(), done.stderr
    assert (project / "a.txt").read_text() == "a\n"
    shown = as_in_a_container(world, "changes", "show", "k")
    assert shown.returncode == 0 and ".envrc" in shown.stdout, shown.stderr
    assert as_in_a_container(world, "discard", "k").returncode == 0
    assert list((world.home / "state").iterdir()) == []


def test_s03_changes_become_a_branch(world: World, project: Path) -> None:
    words = ("run", "--bottle", "b", "--label", "k", "--keep", "--", "sh", "-c", "echo b >>a.txt; echo x >new")
    done = as_in_a_container(world, *words)
    assert done.returncode == 0 and "in the branch bot-bottle/k" in done.stderr, done.stderr
    show = subprocess.run(["git", "show", "bot-bottle/k:new"], cwd=project, capture_output=True, check=True)
    assert show.stdout == b"x\n"


def test_s03_a_persons_own_tree_is_refused_and_keeps_its_owner(world: World, project: Path) -> None:
    world.bottle("workspace: {mode: bind}\n", "bound")
    done = as_in_a_container(world, "run", "--bottle", "bound", "--", "true")
    assert project.stat().st_uid == os.getuid()
    if ROOT:
        assert done.returncode == 4 and "no CAP_SYS_ADMIN" in done.stderr, done.stderr
        assert str(project) in done.stderr and "mode: copy" in done.stderr
    else:
        assert done.returncode == 0, done.stderr  # an ordinary user is the owner, with or without capabilities


def test_s03_a_read_only_mount_is_shown_if_anybody_may_read_it(world: World, project: Path, tmp_path: Path) -> None:
    place = tmp_path / "tools"
    place.mkdir(0o755)
    (place / "t").write_text("tool\n")
    world.bottle(f"workspace: {{mounts: [{{source: {place}, target: /opt/tools}}]}}\n", "tools")
    done = as_in_a_container(world, "run", "--bottle", "tools", "--", "cat", "/opt/tools/t")
    assert (done.returncode, done.stdout) == (0, "tool\n"), done.stderr
    place.chmod(0o700)
    done = as_in_a_container(world, "run", "--bottle", "tools", "--", "cat", "/opt/tools/t")
    assert (done.returncode == 4 and "cannot read" in done.stderr) if ROOT else done.returncode == 0, done.stderr
    assert stat.S_IMODE(place.stat().st_mode) == 0o700 and place.stat().st_uid == os.getuid()


def test_doctor_says_what_a_run_would_meet(world: World) -> None:
    done = as_in_a_container(world, "doctor", "--json")
    assert json.loads(done.stdout)["bottles_start"] is True, done.stdout
