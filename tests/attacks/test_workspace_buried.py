"""Repositories that a bottle buries in a tree, so that git on the host runs what their config names (B64, D13, F20)."""

import subprocess
from pathlib import Path

import pytest

from attacks.workspace_stage import GIT_ENV, Stage, mounts_of, repository, shell, stage
from bot_bottle.bottles.seal.offline import run_sealed
from bot_bottle.bottles.workspace import changes, choice, review

pytestmark = pytest.mark.bottle


@pytest.fixture
def at(tmp_path: Path) -> Stage:
    made = stage(tmp_path)
    repository(made.source)
    return made


def bury(place: str, mark: Path) -> str:
    """A script that makes a bare-looking repository, every part of it a plain file or directory."""
    return f"""
        mkdir -p {place}/refs {place}/objects
        echo keep > {place}/refs/keep; echo keep > {place}/objects/keep
        echo 'ref: refs/heads/main' > {place}/HEAD
        printf '[core]\nrepositoryformatversion = 0\nbare = false\nworktree = .\nfsmonitor = "touch {mark}; false"\n' > {place}/config
        """


def enter(place: Path) -> None:
    """What a shell prompt or an editor does there."""
    subprocess.run(["git", "status"], cwd=place, env=GIT_ENV, capture_output=True, check=False)


def test_d13_b64_f20_a_buried_bare_repository_needs_a_look(at: Stage) -> None:
    mark = at.top / "mark"
    prepared, found = at.worked(lambda tree: shell(tree, bury("docs/x", mark)))
    enter(Path(prepared.workspace) / "docs/x")
    assert mark.exists(), "control: git runs it"
    mark.unlink()
    concerns = {concern.path: concern.kind for concern in review.review(found).concerns}
    assert concerns.get("docs/x/HEAD") == "trusted"
    concluded = choice.conclude(prepared, found, "apply", lambda _: False, lambda _: None)
    assert concluded.done == "waiting"
    assert not (at.source / "docs").exists()


def test_d13_f20_the_config_of_a_bare_repository_needs_a_look(at: Stage) -> None:
    shell(at.source, "git init -q --bare fixture.git; git add -A -f; git commit -qm bare")
    _, found = at.worked(lambda tree: shell(tree, "echo '[core] fsmonitor = x' >> fixture.git/config"))
    assert review.review(found).paths() == {"fixture.git/config"}


@pytest.mark.parametrize("place", ["sub", "a/b"])
def test_d04_b64_a_git_directory_made_in_a_bound_workspace_is_told(at: Stage, place: str) -> None:
    mark = at.top / "mark"
    prepared = at.prepare("bind")
    script = f"mkdir -p {place} && cd {place} && git init -q . && git config core.fsmonitor 'touch {mark}; false'"
    done = run_sealed(("/bin/sh", "-c", script), mounts_of(prepared, at.top), cwd=str(at.source))
    assert done.status == 0, done
    found = changes.collect(prepared, run_sealed)
    assert found.violations == (f"{place}/.git is a git directory that was not there",)
    assert any(f"{place}/.git" in line for line in choice.lines(found))
    enter(at.source / place)
    assert mark.exists(), "control: git runs it"
