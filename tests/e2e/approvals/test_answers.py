"""A request of a real bottle is held, a person answers at another terminal, exactly its bytes arrive (D25)."""

import json
import os
import signal
from pathlib import Path

import pytest

from bot_bottle.bottles import lease
from e2e.approvals.conftest import Approvals, until
from e2e.lifecycle.world import HOST

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(120)]
URL = f"https://{HOST}/in"


def test_a_held_request_is_approved_at_another_terminal_and_its_bytes_arrive(world: Approvals) -> None:
    world.asks_first()
    child = world.curl("-d", "precious=1", URL)
    (ask,) = world.asked()
    assert world.upstream.seen == []
    done = world.cli("approve", ask["id"])
    assert done.returncode == 0, done.stderr
    out, err = child.communicate(timeout=30)
    assert out == "took precious=1\n", err
    assert f"bot-bottle approve {ask['id']}" in err  # the notice, on standard error of a run without a terminal
    assert world.upstream.seen == [("/in", "precious=1")]
    kinds = [(one.kind, one.verdict) for one in world.records("one") if one.ask == ask["id"]]
    assert kinds == [("ask", "ask"), ("answer", "allow"), ("settled", "allowed"), ("intent", "allow")]
    assert world.verify().returncode == 0


def test_a_denied_request_never_arrives_and_the_agent_hears_why(world: Approvals) -> None:
    world.asks_first()
    child = world.curl("-d", "x=1", URL)
    (ask,) = world.asked()
    done = world.cli("deny", ask["id"], "--reason", "not to this host", "--json")
    assert json.loads(done.stdout) == {"id": ask["id"], "state": "denied", "grant": "", "wrote": ""}
    problem = json.loads(child.communicate(timeout=30)[0])
    assert problem["status"] == 403
    assert "not to this host" in json.dumps(problem)
    assert world.upstream.seen == []
    assert world.cli("approve", ask["id"]).returncode == 2


def test_silence_is_a_no_and_a_late_yes_lets_one_retry_through(world: Approvals) -> None:
    world.asks_first("  ask_wait: 1s\n")
    problem = json.loads(world.curl("-d", "x=1", URL).communicate(timeout=30)[0])
    assert (problem["status"], bool(problem["ask"])) == (403, True), problem
    missed = json.loads(world.cli("supervise", "--missed", "--json").stdout)["asks"]
    assert [one["state"] for one in missed] == ["expired"]
    unaware = world.cli("approve", missed[0]["id"])
    assert (unaware.returncode, "nobody waits any more" in unaware.stderr, "--late" in unaware.stderr) == (
        2,
        True,
        True,
    )
    assert world.state(missed[0]["id"]) == "expired"
    done = world.cli("approve", missed[0]["id"], "--late")
    assert done.returncode == 0, done.stderr
    out, err = world.curl("-d", "x=1", URL, label="two").communicate(timeout=30)
    assert out == "took x=1\n", err
    again = json.loads(world.curl("-d", "x=1", URL, label="three").communicate(timeout=30)[0])
    assert again["status"] == 403, "a retry is for once"
    assert world.upstream.seen == [("/in", "x=1")]


def test_d25_who_hangs_up_while_a_person_reads_gets_nothing_else_through(world: Approvals) -> None:
    """They read `x=1` and say yes to that; meanwhile the agent hung up, and sends something else."""
    world.asks_first()
    held, other, again = (f"curl -sS -m {n} -d {body} {URL}" for n, body in ((4, "x=1"), (50, "tree"), (50, "x=1")))
    child = world.begin(
        "run", "--quiet", "--label", "one", "--bottle", "b", "--", "sh", "-c", f"{held}; {other}; {again}"
    )
    (ask,) = world.asked()
    until(lambda: world.state(ask["id"]) == "withdrawn")
    done = world.cli("approve", ask["id"])
    assert (done.returncode, "hung up" in done.stderr) == (2, True), done.stderr
    done = world.cli("approve", ask["id"], "--late")  # knowing so, for the same bytes
    assert done.returncode == 0, done.stderr
    (tree,) = world.asked()  # another body is asked about, whatever was said
    assert tree["wanted"]["body_digest"] != ask["wanted"]["body_digest"] and world.upstream.seen == []
    assert world.cli("deny", tree["id"]).returncode == 0
    assert child.communicate(timeout=60)[0].endswith("took x=1\n")
    assert world.upstream.seen == [("/in", "x=1")]


def test_a_yes_for_the_bottle_holds_for_the_next_run_and_ends_when_it_is_revoked(world: Approvals) -> None:
    world.asks_first()
    child = world.curl("-d", "x=1", URL)
    (ask,) = world.asked()
    granted = json.loads(world.cli("approve", ask["id"], "--scope", "bottle", "--json").stdout)
    assert child.communicate(timeout=30)[0] == "took x=1\n"
    assert world.curl("-d", "y=2", URL, label="two").communicate(timeout=30)[0] == "took y=2\n"
    listed = json.loads(world.cli("grants", "--json").stdout)["grants"]
    assert [(one["id"], one["scope"]) for one in listed] == [(granted["grant"], "bottle")]
    assert world.cli("grants", "revoke", granted["grant"]).returncode == 0
    child = world.curl("-d", "z=3", URL, label="three")
    (ask,) = world.asked()
    world.cli("deny", ask["id"])
    child.communicate(timeout=30)
    assert world.cli("grants", "revoke", granted["grant"]).returncode == 2


def test_d25_revoking_a_grant_ends_the_flow_that_runs_under_it(world: Approvals) -> None:
    world.asks_first()
    child = world.curl("-N", f"https://{HOST}/slow")
    (ask,) = world.asked()
    grant = json.loads(world.cli("approve", ask["id"], "--scope", "bottle", "--json").stdout)["grant"]
    until(lambda: bool(world.upstream.seen))
    assert world.cli("grants", "revoke", grant).returncode == 0
    child.communicate(timeout=30)  # it would have taken a minute
    assert child.returncode != 0


def test_a_grant_given_in_one_bottle_reaches_another_that_runs(world: Approvals) -> None:
    world.asks_first()
    one = world.curl("-d", "x=1", URL)
    two = world.curl("-d", "y=2", URL, label="two")
    asks = world.asked(2)
    assert world.cli("approve", asks[0]["id"], "--scope", "bottle").returncode == 0
    assert {one.communicate(timeout=30)[0], two.communicate(timeout=30)[0]} == {"took x=1\n", "took y=2\n"}
    assert world.listed() == []


def test_always_writes_the_leaf_bottle_file_after_its_diff_was_shown(world: Approvals) -> None:
    world.asks_first("  default: ask # careful\n")
    child = world.curl("-d", "x=1", "https://hooks.example.net/in")
    (ask,) = world.asked()
    leaf = world.home / "bottles" / "b.md"
    before = leaf.read_text()
    refused = world.cli("approve", ask["id"], "--scope", "always", stdin="n\n")
    assert refused.returncode != 0
    assert "+" in refused.stderr
    assert leaf.read_text() == before
    done = world.cli("approve", ask["id"], "--scope", "always", "--yes")
    assert done.returncode == 0, done.stderr
    child.communicate(timeout=30)
    after = leaf.read_text()
    assert "hooks.example.net" in after
    assert "# careful" in after
    assert after.startswith("---\n# mine\n")
    assert world.cli("manifest", "check").returncode == 0


def test_d25_kill_9_of_the_keeper_during_a_hold_lets_nothing_through(world: Approvals) -> None:
    world.asks_first()
    child = world.curl("-d", "x=1", URL)
    (ask,) = world.asked()
    held = lease.read(world.place, "one")
    assert held is not None
    os.kill(next(one.pid for one in held.processes if one.name == "keeper"), signal.SIGKILL)
    child.communicate(timeout=30)
    assert world.cli("approve", ask["id"]).returncode == 2  # who knows of no end
    done = world.cli("approve", ask["id"], "--late")  # nobody waits any more: one retry
    assert done.returncode == 0, done.stderr
    assert world.upstream.seen == []
    assert world.state(ask["id"]) == "allowed"
    out, err = world.curl("-d", "x=1", URL, label="two").communicate(timeout=30)
    assert out == "took x=1\n", err
    assert world.verify().returncode == 0


@pytest.mark.parametrize("victim", ["gateway", "launcher"])
def test_d25_kill_9_of_gateway_or_launcher_during_a_hold_lets_nothing_through(world: Approvals, victim: str) -> None:
    world.asks_first()
    child = world.curl("-d", "x=1", URL)
    (ask,) = world.asked()
    held = lease.read(world.place, "one")
    assert held is not None
    os.kill(next(one.pid for one in held.processes if one.name == victim), signal.SIGKILL)
    child.communicate(timeout=30)
    until(lambda: world.state(ask["id"]) in ("ended", "withdrawn"))
    assert world.upstream.seen == []
    assert world.cli("cleanup").returncode == 0
    assert world.verify().returncode == 0


def test_a_yes_while_the_bottle_is_frozen_moves_no_byte_before_the_thaw(world: Approvals) -> None:
    world.asks_first()
    child = world.curl("-d", "x=1", URL)
    (ask,) = world.asked()
    assert world.cli("freeze", "one").returncode == 0
    assert world.cli("approve", ask["id"]).returncode == 0
    assert world.cli("info", "one").returncode == 0  # the gateway has read everything that it was told
    assert world.upstream.seen == []
    assert world.cli("thaw", "one").returncode == 0
    assert child.communicate(timeout=30)[0] == "took x=1\n"


def test_a_bottle_that_ends_ends_its_asks(world: Approvals) -> None:
    world.asks_first()
    child = world.curl("-d", "x=1", URL)
    (ask,) = world.asked()
    assert world.cli("stop", "one").returncode == 0
    child.communicate(timeout=30)
    assert world.state(ask["id"]) in ("ended", "withdrawn")  # its program may hang up first
    assert world.listed() == []
    assert world.upstream.seen == []


def test_what_is_asked_shows_within_a_second_and_the_answer_wakes_it_within_one(world: Approvals) -> None:
    world.asks_first()
    child = world.curl("-w", "%{time_total}", "-o", "/dev/null", "-d", "x=1", URL)
    (ask,) = world.asked()
    record = next(one for one in world.records("one") if one.kind == "ask")
    assert record.time - ask["asked"] < 1_000_000_000
    world.cli("approve", ask["id"])
    child.communicate(timeout=30)
    times = {one.kind: one.time for one in world.records("one") if one.ask == ask["id"]}
    assert times["intent"] - times["answer"] < 1_000_000_000
    assert Path(world.home / "approvals").is_dir()
