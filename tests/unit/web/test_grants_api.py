"""listGrants says what each yes opens now; the Answered tab says the same."""

import pytest

from bot_bottle.supervise.model import Approver, Scope
from bot_bottle.web.api.asks import GrantFilter, list_grants
from bot_bottle.web.desk import Desk
from web_stage import Inside, Stage


@pytest.fixture
def desk(inside: Inside) -> Desk:
    return Desk(inside.web.office, Approver("device", "d1", "phone", "web"))


def test_each_grant_has_its_state_and_the_live_ones_come_first(stage: Stage, desk: Desk) -> None:
    one, two = stage.running("one"), stage.running("two")
    live, gone = stage.grant(one, Scope.RUN), stage.grant(two, Scope.RUN)
    two.end()
    items = list_grants(desk, GrantFilter()).items
    assert [(item.id, item.state, item.why) for item in items] == [(live.id, "live", ""), (gone.id, "ended", "run")]
    assert [item.id for item in list_grants(desk, GrantFilter(live=True)).items] == [live.id]
