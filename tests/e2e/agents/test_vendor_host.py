"""B36: the allowed model host is no drop for the thief's own account, and no file store."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from e2e.agents.person import Person

pytestmark = [pytest.mark.bottle, pytest.mark.agents, pytest.mark.timeout(200)]
THIEF = "sk-ant-api03-THIEFTHIEFTHIEF"
BODY = json.dumps({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": "hi"}]})


def curl(path: str, *more: str) -> list[str]:
    head = ["-H", "content-type: application/json", "-d", BODY, "-o", "/dev/null", "-w", "%{http_code}"]
    return ["curl", "-sS", *head, *more, f"https://api.anthropic.com{path}"]


def inside(somebody: Person, argv: list[str]) -> str:
    command = somebody.command("run", "--bottle", "lab", "--", *argv)
    done = subprocess.run(command, cwd=somebody.project, env=somebody.env, capture_output=True, text=True, timeout=60)
    return done.stdout


def test_b36_the_thiefs_key_never_leaves_and_the_file_api_is_closed(person: Callable[..., Person]) -> None:
    somebody = person("pi")
    carriers = ["-H", f"x-api-key: {THIEF}", "-H", f"authorization: Bearer {THIEF}", "-H", f"cookie: key={THIEF}"]
    assert inside(somebody, curl("/v1/messages", *carriers)) == "200", "the model demands the owner's key, and got it"
    assert inside(somebody, curl("/v1/files", *carriers)) == "403"
    assert [one["path"] for one in somebody.model.asked()] == ["/v1/messages"]


def test_b36_control_without_a_bottle_the_thiefs_key_arrives(person: Callable[..., Person], tmp_path: Path) -> None:
    """Positive control: the same requests outside reach the model host with the thief's key, at both paths."""
    somebody = person("pi")
    where = [
        "--resolve",
        f"api.anthropic.com:{somebody.model.port}:127.0.0.1",
        "--cacert",
        str(somebody.model.authority),
    ]
    for path in ("/v1/messages", "/v1/files"):
        argv = curl(path, "-H", f"x-api-key: {THIEF}", *where)
        argv[-1] = argv[-1].replace("api.anthropic.com", f"api.anthropic.com:{somebody.model.port}")
        assert subprocess.run(argv, capture_output=True, text=True).stdout == "401"
    assert [one["path"] for one in somebody.model.asked()] == ["/v1/messages", "/v1/files"]
