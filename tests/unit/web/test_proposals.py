"""What the Policy page proposes takes effect: no rule that an ask or a deny of the same policy beats."""

import pytest

from bot_bottle.supervise.model import Approver
from bot_bottle.web.api.policies import ProposalWish, propose
from bot_bottle.web.desk import Desk
from records_stage import bottle_file, denied
from web_stage import Inside, Stage


@pytest.fixture
def desk(inside: Inside) -> Desk:
    return Desk(inside.web.office, Approver("device", "d1", "phone", "web"))


def test_what_a_rule_of_now_asks_about_or_denies_is_not_proposed(stage: Stage, desk: Desk) -> None:
    """They were denied for want of a route; since then the file got an ask and a deny route for two of the hosts."""
    identity = stage.identity("shop-run", bottle="shop", ago=60)
    log = stage.log(identity)
    log.append(stage.record(identity, kind="start"))
    for host in ("new.example", "hooks.example.net", "a.metrics.example"):
        log.append(stage.record(identity, protocol="http1", **denied(host, "/in")))
    log.seal(stage.record(identity, kind="stop"))
    bottle_file(stage)
    found = propose(desk, ProposalWish(bottle="shop"))
    assert found.based_on == 1
    assert [line for line in found.diff if line.startswith("+") and "host" in line] == ["+    - host: new.example"]
