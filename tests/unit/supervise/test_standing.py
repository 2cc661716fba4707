"""What a grant opens now, and if nothing, why: from the grant, the clock and what runs."""

from typing import Any

import pytest

from bot_bottle.supervise.expiry import SECOND
from bot_bottle.supervise.granting import Holder
from bot_bottle.supervise.model import Scope, StoredGrant
from bot_bottle.supervise.standing import State, Why, in_order, standing
from unit.supervise.make import ANA, T0, changed, wanted

NOW = T0 + 100 * SECOND
SHOP = "/home/ana/shop"
MINE = Holder("r1", "web", SHOP, "p1")


def grant(scope: Scope = Scope.BOTTLE, **values: Any) -> StoredGrant:
    subject = {Scope.RUN: "r1", Scope.PROJECT: SHOP, Scope.ALWAYS: "/home/ana/web.md"}.get(scope, "web")
    made = StoredGrant(
        "g1", "a1", "n1", scope, subject, "p1", "web/up", wanted(), T0, T0 + 3600 * SECOND, ANA
    )  # fmt: skip
    return changed(made, **values)


@pytest.mark.parametrize("scope", [Scope.ONCE, Scope.RUN, Scope.BOTTLE, Scope.PROJECT])
def test_it_is_live_while_its_bottle_runs_under_its_policy(scope: Scope) -> None:
    other = Holder("r2", "web", SHOP, "p9")
    assert standing(grant(scope), "r1", NOW, [other, MINE]) == (State.LIVE, Why.NONE)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"revoked": T0 + 1}, Why.REVOKED),
        ({"revoked": T0 + 1, "with_run": True}, Why.RUN),
        ({"revoked": T0 + 1, "with_policy": True}, Why.POLICY),
        ({"uses": 1, "used": 1}, Why.USED),
        ({"expires": NOW}, Why.EXPIRED),
        ({"given": NOW + 120 * SECOND}, Why.CLOCK),
    ],
)
def test_what_is_over_is_over_whatever_runs(values: dict[str, Any], why: Why) -> None:
    assert standing(grant(Scope.RUN, **values), "r1", NOW, [MINE]) == (State.ENDED, why)


@pytest.mark.parametrize("scope", [Scope.ONCE, Scope.RUN, Scope.BOTTLE, Scope.PROJECT])
def test_another_policy_under_the_run_that_asked_leaves_nothing_open_until_the_old_one_is_back(scope: Scope) -> None:
    reloaded = changed(MINE, policy="p2")
    assert standing(grant(scope), "r1", NOW, [reloaded]) == (State.IDLE, Why.POLICY)
    assert standing(grant(scope), "r1", NOW, [MINE]) == (State.LIVE, Why.NONE)


def test_a_run_that_no_longer_runs_has_ended_what_was_given_for_it() -> None:
    assert standing(grant(Scope.RUN), "r1", NOW, [Holder("r2", "web", SHOP, "p1")]) == (State.ENDED, Why.RUN)


def test_what_only_another_start_can_tell_is_not_called_live_or_ended() -> None:
    assert standing(grant(), "r1", NOW, []) == (State.IDLE, Why.NOBODY)
    assert standing(grant(), "r1", NOW, [Holder("r2", "web", SHOP, "p2")]) == (State.IDLE, Why.OTHERS)
    assert standing(grant(Scope.PROJECT), "r1", NOW, [Holder("r2", "web", "", "p1")]) == (State.IDLE, Why.NOBODY)


def test_a_keeper_that_does_not_answer_leaves_it_unknown_unless_another_has_its_policy() -> None:
    silent = changed(MINE, policy="")
    assert standing(grant(), "r1", NOW, [silent]) == (State.UNKNOWN, Why.SILENT)
    assert standing(grant(), "r1", NOW, [silent, Holder("r2", "web", SHOP, "p1")]) == (State.LIVE, Why.NONE)


def test_always_is_a_rule_in_a_file_by_now() -> None:
    assert standing(grant(Scope.ALWAYS, expires=T0), "r1", NOW, [MINE]) == (State.RULE, Why.NONE)


def test_the_live_ones_come_first_and_the_newest_of_each() -> None:
    ended, old = grant(id="g1", revoked=T0), grant(id="g2")
    young, idle = grant(id="g3", given=T0 + SECOND), grant(id="g4", subject="api")
    told = [(one, standing(one, "r1", NOW, [MINE])) for one in (ended, old, young, idle)]
    assert [one.id for one, _ in in_order(told)] == ["g3", "g2", "g4", "g1"]
