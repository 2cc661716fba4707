"""`bot-bottle secret`: by pipe and by a terminal; the value is never in arguments, output or files."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

VALUE = "sk-ant-api03-0123456789abcdef"


def command(home: Path, *argv: str, stdin: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    """The real program in a process of its own."""
    environ = {"BOT_BOTTLE_HOME": str(home), "PATH": os.environ["PATH"], **more}
    program = [sys.executable, "-I", "-c", "from bot_bottle.cli.main import main; main()"]
    return subprocess.run(
        [*program, "secret", *argv], input=stdin, env=environ, capture_output=True, text=True, check=False, cwd="/"
    )


def test_set_list_test_remove(home: Path) -> None:
    assert command(home, "set", "anthropic", stdin=f"{VALUE}\n").returncode == 0
    listed = command(home, "list", "--json")
    told = json.loads(listed.stdout)
    (row,) = told["secrets"]
    assert (row["name"], row["store"]) == ("anthropic", "file")
    assert "harness claude" in row["used_by"]
    assert "0600" in told["protection"][0]
    tested = command(home, "test", "anthropic")
    assert (tested.returncode, tested.stdout) == (0, "anthropic is set and readable (file).\n")
    removed = command(home, "remove", "anthropic")
    assert removed.returncode == 0
    assert json.loads(command(home, "list", "--json").stdout)["secrets"] == []
    everything = listed.stdout + tested.stdout + removed.stderr
    assert VALUE not in everything
    assert not [path for path in home.rglob("*") if path.is_file() and VALUE.encode() in path.read_bytes()]


def test_the_environment_is_listed_with_its_store(home: Path) -> None:
    listed = command(home, "list", BOT_BOTTLE_SECRET_OPENAI=VALUE)
    assert listed.stdout.split()[:2] == ["openai", "environment"]
    removed = command(home, "remove", "openai", BOT_BOTTLE_SECRET_OPENAI=VALUE)
    assert removed.returncode == 3
    assert "comes from the environment" in removed.stderr


def test_what_a_bottle_needs_is_listed_before_it_is_set(home: Path) -> None:
    (home / "bottles").mkdir()
    (home / "bottles/dev.md").write_text(
        "---\nversion: 1\nenv: {TOKEN: {secret: shown-key, visible: true}}\negress:\n  routes:\n"
        "    - {host: api.example.com, auth: {scheme: bearer, secret: example}}\n---\n"
    )
    (home / "bottles/broken.md").write_text("---\nversion: 9\n---\n")
    rows = {row["name"]: row for row in json.loads(command(home, "list", "--json").stdout)["secrets"]}
    assert rows["example"] == {"name": "example", "store": None, "used_by": ["bottle dev"]}
    assert rows["shown-key"]["used_by"] == ["bottle dev"]
    assert "example    not set" in command(home, "list").stdout


@pytest.mark.parametrize(
    ("argv", "stdin", "code", "words"),
    [
        (("set", "anthropic"), "", 2, "empty"),
        (("set", "anthropic"), "1234567\n", 2, "fewer than 8"),
        (("set", "ANTHROPIC"), VALUE, 2, "not a name"),
        (("set", "anthropic", VALUE), "", 2, "never an argument"),
        (("set", f"anthropic={VALUE}"), "", 2, "not a name"),
        (("set", "anthropic", f"--value={VALUE}"), "", 2, "never an argument"),
        (("set",), VALUE, 2, "Missing argument"),
        (("test", "absent"), "", 3, "not set"),
        (("remove", "absent"), "", 3, "not set"),
    ],
)
def test_bad_input_is_one_sentence_and_changes_nothing(
    home: Path, argv: tuple[str, ...], stdin: str, code: int, words: str
) -> None:
    done = command(home, *argv, stdin=stdin)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert VALUE not in done.stderr
    assert list(home.iterdir()) == []


def test_a_short_secret_is_kept_with_a_warning(home: Path) -> None:
    done = command(home, "set", "example", stdin="12345678abc")
    assert done.returncode == 0
    assert "warning: example has fewer than 16 characters" in done.stderr


def test_a_damaged_file_is_one_sentence(home: Path) -> None:
    command(home, "set", "anthropic", stdin=VALUE)
    (home / "secrets/secrets.enc").write_bytes(b"bot-bottle-secrets 1 file \nrubbish")
    done = command(home, "list")
    assert done.returncode == 3
    assert "damaged" in done.stderr and "Traceback" not in done.stderr


def test_a_terminal_is_asked_without_echo(home: Path) -> None:
    program = "from bot_bottle.cli.main import main; main()"
    child: pexpect.spawn[str] = pexpect.spawn(
        sys.executable,
        ["-I", "-c", program, "secret", "set", "anthropic"],
        env={"BOT_BOTTLE_HOME": str(home), "PATH": os.environ["PATH"], "TERM": "dumb"},
        encoding="utf-8",
        timeout=20,
    )
    seen = ""
    for _ in range(2):
        child.expect(": ")
        seen += str(child.before)
        child.waitnoecho()
        child.sendline(VALUE)
    child.expect(pexpect.EOF)
    seen += str(child.before)
    child.close()
    assert child.exitstatus == 0
    assert "anthropic is set" in seen
    assert VALUE not in seen
    assert command(home, "test", "anthropic").returncode == 0
