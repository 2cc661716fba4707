"""`bot-bottle run` as a person types it: output, errors, exit code, injection, record, summary (design, path b)."""

import json
import os
import signal
import subprocess
import time

import pytest

from bot_bottle.bottles.leaving import GRACE_SECONDS
from e2e.lifecycle.world import HOST, SECRET, World, processes

pytestmark = pytest.mark.bottle


def test_a_request_leaves_with_the_real_secret_and_the_bottle_never_holds_it(world: World) -> None:
    world.bottle("env: {TOKEN: {secret: example}}\n")
    script = f'env; cat /proc/self/environ; curl -sS -H "authorization: Bearer $TOKEN" https://{HOST}/v1/x'
    done = world.run("sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("hello\n")
    assert world.upstream.seen == [("/v1/x", f"Bearer {SECRET}")]
    assert SECRET not in done.stdout + done.stderr
    for path in world.home.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_output_errors_and_exit_code_are_the_commands_own(world: World) -> None:
    done = world.cli(
        "run", "-q", "--bottle", "b", "--", "sh", "-c", "cat; echo out; echo err >&2; exit 37", stdin="in\n"
    )
    assert (done.stdout, done.stderr, done.returncode) == ("in\nout\n", "err\n", 37)


@pytest.mark.parametrize("program", ["nosuch-command", "./nosuch-command"])
def test_a_program_that_is_not_there_is_said_in_words_of_ours(world: World, program: str) -> None:
    done = world.cli("run", "--quiet", "--", program)
    assert (done.returncode, done.stderr) == (127, f"{program}: not found in the bottle\n")


def test_a_signal_is_told_as_128_and_its_number(world: World) -> None:
    assert world.run("sh", "-c", "kill -TERM $$").returncode == 128 + 15


def test_a_megabyte_passes_byte_for_byte_both_ways(world: World) -> None:
    text = "".join(f"{n:09d}\n" for n in range(100_000))
    done = world.cli("run", "-q", "--", "cat", stdin=text)
    assert done.stdout == text


def test_a_reader_that_goes_away_ends_the_command(world: World) -> None:
    """As in `yes | head -1`: the command gets EPIPE, and nobody hangs."""
    done = world.shell("run -q -- yes | head -1; echo ${PIPESTATUS[0]}")
    assert done.stdout.splitlines()[0] == "y"
    assert done.stdout.splitlines()[1] != "0"


def test_the_summary_has_five_lines_and_the_newest_checkpoint(world: World) -> None:
    done = world.run("sh", "-c", f"curl -sS https://{HOST}/a; curl -sS https://evil.example.org/; true")
    lines = done.stderr.splitlines()
    ours = lines[-5:]
    assert [line.split()[0] for line in ours] == ["allowed", "asked", "denied", "secrets", "record"], lines
    assert "api.example.com x1" in ours[0]
    assert ours[2].split() == ["denied", "1", "evil.example.org", "x1"]
    assert "example x1" in ours[3]
    checkpoint = ours[4].partition("sealed, ")[2]
    assert checkpoint.startswith("checkpoint ")
    done = world.cli("log", "verify", "--against", checkpoint)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_record_says_sealed_and_holds_the_whole_life(world: World) -> None:
    world.run("curl", "-sS", f"https://{HOST}/a")
    kinds = [record["kind"] for record in world.records()]
    assert kinds[0] == "start"
    assert kinds[-1] == "stop"
    assert {"intent", "pinned", "outcome"} <= set(kinds)
    start = world.records()[0]
    assert isinstance(start["detail"], dict)
    assert set(start["detail"]) >= {"plan", "policy", "harness"}
    done = world.verify()
    assert done.returncode == 0, done.stdout
    assert "sealed" in done.stdout


def test_a_timeout_ends_with_124(world: World) -> None:
    done = world.cli("run", "--timeout", "500ms", "--", "sleep", "60")
    assert done.returncode == 124
    assert "0.5 seconds" in done.stderr


def test_an_interrupt_ends_the_bottle_and_seals(world: World) -> None:
    child = world.begin("run", "--bottle", "b", "--", "sh", "-c", "echo up; sleep 60")
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    child.terminate()
    _, errors = child.communicate(timeout=30)
    assert child.returncode == 128 + 15
    assert "sealed" in errors
    assert "sealed" in world.verify().stdout


def test_start_headless_writes_the_result_and_streams_events(world: World) -> None:
    result = world.project.parent / "result.json"
    done = world.cli(
        "start", "command", "--bottle", "b", "--headless", "--json", "--result", str(result), "--", "sh", "-c",
        "echo '{\"a\": 1}'; echo plain; exit 3",
    )  # fmt: skip
    assert done.returncode == 3
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert [event["event"] for event in events] == ["start", "output", "output", "end"]
    assert events[1]["data"] == {"a": 1}
    assert events[2]["text"] == "plain"
    outcome = json.loads(result.read_text())
    assert outcome["exit_code"] == 3
    assert outcome["status"] == "failed"
    assert outcome["sealed"] is True
    assert outcome["checkpoint"].startswith("bot-bottle/run/")


def test_a_dry_run_shows_the_plan_and_does_nothing(world: World) -> None:
    before = sorted(path for path in world.home.rglob("*") if "log" not in path.parts)
    done = world.cli("start", "command", "--bottle", "b", "--dry-run", "--", "make", "test")
    assert done.returncode == 0, done.stderr
    assert "https://api.example.com:443" in done.stdout
    assert "with secret example" in done.stdout
    assert sorted(path for path in world.home.rglob("*") if "log" not in path.parts) == before
    assert world.runs() == []


def test_a_visible_secret_is_in_the_bottle_and_nowhere_else(world: World) -> None:
    world.bottle("env: {TOKEN: {secret: example, visible: true}}\n")
    done = world.run("sh", "-c", 'printf %s "$TOKEN"')
    assert done.stdout == SECRET
    for path in world.home.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


def test_a_secret_of_a_mapped_variable_is_injected_also_by_a_detached_bottle(world: World) -> None:
    """`[environment]` of secrets/config.toml: the keeper is handed that one variable, and nobody else is."""
    world.cli("secret", "remove", "example")
    (world.home / "secrets" / "config.toml").write_text('[environment]\nexample = "OTHER_TOKEN"\n')
    world.env["OTHER_TOKEN"] = SECRET
    done = world.run("sh", "-c", f"env | grep OTHER; curl -sS https://{HOST}/v1/x")
    assert (done.stdout, done.returncode) == ("hello\n", 0), done.stderr
    del world.upstream.seen[:]
    ask = f"curl -sS https://{HOST}/v1/y"
    done = world.cli("start", "command", "--detach", "--bottle", "b", "--label", "one", "--", "sh", "-c", ask)
    assert done.returncode == 0, done.stderr
    assert world.quiet() == []
    assert world.upstream.seen == [("/v1/y", f"Bearer {SECRET}")]


def test_a_kept_checkpoint_verifies_the_log_it_came_from(world: World) -> None:
    """The checkpoint of the result file, signature line and all, is what `log verify --against` takes."""
    result = world.project.parent / "result.json"
    words = ("start", "command", "--bottle", "b", "--headless", "--result", str(result), "--", "curl", "-sS")
    done = world.cli(*words, f"https://{HOST}/x")
    assert done.returncode == 0, done.stderr
    note = world.project.parent / "kept"
    text = json.loads(result.read_text())["checkpoint"]
    note.write_text(text)
    assert "\n\u2014 " in text
    done = world.cli("log", "verify", "--against", str(note))
    assert done.returncode == 0, done.stdout + done.stderr
    note.write_text(text.replace("\u2014", "-"))  # the control: a note whose signature line was lost
    assert world.cli("log", "verify", "--against", str(note)).returncode != 0


def test_sync_each_is_shown_and_kept(world: World) -> None:
    place = world.home / "bottles" / "b.md"
    place.write_text(place.read_text().replace("egress:\n", "egress:\n  sync: each\n"))
    shown = world.cli("policy", "show", "--bottle", "b")
    assert "sync: each record is on the disk before its request leaves" in shown.stdout, shown.stderr
    dry = world.cli("start", "command", "--bottle", "b", "--dry-run", "--", "true")
    assert "sync: each record is on the disk before its request leaves" in dry.stdout, dry.stderr
    done = world.run("curl", "-sS", f"https://{HOST}/x")
    assert (done.stdout, done.returncode) == ("hello\n", 0), done.stderr
    assert "sealed" in world.verify().stdout


TRAPS = "trap 'echo got; sleep 0.2; echo cleaned; exit 0' INT TERM HUP; echo up; while :; do sleep 0.05; done"
DEAF = "trap '' INT TERM HUP; echo up; while :; do sleep 1; done"


def begun(world: World, script: str, *words: str) -> "subprocess.Popen[str]":
    child = world.begin("run", *words, "--bottle", "b", "--", "sh", "-c", script)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_agent_hears_of_the_interrupt_and_may_clean_up(world: World, number: int) -> None:
    child = begun(world, TRAPS)
    child.send_signal(number)
    out, errors = child.communicate(timeout=30)
    assert out == "got\ncleaned\n"
    assert child.returncode == 128 + number
    assert "sealed" in errors


def test_an_agent_that_does_not_care_is_killed_after_the_grace_and_a_second_signal_does_not_wait(
    world: World,
) -> None:
    child = begun(world, DEAF)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    waited = time.monotonic() - began
    assert child.returncode == 130
    assert waited >= GRACE_SECONDS
    child = begun(world, DEAF)
    began = time.monotonic()
    child.send_signal(signal.SIGINT)
    time.sleep(0.3)
    child.send_signal(signal.SIGINT)
    child.communicate(timeout=30)
    assert child.returncode == 130
    assert time.monotonic() - began < GRACE_SECONDS


def test_a_timeout_gives_the_same_grace(world: World) -> None:
    child = begun(world, TRAPS, "--timeout", "1s")
    out, errors = child.communicate(timeout=30)
    assert out == "got\ncleaned\n"
    assert child.returncode == 124
    assert "1 second" in errors


def test_an_agent_at_a_terminal_hears_of_a_termination_of_its_launcher(world: World) -> None:
    done = world.cli("start", "command", "-d", "--label", "one", "--bottle", "b", "--", "sh", "-c", TRAPS)
    assert done.returncode == 0, done.stderr
    shown = world.home / "output" / "one.log"
    deadline = time.monotonic() + 20
    while b"up" not in shown.read_bytes() and time.monotonic() < deadline:
        time.sleep(0.02)
    launcher = next(pid for pid, line in processes(str(world.home.parent)) if "bottles.session" in line)
    os.kill(launcher, signal.SIGTERM)
    assert world.quiet() == []
    assert b"cleaned" in shown.read_bytes()
    assert json.loads((world.home / "output" / "one.json").read_text())["exit_code"] == 143
