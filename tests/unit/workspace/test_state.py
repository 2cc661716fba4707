"""Skills, caches, the end of a run and the verbs, with real directories; the second bottle is real where one is needed."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from attacks.workspace_stage import Stage, git, plan, repository, stage
from bot_bottle.base.errors import BottleError, OperatorFault
from bot_bottle.base.home import locate
from bot_bottle.bottles import lease, skill_files
from bot_bottle.bottles.plan import Skill
from bot_bottle.bottles.workspace import changes, choice, prepare
from bot_bottle.bottles.workspace.changes import Change, Changes
from bot_bottle.bottles.workspace.discard import discard
from bot_bottle.bottles.workspace.skills import copy_skills
from bot_bottle.cli import changes as verbs


@pytest.fixture
def at(tmp_path: Path) -> Stage:
    return stage(tmp_path)


def skill(at: Stage, name: str = "review") -> Skill:
    place = at.top / "skills" / name
    place.mkdir(parents=True)
    (place / "SKILL.md").write_text("Look twice.")
    (place / "run.sh").write_text("#!/bin/sh\n")
    (place / "run.sh").chmod(0o755)
    return Skill(name, str(place), f"/home/agent/.claude/skills/{name}", skill_files.skill_digest(str(place), (), ""))


def test_skills_are_copied_and_shown_read_only(at: Stage) -> None:
    one = skill(at)
    wanted = plan(at.look().workspace(), skills=(one,))
    extended = prepare.prepare(wanted, str(at.state)).extend(wanted)
    (mount,) = [m for m in extended.mounts if m.target == one.target]
    assert mount.mode == "ro" and mount.source != one.source
    assert os.access(f"{mount.source}/run.sh", os.X_OK)
    Path(one.source, "SKILL.md").write_text("changed later")
    assert Path(mount.source, "SKILL.md").read_text() == "Look twice."


@pytest.mark.parametrize("how", ["edited", "added", "link", "fifo", "mode"])
def test_d21_a_skill_that_is_not_what_was_shown_stops_the_start(at: Stage, how: str) -> None:
    one = skill(at)
    place = Path(one.source)
    wanted = plan(at.look().workspace(), skills=(one,))
    assert copy_skills(wanted, str(at.top / "control"))
    {
        "edited": lambda: (place / "SKILL.md").write_text("Obey."),
        "added": lambda: (place / "more").write_text("x"),
        "link": lambda: (place / "l").symlink_to("/etc/passwd"),
        "fifo": lambda: os.mkfifo(place / "f"),
        "mode": lambda: (place / "SKILL.md").chmod(0o755),
    }[how]()
    with pytest.raises(BottleError):
        copy_skills(wanted, str(at.state))


def test_caches_are_per_bottle_and_outlive_it(at: Stage) -> None:
    wanted = plan(at.look().workspace(), caches=("pip", "go", "npm", "cargo"))
    extended = prepare.prepare(wanted, str(at.state)).extend(wanted)
    targets = {m.target: m for m in extended.mounts}
    assert set(targets) == {
        "/home/agent/.cache/pip", "/home/agent/go/pkg/mod", "/home/agent/.npm", "/home/agent/.cargo/registry",
    }  # fmt: skip
    pip = targets["/home/agent/.cache/pip"]
    assert pip.source == str(at.top / "home/caches/default/pip") and pip.mode == "rw"
    assert os.stat(pip.source).st_mode & 0o777 == 0o700
    assert extended.env["GOMODCACHE"] == "/home/agent/go/pkg/mod"
    Path(pip.source, "wheel").touch()
    from bot_bottle.bottles.workspace.discard import discard

    discard(str(at.state))
    assert Path(pip.source, "wheel").exists()
    with pytest.raises(OperatorFault, match="no cache called"):
        prepare.prepare(plan(at.look().workspace(), caches=("nope",)), str(at.state))


class Person:
    """Answers questions in order, and hears what is said."""

    def __init__(self, *answers: bool) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.heard: list[str] = []

    def confirm(self, question: str) -> bool:
        self.asked.append(question)
        return self.answers.pop(0)


def concluded(at: Stage, wish: str, person: Person, name: str = "new.txt") -> choice.Concluded:
    repository(at.source)
    prepared, taken = at.worked(lambda tree: (tree / name).write_text("x\n"))
    return choice.conclude(prepared, taken, wish, person.confirm, person.heard.append)


@pytest.mark.bottle
def test_ignored_files_are_left_behind_but_tracked_ones_are_not(at: Stage) -> None:
    repository(at.source, **{".gitignore": "build/\n*.log\n", "a": "a\n", "sub/.gitignore": "here\n"})
    (at.source / ".git/info/exclude").write_text("private\n")
    (at.source / "kept.log").write_text("1\n")
    git(at.source, "add", "-f", "kept.log")
    git(at.source, "commit", "-qm", "tracked although ignored")
    (at.source / "old.log").write_text("1\n")

    def work(tree: Path) -> None:
        (tree / "build").mkdir()
        for name in ("build/o", "x.log", "kept.log", "old.log", "sub/here", "private", "a", "new"):
            (tree / name).write_text("2\n")
        with (tree / ".gitignore").open("a") as file:
            file.write("a\nnew\n")  # a rule of the agent hides nothing that was tracked

    _, taken = at.worked(work)
    assert [c.path for c in taken.changes] == [".gitignore", "a", "kept.log"]
    assert taken.ignored == 6


def test_a_socket_left_behind_does_not_keep_the_label(at: Stage) -> None:
    prepared = at.prepare()
    os.mkfifo(f"{prepared.workspace}/pipe")
    person = Person()
    done = choice.conclude(prepared, at.collect(prepared), "keep", person.confirm, person.heard.append)
    assert done.done == "nothing" and person.heard == ["left out: pipe: a fifo"] and os.listdir(at.state) == []


@pytest.mark.bottle
def test_a_person_applies(at: Stage) -> None:
    person = Person(True)
    assert concluded(at, "ask", person).done == "applied"
    assert (at.source / "new.txt").read_text() == "x\n" and os.listdir(at.state) == []
    assert person.heard[0] == "  A new.txt +1 -0"


@pytest.mark.bottle
def test_d13_a_person_is_asked_apart_about_what_needs_a_look(at: Stage) -> None:
    person = Person(True, False)
    done = concluded(at, "ask", person, ".envrc")
    assert len(person.asked) == 2 and "look" in person.asked[1]
    assert done.done == "applied" and not (at.source / ".envrc").exists() and "left out" in done.notes[0]


@pytest.mark.bottle
def test_a_person_keeps_or_throws_away(at: Stage) -> None:
    done = concluded(at, "ask", Person(False, True))
    assert (done.done, done.branch) == ("kept", "bot-bottle/demo") and os.path.exists(done.patch)
    prepared = prepare.load(str(at.state))
    person = Person(False, False, False)
    assert (
        choice.conclude(prepared, changes.load(prepared), "ask", person.confirm, person.heard.append).done
        == "waiting"
    )
    person = Person(False, False, True)
    assert (
        choice.conclude(prepared, changes.load(prepared), "ask", person.confirm, person.heard.append).done
        == "discarded"
    )
    assert os.listdir(at.state) == []


@pytest.mark.bottle
def test_headless_names_patch_and_branch(at: Stage) -> None:
    done = concluded(at, "keep", Person())
    assert done.branch == "bot-bottle/demo" and done.patch.endswith("changes.patch")
    assert git(at.source, "show", f"{done.branch}:new.txt") == "x"
    git(at.source, "apply", "--check", done.patch)


def test_nothing_changed_needs_no_second_bottle(at: Stage) -> None:
    repository(at.source)
    prepared = at.prepare()
    (Path(prepared.workspace) / "empty").mkdir()

    def never(*_: Any, **__: Any) -> Any:
        raise AssertionError("a bottle was started")

    taken = at.collect(prepared, never)
    assert taken.is_empty()
    assert choice.conclude(prepared, taken, "apply", Person().confirm, print).done == "nothing"


def test_b73_hostile_names_are_shown_harmlessly() -> None:
    evil = Changes(
        "copy",
        "",
        (Change("a\u202e\u200bb", "A", new_mode="100644"), Change("x" * 5000, "A")),
        left_out={"\x1b]0;t\x07": "x"},
    )
    text = "\n".join(choice.lines(evil))
    assert not {c for c in text if ord(c) < 32 and c != "\n"} and "\u202e" not in text and len(text) < 2000


@pytest.fixture
def finished(home: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A kept bottle `demo` in a home of its own."""
    source = repository(tmp_path / "project")
    at = Stage(tmp_path, source, home / "state" / "demo")
    (home / "state").mkdir()
    prepared, _ = at.worked(lambda tree: [(tree / n).write_text("x\n") for n in ("new.txt", ".envrc")])
    held = lease.take(locate(os.environ), lease.Held("demo", "r", "default", "a", "h", str(source), 0, state="kept"))
    held.release(keep=True)
    assert prepared.state == str(home / "state" / "demo")
    return home, source


def run(*arguments: str) -> tuple[int, str, BaseException | None]:
    done = CliRunner().invoke(verbs.command, arguments)
    return done.exit_code, done.output, done.exception


@pytest.mark.bottle
def test_the_verbs(finished: tuple[Path, Path]) -> None:
    home, source = finished
    assert ".envrc (trusted): direnv" in run("show", "demo")[1]
    shown = json.loads(run("show", "demo", "--json")[1])
    assert shown["files"] == 2 and {c["path"] for c in shown["concerns"]} == {".envrc"}
    assert "+++ b/new.txt" in run("show", "demo", "--patch")[1]
    assert isinstance(run("apply", "demo")[2], OperatorFault)
    kept = json.loads(run("keep", "demo", "--branch", "try/1", "--accept", ".envrc", "--json")[1])
    assert git(source, "rev-parse", "try/1") == kept["commit"]
    assert run("apply", "demo", "--skip")[0] == 0 and (source / "new.txt").exists()
    assert run("apply", "demo", "--accept-all")[0] == 0 and (source / ".envrc").exists()
    assert not (home / "state" / "demo").exists() and lease.read(locate(os.environ), "demo") is None
    assert isinstance(run("show", "demo")[2], OperatorFault)


@pytest.mark.bottle
def test_a_conflict_is_an_exit_code_and_changes_nothing(finished: tuple[Path, Path]) -> None:
    _, source = finished
    (source / "new.txt").write_text("mine\n")
    _, output, error = run("apply", "demo", "--accept-all")
    assert isinstance(error, OperatorFault) and error.slug == "workspace.conflict" and "new.txt" in output
    assert (source / "new.txt").read_text() == "mine\n" and not (source / ".envrc").exists()


@pytest.mark.bottle
def test_discard_frees_the_label(finished: tuple[Path, Path]) -> None:
    home, _ = finished
    assert run("discard", "demo")[0] == 0
    assert not (home / "state" / "demo").exists() and lease.read(locate(os.environ), "demo") is None


@pytest.mark.bottle
def test_a_half_removed_tree_is_no_work(finished: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed in the middle of a removal: files that are gone would pass for files that the agent deleted."""
    home, source = finished

    def killed(_path: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("bot_bottle.bottles.workspace.discard.remove", killed)
        with pytest.raises(KeyboardInterrupt):
            discard(str(home / "state" / "demo"))
    _, _, error = run("apply", "demo", "--accept-all")
    assert isinstance(error, OperatorFault) and error.slug == "workspace.no-state"
    assert run("discard", "demo")[0] == 0 and source.exists()


@pytest.mark.parametrize("label", ["../x", "nope", "-x"])
def test_labels_that_are_none(home: Path, label: str) -> None:
    assert isinstance(run("show", "--", label)[2], BottleError)
