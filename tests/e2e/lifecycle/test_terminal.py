"""D15 with a real terminal: a pty of ours outside, the agent's pty inside, the filter between them."""

import os
import re
import time

import pexpect
import pytest

from e2e.lifecycle.world import PROGRAM, World

pytestmark = pytest.mark.bottle
PAINT = "printf '\\033[31mred\\033[0m'"


def terminal(world: World, *words: str, rows: int = 24, columns: int = 80) -> "pexpect.spawn[bytes]":
    env = {**world.env, "TERM": "xterm-256color"}
    child = pexpect.spawn(
        PROGRAM[0], [*PROGRAM[1:], *words], cwd=str(world.project), env=env, dimensions=(rows, columns), timeout=30
    )
    child.delaybeforesend = None
    return child


def ended(child: "pexpect.spawn[bytes]") -> tuple[bytes, int]:
    rest = child.read()
    child.close()
    return rest, child.exitstatus if child.exitstatus is not None else -1


def test_colours_size_resize_and_exit_code(world: World) -> None:
    child = terminal(world, "start", "command", "--discard", "--", "bash", "--norc", rows=30, columns=100)
    child.expect(rb"\$ ")
    child.sendline(PAINT.encode())
    child.expect(rb"\x1b\[31mred\x1b\[0m")
    child.sendline(b"stty size; tty; echo $TERM")
    child.expect(rb"30 100\r\n/dev/\S+\r\nxterm-256color")
    child.setwinsize(40, 120)
    child.sendline(b"sleep 0.3; stty size")
    child.expect(rb"40 120")
    child.sendline(b"exit 7")
    rest, status = ended(child)
    assert status == 7
    assert b"record" in rest


def test_a_closed_window_does_not_cost_the_agents_work(world: World) -> None:
    """The hang-up ends the bottle; with nobody to ask, its changes wait under the label."""
    child = terminal(world, "start", "command", "--label", "one", "--", "bash", "--norc")
    child.expect(rb"\$ ")
    child.sendline(b"echo work > made.txt; echo wri''tten")
    child.expect(rb"written")
    os.close(child.child_fd)
    child.closed = True
    assert world.quiet() == []
    assert world.cli("cleanup").returncode == 0
    shown = world.cli("changes", "show", "one")
    assert "A made.txt" in shown.stdout and "D " not in shown.stdout, shown
    assert world.cli("discard", "one").returncode == 0


def test_ctrl_c_is_the_agents(world: World) -> None:
    child = terminal(
        world,
        "start",
        "command",
        "--discard",
        "--",
        "sh",
        "-c",
        "trap 'echo caught' INT; sh -c 'echo up; exec sleep 60'; echo after; exit 4",
    )
    child.expect(rb"up")
    child.sendintr()
    child.expect(rb"caught")
    child.expect(rb"after")
    assert ended(child)[1] == 4


def test_d15_what_would_drive_the_persons_terminal_never_reaches_it(world: World) -> None:
    """OSC 52, titles, device control, report requests, and a summary faked after the agent's end."""
    script = r"""
printf '\033]52;c;c3RvbGVu\007\033]0;owned\007\033P+q544e\033\\\033[21t\033[c\033[>q\005'
printf 'allowed 0\r\ndenied 0\r\n\033[?1049h\033[?25l\033]8;;file:///etc/passwd\007x\033[?1000h'
"""
    (world.project / "evil.sh").write_text(script)
    child = terminal(world, "start", "command", "--discard", "--", "sh", "evil.sh")
    seen, status = ended(child)
    assert status == 0
    for forbidden in (b"\x1b]52", b"\x1b]0;", b"\x1bP", b"[21t", b"\x1b[c", b"\x1b[>q", b"\x05", b"file:///"):
        assert forbidden not in seen, forbidden
    reset = seen.rindex(b"\x1b[?1000l")
    assert reset < seen.index(b"record    ")
    assert seen.index(b"\x1b[?1049h") < seen.rindex(b"\x1b[?1049l")
    assert b"\x1b[?25h" in seen


@pytest.mark.parametrize("mode", [["--headless"], ["--headless", "--json"]])
def test_d15_a_headless_run_at_a_terminal_is_filtered_as_well(world: World, mode: list[str]) -> None:
    script = r"printf '\033]52;c;c3RvbGVu\007\033]0;owned\007\302\2332Jshown\n'"
    seen, status = ended(terminal(world, "start", "command", *mode, "--discard", "--", "sh", "-c", script))
    assert status == 0 and b"shown" in seen
    assert b"\x1b]52" not in seen and b"\x1b]0;" not in seen and b"\xc2\x9b" not in seen


def test_d15_control_the_same_bytes_reach_a_terminal_without_the_relay(world: World) -> None:
    """The positive control: what the filter takes out is really sent by the agent and would arrive."""
    child = pexpect.spawn("sh", ["-c", r"printf '\033]52;c;c3RvbGVu\007\033]0;owned\007'"], timeout=10)
    seen = child.read()
    child.close()
    assert b"\x1b]52;c;c3RvbGVu\x07" in seen


def test_d15_input_that_waits_is_thrown_away_at_the_end(world: World) -> None:
    """What was typed or answered into the agent's terminal is not typed into the shell afterwards."""
    line = " ".join(PROGRAM) + " start command --discard -- sh -c 'echo up; sleep 1'; echo done; cat"
    child = pexpect.spawn(
        "bash", ["-c", line], cwd=str(world.project), env={**world.env, "TERM": "xterm"}, timeout=30
    )
    child.delaybeforesend = None
    child.expect(rb"up")
    child.send(b"rm -rf ~\r")
    child.expect(rb"done")
    time.sleep(0.3)
    child.sendeof()
    rest = child.read()
    child.close()
    assert b"rm -rf" not in rest


def test_d15_a_cursor_request_is_asked_by_us_and_answered_to_the_agent(world: World) -> None:
    """Codex waits for the answer; only digits can come back, and our own question fetched them."""
    script = "stty raw -echo; printf '\\033[6n'; dd bs=1 count=6 2>/dev/null | od -An -c"
    child = terminal(world, "start", "command", "--discard", "--", "sh", "-c", script)
    child.expect(rb"\x1b\[6n")
    child.send(b"\x1b[5;7R")
    child.expect(rb"033   \[   5   ;   7   R")
    assert ended(child)[1] == 0


def test_attach_shows_the_past_and_takes_keys(world: World) -> None:
    done = world.cli("start", "command", "-d", "--label", "one", "--discard", "--", "bash", "--norc")
    assert done.returncode == 0, done.stderr
    child = terminal(world, "attach", "one")
    child.expect(rb"\$ ")
    child.sendline(b"echo $((6*7)); printf '\\033]0;owned\\007'")
    child.expect(rb"42")
    child.send(b"\x10\x11")
    rest, status = ended(child)
    assert status == 0
    assert b"goes on" in rest
    assert b"\x1b]0;" not in rest
    again = terminal(world, "attach", "one")
    again.expect(rb"42")
    again.sendline(b"exit 3")
    rest, status = ended(again)
    assert status == 3, rest
    assert re.search(rb"record +\S+", rest)


def test_the_terminal_is_given_back_when_the_bottle_is_stopped(world: World) -> None:
    child = terminal(
        world, "start", "command", "--label", "one", "--discard", "--", "sh", "-c", "printf '\\033[?1049h'; sleep 60"
    )
    child.expect(rb"1049h")
    assert world.cli("stop", "one").returncode == 0
    rest, status = ended(child)
    assert status == 143
    assert b"\x1b[?1049l" in rest
    assert b"Stopped" in rest


def test_a_passphrase_is_asked_by_the_keeper_and_echoed_nowhere(world: World) -> None:
    """The launcher lends its terminal and never sees the phrase; without a terminal it is one sentence."""
    phrase = b"correct horse battery staple"
    (world.home / "secrets" / "secrets.enc").unlink()
    (world.home / "secrets" / "config.toml").write_text('key = "passphrase"\n')
    child = terminal(world, "secret", "set", "example")
    while (index := child.expect([rb"Passphrase[^:]*: $", rb": $", pexpect.EOF])) < 2:
        child.sendline((phrase, b"sk-real-lifecycle-secret-0123456789")[index])
    child.close()
    child = terminal(world, "run", "-q", "--bottle", "b", "--", "sh", "-c", "echo up")
    child.expect(rb"Passphrase of the bot-bottle secrets: ")
    child.sendline(phrase)
    seen, status = ended(child)
    assert (status, b"up" in seen) == (0, True), seen
    assert b"horse" not in seen
    done = world.run("true")
    assert done.returncode == 3
    assert "passphrase" in done.stderr


def test_an_interactive_dash_has_job_control_and_survives_ctrl_c(world: World) -> None:
    """The agent leads a session of its own inside: dash saves and restores the terminal's process group by number."""
    child = terminal(world, "start", "command", "--discard", "--", "dash", "-i")
    child.expect(rb"[$#] ")
    child.sendline(b"cut -d' ' -f1,5,6,8 /proc/$$/stat; echo first")
    child.expect(rb" ?(\d+) (\d+) (\d+) (\d+)\r\nfirst")
    assert child.match is not None
    pid, group, session, _ = child.match.groups()
    assert int(pid) > 0
    assert pid == group == session
    child.sendline(b"sleep 300")
    child.expect(rb"sleep 300")
    time.sleep(0.5)
    child.sendintr()
    child.sendline(b"echo still-$((40+2))")
    child.expect(rb"still-42")
    child.sendline(b"sleep 0.2 & jobs; wait; echo waited")
    child.expect(rb"Running")
    child.expect(rb"waited\r\n")
    child.sendline(b"sleep 300")
    time.sleep(0.5)
    child.send(b"\x1a")
    child.expect(rb"Stopped|Suspended")
    child.sendline(b"fg")
    child.expect(rb"sleep 300\r\n.*sleep 300")
    child.sendintr()
    child.sendline(b"exit 5")
    rest, status = ended(child)
    assert b"tty" not in rest
    assert status == 5, rest
