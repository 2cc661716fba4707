"""`grants` says of each yes what it opens now: from the policy of what runs, not from its age alone (D25)."""

import json
from typing import Any

import pytest

from e2e.approvals.conftest import Approvals
from e2e.lifecycle.world import HOST

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(120)]


def listed(world: Approvals, *words: str) -> dict[str, tuple[str, str]]:
    """Scope -> state and why."""
    rows: list[dict[str, Any]] = json.loads(world.cli("grants", "--json", *words).stdout)["grants"]
    return {one["scope"]: (one["state"], one["why"]) for one in rows}


def test_a_grant_is_live_until_the_policy_of_its_run_changes_and_its_run_ends(world: Approvals) -> None:
    world.asks_first()
    script = f"curl -sS -d x=1 https://{HOST}/in; sleep 300"
    child = world.begin("run", "--quiet", "--label", "one", "--bottle", "b", "--", "sh", "-c", script)
    (ask,) = world.asked()
    assert world.cli("approve", ask["id"], "--scope", "run").returncode == 0
    assert listed(world) == {"run": ("live", "")}
    world.asks_first("  ask_wait: 9s\n")
    assert world.cli("policy", "reload", "one").returncode == 0
    assert listed(world) == {}
    assert listed(world, "--all") == {"run": ("ended", "policy")}
    assert "the policy changed" in world.cli("grants", "--all").stdout
    world.asks_first()
    assert world.cli("policy", "reload", "one").returncode == 0  # the old policy is back, the yes is not
    assert listed(world, "--all") == {"run": ("ended", "policy")}
    assert world.cli("stop", "one").returncode == 0
    child.communicate(timeout=30)
    assert [(one.verdict, one.detail.get("why")) for one in world.records("one") if one.kind == "grant"] == [
        ("ended", "policy")
    ]


def test_d25_a_yes_for_a_bottle_does_not_come_back_with_its_policy(world: Approvals) -> None:
    """The bottle file changes between runs, a run begins under it, and the file is as it was: that is asked about."""
    world.asks_first()
    one = world.curl("-d", "x=1", f"https://{HOST}/in")
    (ask,) = world.asked()
    assert world.cli("approve", ask["id"], "--scope", "bottle").returncode == 0
    assert one.communicate(timeout=30)[0] == "took x=1\n"
    assert world.curl("-d", "y=2", f"https://{HOST}/in", label="two").communicate(timeout=30)[0] == "took y=2\n"
    world.asks_first("  ask_wait: 9s\n")
    assert world.cli("run", "--quiet", "--label", "three", "--bottle", "b", "--", "true").returncode == 0
    assert listed(world, "--all") == {"bottle": ("ended", "policy")}
    world.asks_first()
    four = world.curl("-d", "z=3", f"https://{HOST}/in", label="four")
    (ask,) = world.asked()
    assert world.cli("deny", ask["id"]).returncode == 0
    four.communicate(timeout=30)
    assert world.upstream.seen == [("/in", "x=1"), ("/in", "y=2")]


def test_a_yes_for_a_bottle_that_does_not_run_is_idle_and_after_the_live_ones(world: Approvals) -> None:
    world.asks_first()
    one = world.curl("-d", "x=1", f"https://{HOST}/in")
    (ask,) = world.asked()
    assert world.cli("approve", ask["id"], "--scope", "bottle").returncode == 0
    one.communicate(timeout=30)
    assert listed(world) == {"bottle": ("idle", "nobody")}
    assert "(nothing it is for runs)" in world.cli("grants").stdout
