"""S10, B37, B66, B70: a booby-trapped repository executes nothing and redirects nothing, where the file promises it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bot_bottle.harnesses import load
from e2e.agents.person import Person
from e2e.agents.traps import plant

pytestmark = [pytest.mark.bottle, pytest.mark.agents, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", ["claude", "codex", "mini", "pi"])
def test_s10_a_trapped_repository_runs_nothing_headless(person: Callable[..., Person], name: str) -> None:
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
    shipped = (Path(load.DATA) / "claude.toml").read_text()
    bare = shipped.replace('"--setting-sources", "user", "--strict-mcp-config", ', "").replace(
        '"--setting-sources", "user", "--strict-mcp-config",', ""
    )
    assert bare != shipped
    (somebody.home / "contrib").mkdir()
    (somebody.home / "contrib" / "claude.toml").write_text(
        bare.replace("format = 1", "format = 1\nreplaces_shipped = true")
    )
    settings = somebody.project / ".claude/settings.json"
    without_redirect = json.loads(settings.read_text())
    del without_redirect["env"]
    settings.write_text(json.dumps(without_redirect))
    somebody.start("--apply", prompt="Create hello.txt")
    assert list(somebody.project.glob("PWNED*")), "the trap is no trap, so the test above proves nothing"
