"""An agent's own text and model reach the model host with every shipped harness; a prompt is never an option."""

from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.agents.person import Person

pytestmark = [pytest.mark.bottle, pytest.mark.agents, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("name", ["claude", "codex", "mini", "pi"])
def test_an_agent_files_text_reaches_the_model(person: Callable[..., Person], tmp_path: Path, name: str) -> None:
    dump = tmp_path / "dump"
    somebody = person(name, options=("--dump", str(dump)))
    (somebody.home / "agents").mkdir()
    text = f'---\nversion: 1\nharness: {name}\n---\nCANARY-OF-THE-AGENT says "hello".\n'
    (somebody.home / "agents" / "helper.md").write_text(text)
    somebody.name = "helper"
    done = somebody.start("--apply", prompt="--help CANARY-OF-THE-PROMPT create hello.txt")
    assert done.returncode == 0, done.stderr
    assert (somebody.project / "hello.txt").exists()
    sent = "".join(path.read_text() for path in sorted(dump.iterdir()))
    assert "CANARY-OF-THE-AGENT says" in sent and "--help CANARY-OF-THE-PROMPT" in sent
