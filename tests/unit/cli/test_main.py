"""The command itself: lazy verbs, errors as text, exit codes, start-up cost."""

import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import pytest

from bot_bottle.base import errors
from bot_bottle.base.errors import Problem
from bot_bottle.base.home import locate
from bot_bottle.bottles import lease
from bot_bottle.cli import main as program

BIN = Path(sys.executable).parent / "bot-bottle"


def failing(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int:
    def fail() -> object:
        raise error

    group = click.Group(name="x")
    group.main = lambda **_: fail()  # pyright: ignore
    monkeypatch.setattr(program, "group", lambda: group)
    return program.guarded()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.UsageFault("a.b", "What.", "Hint."), 2), (errors.OperatorFault("a.b", "What.", "Hint."), 3),
        (errors.HostFault("a.b", "What.", "Hint."), 4), (errors.SealFault("a.b", "What.", "Hint."), 5),
        (errors.BusyFault("a.b", "What.", "Hint."), 6), (errors.AuditFault("a.b", "What.", "Hint."), 7),
        (errors.OurFault("a.b", "What.", "Hint."), 70),
    ],
)  # fmt: skip
def test_every_fault_has_its_exit_code_and_two_lines(
    error: errors.BottleError, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(monkeypatch, error) == code
    assert capsys.readouterr().err == "bot-bottle: What.\n  Hint.\n"


def test_all_problems_of_a_manifest_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    problems = [Problem("a", "unknown key x", "f.md", 3, "did you mean y"), Problem("b", "wrong type", "f.md", 9)]
    assert failing(monkeypatch, errors.ManifestFault(problems)) == 3
    said = capsys.readouterr().err
    assert "f.md:3: unknown key x (did you mean y)" in said
    assert "f.md:9: wrong type" in said


def test_a_full_disk_and_a_refused_file_are_sentences(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(monkeypatch, OSError(errno.ENOSPC, "No space left on device", "/x")) == 4
    assert capsys.readouterr().err.splitlines()[0] == "bot-bottle: No space left on device at /x."
    assert failing(monkeypatch, PermissionError(errno.EACCES, "Permission denied", "/y")) == 4


def test_a_bug_shows_its_place_and_never_its_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert failing(monkeypatch, ValueError("sk-real-secret")) == 70
    said = capsys.readouterr().err
    assert "sk-real-secret" not in said
    assert "ValueError at test_main.py:" in said
    assert "Traceback" not in said


def test_a_broken_pipe_and_an_interrupt_are_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    assert failing(monkeypatch, KeyboardInterrupt()) == 130
    assert failing(monkeypatch, click.Abort()) == 130


def test_every_verb_has_a_command_with_help() -> None:
    for verb in program.VERBS:
        command = program.load(verb)
        assert isinstance(command, click.Command), verb
        assert command.help or command.short_help or command.callback, verb


def test_the_version_costs_little_and_loads_nothing() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(5):
        done = subprocess.run([str(BIN), "--version"], capture_output=True, text=True, check=True)
        assert done.stdout.startswith("bot-bottle ")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 5 < 0.12


def test_listing_the_verbs_imports_none_of_them() -> None:
    script = "import sys; sys.argv = ['bot-bottle', '--help']\nfrom bot_bottle.cli.main import guarded\nguarded()\n"
    script += "print([m for m in sys.modules if m.startswith('bot_bottle.') and 'cli' not in m and 'base' not in m])"
    done = subprocess.run([sys.executable, "-I", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_completion_knows_the_verbs() -> None:
    env = {
        "_BOT_BOTTLE_COMPLETE": "bash_complete",
        "COMP_WORDS": "bot-bottle st",
        "COMP_CWORD": "1",
        "PATH": "/usr/bin",
    }
    done = subprocess.run([str(BIN)], env=env, capture_output=True, text=True, check=False)
    assert {"plain,start", "plain,stop"} <= set(done.stdout.split())


def test_a_verb_with_a_slip_names_the_right_one() -> None:
    done = subprocess.run([BIN, "strat", "claude"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "did you mean start?" in done.stderr


@pytest.mark.parametrize("words", [["run", "--dry", "make"], ["exec", "--ttty", "one", "make"]])
def test_a_slip_in_our_own_options_is_no_command(words: list[str]) -> None:
    """It would be looked for inside the bottle, where it fails with an error of the bottle's shell."""
    done = subprocess.run([BIN, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "No such option" in done.stderr
    assert words[1] in done.stderr


@pytest.mark.parametrize(
    ("words", "found"),
    [("stop", "one"), ("changes show", "one"), ("run --bottle", "github-read"), ("start", "claude")],
)
def test_a_shell_completes_names(words: str, found: str, home: Path) -> None:
    lease.take(locate(os.environ), lease.Held("one", "r", "b", "a", "h", "/w", 1, state="kept")).release(keep=True)
    line = f"bot-bottle {words} "
    env = {
        **os.environ,
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split())),
        "_BOT_BOTTLE_COMPLETE": "bash_complete",
    }
    done = subprocess.run([BIN], env=env, capture_output=True, text=True, check=False)
    assert f"plain,{found}" in done.stdout.splitlines(), done


def test_a_workspace_that_is_not_there_is_the_persons_slip(home: Path) -> None:
    done = subprocess.run([BIN, "run", "-w", "/nonexistent", "true"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "bot-bottle: There is no directory /nonexistent.")
