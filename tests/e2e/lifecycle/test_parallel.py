"""Several bottles of one home at once: started in the same moment, without names of their own, sharing one host log."""

import pytest

from bot_bottle.audit import runs
from e2e.lifecycle.world import HOST, World

pytestmark = pytest.mark.bottle
BOTTLES = 4
ASK = (
    f"curl -sS https://{HOST}/$1 && curl -sS https://{HOST}/$1; curl -s -o /dev/null https://evil.example.org/; true"
)


def test_bottles_started_at_once_all_run_and_their_logs_agree_with_the_host_log(world: World) -> None:
    """No --label: each finds a free one. The home is fresh, so keys and host log are made by whoever comes first."""
    begun = [
        world.begin("run", "--bottle", "b", "--", "sh", "-c", ASK, "ask", f"bottle-{number}")
        for number in range(BOTTLES)
    ]
    for child in begun:
        out, errors = child.communicate(timeout=60)
        assert (out, child.returncode) == ("hello\nhello\n", 0), errors
        assert "sealed, checkpoint" in errors
    assert sorted(path for path, _ in world.upstream.seen) == sorted(2 * [f"/bottle-{n}" for n in range(BOTTLES)])
    assert len(world.runs()) == BOTTLES
    done = world.verify()
    assert done.returncode == 0, done.stdout + done.stderr
    states = [line.split(": ")[1] for line in done.stdout.splitlines() if not line.startswith(" ")]
    assert states == ["sealed"] * (BOTTLES + 1), done.stdout
    facts = runs.read(str(world.home / "log" / "host"))
    assert sorted(facts) == world.runs()
    assert len({one.label for one in facts.values()}) == BOTTLES
    assert all(one.ended for one in facts.values())
    assert world.leases() == {}
    assert not list((world.home / "state").glob("*"))
    kinds = [record["kind"] for record in world.records()]
    assert (kinds.count("start"), kinds.count("stop")) == (BOTTLES, BOTTLES)
    assert (kinds.count("intent"), kinds.count("denied")) == (2 * BOTTLES, BOTTLES)


def test_one_label_is_given_once(world: World) -> None:
    """The same label asked for at the same time: one runs, the others are told who has it."""
    begun = [
        world.begin("run", "-q", "--label", "same", "--bottle", "b", "--", "sh", "-c", "sleep 2; echo ran")
        for _ in range(BOTTLES)
    ]
    ended = [(*child.communicate(timeout=60), child.returncode) for child in begun]
    assert sorted(status for _, _, status in ended) == [0, *[6] * (BOTTLES - 1)], ended
    assert [out for out, _, status in ended if status == 0] == ["ran\n"]
    assert all("same is running" in errors for _, errors, status in ended if status == 6)
    assert world.verify().returncode == 0


def test_detached_bottles_started_at_once_have_labels_and_outputs_of_their_own(world: World) -> None:
    words = ("start", "command", "-d", "--bottle", "b", "--", "sh", "-c", "echo I am here; sleep 60")
    begun = [world.begin(*words) for _ in range(BOTTLES)]
    labels = {child.communicate(timeout=60)[0].strip() for child in begun}
    assert labels == {"command", *(f"command-{number}" for number in range(2, BOTTLES + 1))}
    busy = world.cli("start", "command", "-d", "--label", "command", "--bottle", "b", "--", "true")
    assert busy.returncode == 6, busy.stderr
    for label in labels:
        assert world.cli("stop", label).returncode == 0
        assert b"I am here" in (world.home / "output" / f"{label}.log").read_bytes()
    assert world.verify().returncode == 0
