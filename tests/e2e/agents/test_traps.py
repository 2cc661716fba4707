"""S10, B37, B66, B70: a booby-trapped repository executes nothing and redirects nothing, where the file promises it."""

import json
from collections.abc import Callable

import pytest

from bot_bottle.harnesses import load
from e2e.agents.person import Person
from e2e.agents.screen import Screen
from e2e.agents.traps import plant

pytestmark = [pytest.mark.bottle, pytest.mark.agents, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", ["claude", "codex", "mini", "pi"])
def test_s10_b37_b66_b70_a_trapped_repository_runs_nothing(person: Callable[..., Person], name: str) -> None:
    assert all(guard.promised for guard in load.shipped()[name].guards)
    somebody = person(name)
    plant(somebody.project)
    done = somebody.start("--apply", prompt="Create hello.txt")
    assert done.returncode == 0, done.stderr
    assert (somebody.project / "hello.txt").exists(), "the model was reached at the vendor's name all the same"
    assert sorted(path.name for path in somebody.project.glob("PWNED*")) == []
    assert "evil.example" not in done.stderr, "B37: the redirect was followed"


def test_b37_b66_without_its_flags_claude_runs_the_traps(person: Callable[..., Person]) -> None:
    """Positive control: the same harness file less its guards, as a person's own file."""
    somebody = person("claude")
    plant(somebody.project)
    somebody.own_harness(('"--setting-sources", "user", "--strict-mcp-config",', ""))
    settings = somebody.project / ".claude/settings.json"
    without_redirect = json.loads(settings.read_text())
    del without_redirect["env"]
    settings.write_text(json.dumps(without_redirect))
    somebody.start("--apply", prompt="Create hello.txt")
    assert list(somebody.project.glob("PWNED*")), "the trap is no trap, so the test above proves nothing"


def test_s10_without_trust_refused_pi_runs_the_repositorys_extension(person: Callable[..., Person]) -> None:
    """Positive control for pi."""
    somebody = person("pi")
    somebody.own_harness(('"--no-approve", "-nc", "-ne",', '"--approve",'))
    plant(somebody.project)
    somebody.start("--apply", prompt="Create hello.txt")
    assert list(somebody.project.glob("PWNED-pi*")), "the trap is no trap, so the test above proves nothing"


def test_s10_without_its_mask_codex_starts_the_repositorys_server(person: Callable[..., Person]) -> None:
    """Positive control for codex at a terminal, where it is told to trust the folder."""
    somebody = person("codex")
    somebody.own_harness(('mask = [".codex"]\n', ""))
    plant(somebody.project)
    argv = somebody.command("start", "codex", "--bottle", "lab", "--apply")
    screen = Screen(argv, somebody.project, somebody.env)
    screen.shows("Hooks need review")
    screen.child.send("3")
    screen.shows("Ask Codex to do anything")
    screen.until(lambda: any((somebody.home / "state").rglob("PWNED-codex-mcp")))
    screen.child.send("\x03")
    screen.pump(0.5)
    screen.child.send("\x03")
    screen.ended()
