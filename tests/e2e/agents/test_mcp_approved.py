"""Acceptance 2: real agents are denied, ask for access, a person says yes, the same request then goes through.

Claude Code and Codex by MCP tools; pi and mini-swe-agent by the denial's own text and the command in the bottle.
"""

import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Error as PlaywrightError
from playwright.sync_api import Page

from bot_bottle.audit.reader import LogReader
from e2e.agents.elsewhere import NAME, Elsewhere, Files
from e2e.agents.person import Person
from records_stage import chromium

pytestmark = [pytest.mark.bottle, pytest.mark.agents, pytest.mark.slow, pytest.mark.timeout(300)]
PLACE = f"http://{NAME}/data/"
FETCH = f"curl -sS -m 20 -o {{0}}.txt -w '%{{{{http_code}}}}' {PLACE}one.txt > {{0}}.code"
FIRST, SECOND = (FETCH.format(name) for name in ("first", "second"))
REASON = 'Needs the data; say "yes" <b>now</b>'


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Elsewhere]:
    one = Elsewhere(tmp_path)
    yield one
    one.close()


@pytest.fixture
def files(elsewhere: Elsewhere) -> Iterator[Files]:
    one = Files(elsewhere)
    yield one
    one.close()


class Approver(threading.Thread):
    """A person at the command line, who answers the first ask that waits. words: of the command, without the id."""

    def __init__(self, somebody: Person, *words: str) -> None:
        super().__init__(daemon=True)
        self.somebody = somebody
        self.words = words
        self.ask: dict[str, object] = {}
        self.said = ""
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.2):
            asks = self._waiting()
            if asks:
                self.ask = asks[0]
                done = self._cli(self.words[0], str(self.ask["id"]), *self.words[1:])
                self.said = done.stdout + done.stderr
                return

    def _waiting(self) -> list[dict[str, object]]:
        done = self._cli("supervise", "--once", "--json")
        return json.loads(done.stdout)["asks"] if done.returncode == 0 else []

    def _cli(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv, env = self.somebody.command(*words), self.somebody.env
        return subprocess.run(argv, env=env, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL)


class WebApprover(Approver):
    """The same person at the dashboard: `serve`, its local link, the inbox in a real browser."""

    def __init__(self, somebody: Person, allow: bool) -> None:
        super().__init__(somebody)
        self.allow = allow
        argv = somebody.command("serve", "--json", "--port", "0")
        self.serve = subprocess.Popen(
            argv, env=somebody.env, stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL
        )
        assert self.serve.stdout is not None
        self.link = str(json.loads(self.serve.stdout.readline())["url"])

    def run(self) -> None:
        with chromium() as browser:
            page = browser.new_page()
            page.set_default_timeout(120_000)
            page.goto(self.link)
            page.goto(f"{self.link.partition('/?')[0]}/inbox")
            try:
                self._answer(page)
            except PlaywrightError as error:
                self.said = str(error)

    def _answer(self, page: Page) -> None:
        page.locator("#sentence", has_text=NAME).wait_for()  # it comes by itself
        self.ask = self._waiting()[0]
        if self.allow:
            page.locator("input[name=scope][value=run]").check()
        page.locator("html[data-seen]").wait_for(state="attached")  # before, no answer counts
        page.locator(f"button[name=answer][value={'allow' if self.allow else 'deny'}]").click()
        page.locator("#sentence", has_text=NAME).wait_for(state="detached")

    def close(self) -> None:
        self.serve.terminate()
        self.serve.wait(30)
        assert self.serve.stdout is not None
        self.serve.stdout.close()


def by_mcp() -> list[dict[str, object]]:
    return [
        {"do": "bash", "command": FIRST},
        {"mcp": "request_access", "args": {"url": PLACE, "methods": ["GET"], "justification": REASON}},
        {"mcp": "check_request", "args": {"wait": 60}},
        {"do": "bash", "command": SECOND},
        {"mcp": "report_done", "args": {"status": "done", "summary": "Fetched the data."}},
        {"text": "Fetched."},
    ]


def by_command() -> list[dict[str, object]]:
    ask = f"bottle-ask request GET {PLACE} '{REASON}' --wait > asked.txt; echo $? > asked.code"
    return [
        {"do": "bash", "command": FIRST},
        {"do": "bash", "command": ask},
        {"do": "bash", "command": SECOND},
        {"do": "bash", "command": "bottle-ask done 'Fetched the data.'"},
        {"text": "Fetched."},
    ]


def start(somebody: Person, elsewhere: Elsewhere) -> subprocess.CompletedProcess[str]:
    """As `Person.start`, in the namespace where the name leads somewhere; the model listens there, too."""
    model = somebody.model
    model.listener = elsewhere.listen("127.0.0.1", model.port)
    threading.Thread(target=model._accept, daemon=True).start()
    argv = somebody.command(
        "start", somebody.name, "--bottle", "lab", "--headless", "--apply", "--prompt", "Fetch the data"
    )
    return subprocess.run(
        [*elsewhere.enter(somebody.project), *argv], env=somebody.env, capture_output=True, text=True, timeout=200,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def records(somebody: Person) -> list[dict[str, object]]:
    """All records of the one run, in order."""
    (run,) = (somebody.home / "log" / "runs").iterdir()
    return [json.loads(line) for _, batch in LogReader(str(run)).batches() for line in batch]


@pytest.mark.parametrize("name", ["claude", "codex", "pi", "mini"])
def test_denied_asked_approved_retried_succeeded(
    person: Callable[..., Person], elsewhere: Elsewhere, files: Files, name: str
) -> None:
    somebody = person(name, by_mcp() if name in ("claude", "codex") else by_command())
    approver = Approver(somebody, "approve", "--scope", "run")
    approver.start()
    done = start(somebody, elsewhere)
    approver.stop.set()
    approver.join()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr + approver.said
    project = somebody.project
    assert (project / "first.code").read_text() == "403", "denied"
    denial = json.loads((project / "first.txt").read_text())
    assert "request_access" in denial["how"] and f"bottle-ask request GET {PLACE}one.txt" in denial["how"]
    assert approver.ask["kind"] == "access" and approver.ask["says"] == REASON, "asked, in its own words as data"
    assert (project / "second.code").read_text() == "200", (done.stdout[-3000:], approver.said)
    assert (project / "second.txt").read_text() == "the file\n" and files.seen == ["/data/one.txt"]
    if name in ("pi", "mini"):
        assert (project / "asked.code").read_text() == "0\n"
        assert (project / "asked.txt").read_text().startswith("allowed\n")
    kinds = [str(one["kind"]) for one in records(somebody)]
    first = {kind: kinds.index(kind) for kind in ("denied", "report", "ask", "answer", "settled", "intent", "stop")}
    assert first["denied"] < first["ask"] < first["answer"] < first["stop"]
    reports = [one for one in records(somebody) if one["kind"] == "report"]
    assert reports[-1]["method"] == "report_done"
    assert reports[-1]["detail"] == {"status": "done", "summary": "Fetched the data."}
    sent = [one for one in records(somebody) if one["kind"] == "intent" and one["target"] == f"http://{NAME}:80"]
    assert len(sent) == 1 and sent[0]["grant"] and sent[0]["ask"] == approver.ask["id"] and sent[0]["approver"]


@pytest.mark.parametrize("name", ["claude", "codex"])
@pytest.mark.parametrize("allow", [True, False])
def test_answered_in_the_web(
    person: Callable[..., Person], elsewhere: Elsewhere, files: Files, name: str, allow: bool
) -> None:
    """Acceptance 2: denied, request_access, answered in the web, retried: through, or still denied."""
    somebody = person(name, by_mcp())
    approver = WebApprover(somebody, allow)
    try:
        approver.start()
        done = start(somebody, elsewhere)
        approver.stop.set()
        approver.join()
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr + approver.said
        project = somebody.project
        assert (project / "first.code").read_text() == "403"
        assert approver.ask["says"] == REASON and approver.ask["kind"] == "access"
        assert (project / "second.code").read_text() == ("200" if allow else "403"), approver.said
        assert files.seen == (["/data/one.txt"] if allow else [])
        (answer,) = [one for one in records(somebody) if one["kind"] == "answer"]
        assert answer["approver"] and "web" in json.dumps(answer)
    finally:
        approver.close()


@pytest.mark.parametrize("name", ["claude", "codex"])
def test_a_no_is_a_no(person: Callable[..., Person], elsewhere: Elsewhere, files: Files, name: str) -> None:
    somebody = person(name, by_mcp())
    approver = Approver(somebody, "deny")
    approver.start()
    done = start(somebody, elsewhere)
    approver.stop.set()
    approver.join()
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr + approver.said
    assert (somebody.project / "second.code").read_text() == "403" and files.seen == []
    assert not [
        one for one in records(somebody) if one.get("target") == f"http://{NAME}:80" and one["kind"] == "intent"
    ]
