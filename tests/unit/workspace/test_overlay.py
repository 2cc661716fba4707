"""The overlay workspace in a real kernel overlay, through a real sealed bottle: same changes as a copy."""

import os
from pathlib import Path

import msgspec
import pytest

from attacks.workspace_stage import Stage, git, plan, repository, stage
from bot_bottle.bottles.seal import idmap
from bot_bottle.bottles.seal.bottle import Bottle
from bot_bottle.bottles.seal.spec import Overlay, Spec
from bot_bottle.bottles.seal.start import start
from bot_bottle.bottles.workspace import facts, prepare
from bot_bottle.bottles.workspace.apply import apply
from bot_bottle.bottles.workspace.prepare import Prepared

pytestmark = pytest.mark.bottle
WORK = """
sed -i s/two/TWO/ a.txt
rm gone.txt
rm -r dir
mkdir dir && echo n > dir/new
rm -r tofile && echo f > tofile
rm todir && mkdir todir && echo i > todir/in
mkdir -p build && echo o > build/o
touch touched.txt
chmod +x run.sh
git -c user.name=a -c user.email=a@x commit -qam agent
ls -A .git/hooks > hooks.txt
mkfifo pipe
"""


@pytest.fixture
def at(tmp_path: Path) -> Stage:
    made = stage(tmp_path)
    repository(
        made.source,
        **{
            "a.txt": "one\ntwo\n", "gone.txt": "g\n", "dir/old": "o\n", "dir/sub/deep": "d\n", "tofile/x": "x\n",
            "todir": "t\n", "touched.txt": "t\n", "run.sh": "r\n", ".gitignore": "build/\n",
        },
    )  # fmt: skip
    return made


def work(prepared: Prepared, script: str) -> None:
    """The agent's shell on the overlay, as the backend would mount it."""
    over = Overlay(prepared.source, prepared.lower, prepared.upper, prepared.work)
    argv = ("/bin/sh", "-euc", script)
    env = {"PATH": "/usr/bin:/bin", "HOME": "/home/agent"}
    bottle = Bottle(start(Spec(argv, env, cwd=prepared.source, overlay=over, doors=None, masks=prepared.masks)))
    try:
        bottle.wait_ready()
        bottle.go()
        assert bottle.wait(60) == 0
    finally:
        bottle.stop()
        bottle.close()
        for fd in (*bottle.stdio, bottle.pidfd):
            os.close(fd)


def test_an_overlay_gives_the_changes_that_a_copy_gives(at: Stage) -> None:
    (at.source / ".env").write_text("S=1\n")
    wanted = at.look().workspace("copy")
    over = prepare.prepare(plan(msgspec.structs.replace(wanted, mode="overlay")), str(at.state))
    work(over, WORK + "test ! -s .env\n")
    taken = at.collect(over)
    assert {(c.path, c.status) for c in taken.changes} == {
        ("a.txt", "M"), ("gone.txt", "D"), ("dir/old", "D"), ("dir/sub/deep", "D"), ("dir/new", "A"), ("tofile/x", "D"),
        ("tofile", "A"), ("todir", "D"), ("todir/in", "A"), ("run.sh", "M"), ("hooks.txt", "A"),
    }  # fmt: skip
    assert taken.ignored == 1 and taken.left_out == {"pipe": "a fifo"}
    assert git(at.source, "log", "--format=%s") == "start" and git(at.source, "status", "--short") == "?? .env"
    done = apply(over, taken, frozenset({"*"}))
    assert not done.conflicts and (at.source / "dir/new").exists() and not (at.source / "dir/old").exists()
    assert (at.source / "tofile").is_file() and (at.source / "todir/in").exists()
    assert (at.source / "hooks.txt").read_text() == "", "the hooks of the source were masked"


def test_a_source_that_changed_under_an_overlay_is_a_conflict(at: Stage) -> None:
    over = prepare.prepare(plan(at.look().workspace("overlay")), str(at.state))
    work(over, "echo agent >> a.txt; echo agent >> run.sh")
    (at.source / "a.txt").write_text("person\n")
    taken = at.collect(over)
    assert {c.path: c.known for c in taken.changes} == {"a.txt": False, "run.sh": True}
    assert list(apply(over, taken).conflicts) == ["a.txt"] and (at.source / "a.txt").read_text() == "person\n"


def test_the_plan_says_which(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    found = at.look()
    assert (found.mode("copy"), found.mode("bind")) == ("copy", "bind")
    monkeypatch.setattr(facts, "COPY_FILES", 3)
    assert found.workspace("copy").mode == "overlay" and "instead of a copy" in found.workspace("copy").findings[-1]
    monkeypatch.setattr(idmap, "has_power", lambda: False)
    assert found.workspace("copy").mode == "copy", "an overlay on files of another owner cannot be written"
    assert os.path.isdir(at.source)


def test_a_large_copy_compares_with_the_source(at: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare, "BASE_FILES", 3)
    made = at.prepare()
    assert made.base_is_source and not (at.state / "base").exists()
    tree = Path(made.workspace)
    (tree / "a.txt").write_text("agent\n")
    (tree / "run.sh").write_text("agent\n")
    (tree / "gone.txt").unlink()
    (at.source / "run.sh").write_text("person\n")
    (at.source / "gone.txt").write_text("person\n")
    taken = at.collect(made)
    assert {(c.path, c.status, c.known) for c in taken.changes} == {
        ("a.txt", "M", True), ("run.sh", "M", False), ("gone.txt", "D", False),
    }  # fmt: skip
    assert set(apply(made, taken).conflicts) == {"run.sh", "gone.txt"}
