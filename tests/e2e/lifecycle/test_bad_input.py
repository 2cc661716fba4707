"""Bad input: one sentence with the cause and the next step, a documented exit code, nothing changed."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from e2e.lifecycle.world import HOST, World

pytestmark = pytest.mark.bottle


def picture(world: World) -> dict[str, bytes]:
    """Every file of project and home but the logs, whose record of a refused start is wanted."""
    out: dict[str, bytes] = {}
    for top in (world.project, world.home):
        for path in sorted(top.rglob("*")):
            if path.is_file() and "log" not in path.relative_to(top).parts and path.name != "log.pem":
                out[str(path)] = path.read_bytes()
    return out


def refused(world: World, code: int, *words: str, says: str = "", hint: str = "") -> str:
    """The command fails as documented and changes nothing; what it said."""
    before = picture(world)
    done = world.cli(*words)
    assert done.returncode == code, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) <= 4, done.stderr
    assert says in done.stderr, done.stderr
    assert hint in done.stderr, done.stderr
    after = picture(world)
    assert {name: text for name, text in after.items() if "fingerprint" not in name} == {
        name: text for name, text in before.items() if "fingerprint" not in name
    }
    assert world.quiet() == []
    return done.stderr


RUN = ("run", "--bottle", "b", "--")


def test_an_unknown_key(world: World) -> None:
    world.bottle("egresss: {}\n")
    refused(world, 3, *RUN, "true", says="egresss", hint="egress")


def test_a_wrong_type(world: World) -> None:
    world.bottle("limits: {pids: many}\n")
    refused(world, 3, *RUN, "true", says="b.md:3")


def test_a_mount_that_is_not_there(world: World) -> None:
    world.bottle("workspace: {mounts: [{source: /srv/gone-for-good}]}\n")
    refused(world, 3, *RUN, "true", says="/srv/gone-for-good, which is not there", hint="Create it")
    assert world.runs() == []


def test_a_missing_secret(world: World) -> None:
    world.cli("secret", "remove", "example")
    refused(world, 3, *RUN, "true", says="example is not set", hint="bot-bottle secret set example")
    assert world.runs() == []


def test_an_unknown_harness(world: World) -> None:
    refused(world, 2, "start", "claud", "--headless", "--prompt", "x", says="claud", hint="claude")


def test_an_unknown_bottle(world: World) -> None:
    refused(world, 2, "run", "--bottle", "nothere", "--", "true", says="nothere")


def test_an_unknown_verb(world: World) -> None:
    refused(world, 2, "strat", "claude", says="strat")


def test_no_command(world: World) -> None:
    refused(world, 2, "run", "--")


def test_a_bad_label(world: World) -> None:
    refused(world, 2, "run", "--label", "../x", "--", "true", says="../x")


def test_a_bad_duration(world: World) -> None:
    refused(world, 2, "run", "--timeout", "soon", "--", "true", says="soon", hint="5m")


def test_a_busy_label(world: World) -> None:
    world.cli("start", "command", "-d", "--label", "one", "--bottle", "b", "--", "sleep", "60")
    before = world.leases()
    done = world.cli("run", "--label", "one", "--bottle", "b", "--", "true")
    assert done.returncode == 6
    assert "one" in done.stderr
    assert "bot-bottle stop one" in done.stderr
    assert world.leases() == before
    assert world.cli("stop", "one").returncode == 0


def test_nothing_runs_under_this_label(world: World) -> None:
    for verb in ("info", "stop", "freeze", "thaw"):
        refused(world, 2, verb, "nobody", says="nobody")
    refused(world, 2, "exec", "nobody", "--", "true", says="nobody")


def test_the_home_as_workspace(world: World) -> None:
    refused(world, 3, "run", "--workspace", str(world.home.parent), "--", "true", says="home")


def test_a_dead_upstream_is_a_502_with_the_reason(world: World) -> None:
    world.upstream.server_close()
    done = world.run("curl", "-sS", "-w", "%{http_code}", f"https://{HOST}/")
    assert done.stdout.endswith("502")
    assert "upstream." in done.stdout
    assert done.returncode == 0
    assert "sealed" in world.verify().stdout


def test_a_bad_certificate_is_a_502_with_the_reason(world: World) -> None:
    path = world.home / "bottles" / "b.md"
    text = path.read_text()
    start = text.index(", tls:")
    path.write_text(text[:start] + text[text.index("}", start) + 1 :])
    done = world.run("curl", "-sS", "-w", "%{http_code}", f"https://{HOST}/")
    assert done.stdout.endswith("502"), done.stdout
    assert "certificate" in done.stdout
    assert world.upstream.seen == []


@pytest.fixture
def small_disk(tmp_path: Path) -> "Path":
    """A small file system."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "small", str(place)], check=True)
    yield place  # pyright: ignore[reportReturnType]
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system needs root; CI is root")
def test_a_full_disk(world: World, small_disk: Path) -> None:
    world.env["BOT_BOTTLE_HOME"] = str(small_disk / "home")
    old, world.home = world.home, small_disk / "home"
    world.home.mkdir(mode=0o700)
    world.bottle()
    world.secret()
    filler = small_disk / "filler"
    with filler.open("wb") as file, pytest.raises(OSError):
        while True:
            file.write(bytes(65536))
            file.flush()
    done = world.run("true")
    assert done.returncode in (4, 7), done.stderr
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr
    filler.unlink()
    assert world.run("true").returncode == 0
    world.cli("cleanup")
    assert "bad" not in world.verify().stdout
    world.home = old


@pytest.mark.skipif(os.geteuid() != 0, reason="a small file system needs root; CI is root")
def test_d17_b78_a_disk_that_fills_up_while_the_agent_talks_sends_nothing_unlogged(
    world: World, small_disk: Path
) -> None:
    """No record, no request: the bottle ends with a sentence, and every request that left has its intent."""
    world.env["BOT_BOTTLE_HOME"] = str(small_disk / "home")
    world.home = small_disk / "home"
    world.home.mkdir(mode=0o700)
    world.bottle()
    world.secret()
    script = f"while :; do curl -s -m 5 https://{HOST}/chatter/$(head -c 600 /dev/zero | tr '\\0' a) >/dev/null; done"
    child = world.begin("run", "--no-workspace", "--bottle", "b", "--label", "one", "--", "sh", "-c", script)
    deadline = time.monotonic() + 30
    while len(world.upstream.seen) < 5 and time.monotonic() < deadline:
        time.sleep(0.02)
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file, pytest.raises(OSError):
        while child.poll() is None:
            try:
                file.write(bytes(4096))
            except OSError:
                if child.poll() is not None or time.monotonic() > deadline + 30:
                    raise
        raise OSError
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 7, errors
    assert "The log cannot be written" in errors
    assert world.quiet() == []
    sent = len(world.upstream.seen)
    filler.unlink()
    assert world.cli("cleanup").returncode == 0
    assert world.intents() >= sent
    assert world.run("curl", "-sS", f"https://{HOST}/after").stdout == "hello\n"
    assert world.verify().returncode == 0


def test_a_read_only_log_directory(world: World) -> None:
    (world.home / "log").mkdir(exist_ok=True)
    (world.home / "log" / "runs").write_text("not a directory")
    done = world.run("true")
    assert done.returncode in (4, 7), (done.returncode, done.stderr)
    assert len(done.stderr.splitlines()) <= 3, done.stderr
    assert "Traceback" not in done.stderr
    (world.home / "log" / "runs").unlink()
    assert world.run("true").returncode == 0


def test_processes_that_were_started_ahead_of_a_wrong_command_end(world: World) -> None:
    """Keeper and gateway come up while the command line is read; one that is wrong leaves neither (see `world`)."""
    for words in (["run", "--nonsense", "--", "true"], ["run"], ["start"], ["start", "command", "--bottle", "none"]):
        assert world.cli(*words).returncode in (2, 3)
    assert world.quiet() == []
    assert world.runs() == []
