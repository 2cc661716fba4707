"""A real secret in the project, a whole run: the keeper finds it, the agent does not (D07)."""

import pytest

from e2e.lifecycle.world import SECRET, World


@pytest.mark.bottle
def test_d07_a_secret_in_the_project_does_not_reach_the_agent(world: World) -> None:
    (world.project / "conf").write_text(f"key = {SECRET}\n")
    (world.project / "other").write_text(f"key = {SECRET[::-1]}\n")
    done = world.run("sh", "-c", "cat conf other")
    assert SECRET not in done.stdout and SECRET not in done.stderr
    assert SECRET[::-1] in done.stdout, "control: what is no secret is there"
    assert "conf holds the secret example and is hidden" in done.stderr
    assert SECRET in (world.project / "conf").read_text()
