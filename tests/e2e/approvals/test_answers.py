"""A request of a real bottle is held, a person answers at another terminal, exactly its bytes arrive (D25)."""

import pytest

from e2e.approvals.conftest import Approvals
from e2e.lifecycle.world import HOST

pytestmark = [pytest.mark.bottle, pytest.mark.timeout(120)]


def test_a_held_request_is_approved_at_another_terminal_and_its_bytes_arrive(world: Approvals) -> None:
    world.asks_first()
    child = world.curl("-d", "precious=1", f"https://{HOST}/in")
    (ask,) = world.asked()
    assert world.upstream.seen == []
    done = world.cli("approve", ask["id"])
    assert done.returncode == 0, done.stderr
    out, err = child.communicate(timeout=30)
    assert out == "took precious=1\n", err
    assert world.upstream.seen == [("/in", "precious=1")]
    kinds = [(one.kind, one.verdict) for one in world.records("one") if one.ask == ask["id"]]
    assert kinds == [
        ("ask", "ask"), ("answer", "allow"), ("settled", "allowed"), ("intent", "allow"),
    ]  # fmt: skip
