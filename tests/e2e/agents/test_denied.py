"""Each harness gives up within seconds where its model host is denied, and shows our sentence (facts: agents 4).

Measured alone: claude 2 s, codex 4 s, pi 2 s, mini 12 s. On a busy machine only the number of tries is certain.
"""

import json
import time
from collections.abc import Callable

import pytest

from e2e.agents.person import MODEL_HOST, Person

pytestmark = [pytest.mark.bottle, pytest.mark.agents, pytest.mark.slow, pytest.mark.timeout(600)]
TRIES = {"claude": 8, "codex": 12, "pi": 2, "mini": 4}
SECONDS = 75


@pytest.mark.parametrize("name", sorted(TRIES))
def test_a_denied_model_ends_the_agent_with_our_sentence(person: Callable[..., Person], name: str) -> None:
    somebody = person(name)
    somebody.bottle(f"    - {{name: shut, host: {MODEL_HOST[name]}, action: deny}}\n")
    result, started = somebody.folder / "result.json", time.monotonic()
    done = somebody.start("--result", str(result), prompt="Create hello.txt")
    assert time.monotonic() - started < SECONDS
    assert "bot-bottle" in done.stdout and "lab/shut" in (done.stdout + done.stderr).replace("\n", "")
    outcome = json.loads(result.read_text())
    assert outcome["success"] == "failed"
    assert 0 < outcome["counters"]["denied"] <= TRIES[name]
    assert somebody.model.asked() == []
