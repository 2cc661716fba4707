"""The same life as an ordinary user, without root, daemon or login: run, exec, freeze, stop; and D19 between two
processes of one user, with the launcher (which holds no secret and stays readable) as the control.
"""

import contextlib
import os
import pwd
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.lifecycle.test_run import TRAPS
from e2e.lifecycle.world import HOST, PROGRAM, SECRET, Counting, World, serving

pytestmark = pytest.mark.bottle
USER = os.environ.get("BOT_BOTTLE_TEST_USER", "bbtest")


def account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(["useradd", "--create-home", USER], check=True)
        return pwd.getpwnam(USER)


def closed(path: str) -> str:
    """The highest directory above `path` that other users cannot enter, "" where there is none."""
    parts = Path(path).parts
    for count in range(1, len(parts) + 1):
        above = os.path.join(*parts[:count])
        if not os.stat(above).st_mode & 0o001:
            return above
    return ""


def opened() -> str:
    """Shell lines for a mount namespace of our own in which the user can read interpreter and checkout."""
    wanted = [os.path.realpath(sys.base_prefix), sys.prefix, str(Path(__file__).resolve().parents[3])]
    lines = ["set -e", "mount --make-rprivate /", "here=$(mktemp -d)", "mount -t tmpfs none $here", "chmod 755 $here"]
    hidden = [(path, closed(path)) for path in wanted]
    for number, (path, top) in enumerate(hidden):
        if top:
            lines += [f"mkdir $here/{number}", f"mount --bind {shlex.quote(path)} $here/{number}"]
    for top in sorted({top for _, top in hidden if top}):
        lines.append(f"mount -t tmpfs -o mode=755 none {shlex.quote(top)}")
    for number, (path, top) in enumerate(hidden):
        if top:
            lines += [f"mkdir -p {shlex.quote(path)}", f"mount --bind $here/{number} {shlex.quote(path)}"]
    return "\n".join(lines) + "\n"


class Ordinary(World):
    """A world whose programs run as the user; files are made by root and given away."""

    def cli(self, *words: str, stdin: str = "", timeout: float = 90) -> subprocess.CompletedProcess[str]:
        return self.as_user(shlex.join([*PROGRAM, *words]), stdin, timeout)

    def as_user(self, line: str, stdin: str = "", timeout: float = 90) -> subprocess.CompletedProcess[str]:
        self.give()
        env = " ".join(f"{name}={shlex.quote(value)}" for name, value in self.env.items())
        inner = f"cd {shlex.quote(str(self.project))} && exec env -i {env} {line}"
        become = f"exec setpriv --reuid {USER} --regid {USER} --init-groups /bin/sh -c {shlex.quote(inner)}"
        argv = ["unshare", "-m", "/bin/bash", "-c", opened() + become]
        if os.geteuid() != 0:
            argv = ["/bin/sh", "-c", inner]
        return subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False)

    def give(self) -> None:
        if os.geteuid() == 0:
            who = account()
            for path in (self.home.parent, *self.home.parent.rglob("*")):
                with contextlib.suppress(FileNotFoundError):
                    if os.lstat(path).st_uid == 0:
                        os.chown(path, who.pw_uid, who.pw_gid, follow_symlinks=False)


@pytest.fixture
def theirs(tmp_path: Path) -> Iterator[Ordinary]:
    top = Path(tempfile.mkdtemp(dir="/tmp"))
    top.chmod(0o755)
    home, project = top / "home", top / "project"
    home.mkdir(mode=0o700)
    project.mkdir()
    (project / "a.txt").write_text("a\n")
    env = {"PATH": os.environ["PATH"], "HOME": str(top), "LANG": "C.UTF-8", "BOT_BOTTLE_HOME": str(home)}
    with serving(top) as server:
        assert isinstance(server, Counting)
        one = Ordinary(home, project, server, env)
        one.bottle()
        one.secret()
        try:
            yield one
        finally:
            left = one.quiet()
            one.sweep()
            shutil.rmtree(top, ignore_errors=True)
        assert left == []


def test_a_whole_life_as_an_ordinary_user(theirs: Ordinary) -> None:
    done = theirs.run("sh", "-c", f"id -u; cat a.txt; curl -sS https://{HOST}/x; echo new > b.txt; exit 6")
    assert done.returncode == 6, done.stderr
    assert done.stdout == f"{account().pw_uid if os.geteuid() == 0 else os.geteuid()}\na\nhello\n"
    assert theirs.upstream.seen == [("/x", f"Bearer {SECRET}")]
    assert not (theirs.project / "b.txt").exists()
    done = theirs.cli("start", "command", "-d", "--bottle", "b", "--label", "one", "--", "sleep", "90")
    assert done.returncode == 0, done.stderr
    assert theirs.cli("exec", "one", "--", "curl", "-sS", f"https://{HOST}/y").stdout == "hello\n"
    assert theirs.cli("freeze", "one").returncode == 0
    assert theirs.cli("thaw", "one").returncode == 0
    assert theirs.cli("stop", "one").returncode == 0
    done = theirs.verify()
    assert done.returncode == 0
    assert "open" not in done.stdout


def test_d19_the_same_user_reads_the_launcher_but_neither_keeper_nor_gateway(theirs: Ordinary) -> None:
    theirs.cli("start", "command", "-d", "--bottle", "b", "--label", "one", "--", "sleep", "90")
    look = (
        "import os\n"
        "for pid in filter(str.isdigit, os.listdir('/proc')):\n"
        "    try:\n"
        "        line = open(f'/proc/{pid}/cmdline').read()\n"
        "        kind = (line.split('\\0') + [''] * 4)[3]\n"
        "        if kind.startswith('bot_bottle.'):\n"
        "            open(f'/proc/{pid}/mem', 'rb').close()\n"
        "            print(kind, len(open(f'/proc/{pid}/environ').read()) > 0)\n"
        "    except PermissionError:\n"
        "        print(kind, False)\n"
        "    except OSError:\n"
        "        pass\n"
    )
    done = theirs.as_user(shlex.join([sys.executable, "-I", "-c", look]))
    seen = {tuple(line.split()) for line in done.stdout.splitlines() if "bot_bottle" in line}
    assert ("bot_bottle.keeper.main", "False") in seen, done.stdout
    assert ("bot_bottle.egress.main", "False") in seen
    assert ("bot_bottle.bottles.session", "True") in seen
    assert theirs.cli("stop", "one").returncode == 0


def test_a_timeout_reaches_the_agent_and_a_terminal_is_its_own_for_an_ordinary_user(theirs: Ordinary) -> None:
    done = theirs.cli("run", "--timeout", "1s", "--bottle", "b", "--", "sh", "-c", TRAPS)
    assert (done.stdout, done.returncode) == ("up\ngot\ncleaned\n", 124), done.stderr
    script = (
        "exec 3<>/dev/tty && python3 -c 'import os; print(os.tcgetpgrp(3) == os.getsid(0) == os.getppid())'; true"
    )
    done = theirs.cli("start", "command", "-d", "--label", "two", "--bottle", "b", "--", "sh", "-c", script)
    assert done.returncode == 0, done.stderr
    assert theirs.quiet() == []
    assert (theirs.home / "output" / "two.log").read_bytes() == b"True\r\n"
