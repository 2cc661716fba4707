"""A yes to `request_access` in each scope, from a plain program in a bottle: what goes through after it, and what not."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from e2e.agents.elsewhere import NAME, Elsewhere, Files
from e2e.agents.person import PROGRAM

pytestmark = [pytest.mark.bottle, pytest.mark.slow, pytest.mark.timeout(120)]
PLACE = f"http://{NAME}/data"
FETCH = "import sys, urllib.request, urllib.error\n" + (
    "def code(method, url):\n"
    "    try: return urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=20).status\n"
    "    except urllib.error.HTTPError as error: return error.code\n"
    "print([code(*one.split(' ')) for one in sys.argv[1:]])\n"
)


@dataclass
class Somebody:
    """A person with a home, a project, a bottle file that names nothing, and the world elsewhere."""

    folder: Path
    elsewhere: Elsewhere
    files: Files
    answers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.home, self.project = self.folder / "home", self.folder / "project"
        self.home.mkdir(mode=0o700)
        self.project.mkdir()
        (self.home / "bottles").mkdir()
        self.leaf = self.home / "bottles" / "lab.md"
        self.leaf.write_text("---\nversion: 1  # mine\negress: {routes: []}\n---\nA note.\n")
        self.env = {
            "HOME": str(self.folder),
            "BOT_BOTTLE_HOME": str(self.home),
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
        }

    def cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*PROGRAM, *words], env=self.env, cwd=self.project, capture_output=True, text=True, timeout=60,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command in a bottle, elsewhere."""
        argv = [*self.elsewhere.enter(self.project), *PROGRAM, "run", "-q", "--bottle", "lab", "--", *words]
        return subprocess.run(
            argv, env=self.env, capture_output=True, text=True, timeout=100, stdin=subprocess.DEVNULL
        )

    def answering(self, *words: str) -> threading.Thread:
        """Answers the first ask that waits."""

        def answer() -> None:
            for _ in range(200):
                asks = json.loads(self.cli("supervise", "--once", "--json").stdout)["asks"]
                if asks:
                    done = self.cli(words[0], asks[0]["id"], *words[1:])
                    self.answers.append(done.stdout + done.stderr)
                    return
                threading.Event().wait(0.05)

        thread = threading.Thread(target=answer)
        thread.start()
        return thread


@pytest.fixture
def somebody(tmp_path: Path) -> Iterator[Somebody]:
    elsewhere = Elsewhere(tmp_path)
    files = Files(elsewhere)
    yield Somebody(tmp_path, elsewhere, files)
    files.close()
    elsewhere.close()


def asked_and_tried(somebody: Somebody, *answer: str) -> tuple[str, list[int]]:
    """What `bottle-ask` printed first, and the statuses of four requests after the answer."""
    (somebody.project / "fetch.py").write_text(FETCH)
    tries = [f"GET {PLACE}/one", f"GET {PLACE}/two", f"POST {PLACE}/one", f"GET http://{NAME}/database"]
    script = f"bottle-ask request GET {PLACE} 'the data' --wait; python3 fetch.py \"$@\""
    answering = somebody.answering(*answer)
    done = somebody.run("sh", "-c", script, "sh", *tries)
    answering.join()
    lines = done.stdout.splitlines()
    assert lines, done.stderr + str(somebody.answers)
    return lines[0], json.loads(lines[-1])


@pytest.mark.parametrize("scope", ["run", "bottle", "project", "always"])
def test_a_yes_opens_what_was_asked_for_and_nothing_beside_it(somebody: Somebody, scope: str) -> None:
    more = ("--yes",) if scope == "always" else ()
    said, codes = asked_and_tried(somebody, "approve", "--scope", scope, *more)
    assert said == "allowed", somebody.answers
    assert codes == [200, 200, 403, 403] and somebody.files.seen == ["/data/one", "/data/two"]
    text = somebody.leaf.read_text()
    assert ("# mine" in text and "A note." in text) and (NAME in text) == (scope == "always")
    again = somebody.run("python3", "fetch.py", f"GET {PLACE}/three")
    assert json.loads(again.stdout) == [200 if scope in ("bottle", "project", "always") else 403], again.stderr


def test_a_yes_for_once_lets_one_request_go(somebody: Somebody) -> None:
    said, codes = asked_and_tried(somebody, "approve", "--scope", "once")
    assert said == "allowed", somebody.answers
    assert codes[0] == 200 and codes[1:] == [403, 403, 403] and somebody.files.seen == ["/data/one"]


def test_a_no_opens_nothing(somebody: Somebody) -> None:
    said, codes = asked_and_tried(somebody, "deny", "--reason", "no data today")
    assert said == "denied" and codes == [403] * 4 and somebody.files.seen == []


def test_silence_is_a_no(somebody: Somebody) -> None:
    somebody.leaf.write_text("---\nversion: 1\negress: {ask_wait: 1s, routes: []}\n---\n")
    done = somebody.run("sh", "-c", f"bottle-ask request GET {PLACE} why --wait; echo status $?")
    lines = done.stdout.splitlines()
    assert lines[0] == "expired" and lines[-1] == "status 1", done.stdout + done.stderr
