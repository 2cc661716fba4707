"""The picture of a run's time: every place lies on it, whatever the numbers are."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.audit.index_counts import Bucket
from bot_bottle.supervise.model import Ask, AskState
from bot_bottle.web.timeline import line
from web_stage import Stage

SECOND = 1_000_000_000
START = 1_764_000_000 * SECOND


def percent(text: str) -> float:
    return float(text.removesuffix("%"))


@given(
    st.integers(1, 40 * 86400 * SECOND),
    st.lists(st.tuples(st.integers(0, 100), st.integers(0, 10**6), st.integers(0, 9))),
    st.integers(0, 2**62),
)
def test_every_place_lies_on_the_line(span: int, spots: list[tuple[int, int, int]], signed: int) -> None:
    end = START + span
    buckets = [Bucket(START + span * at // 101, allow=allow, deny=deny) for at, allow, deny in spots]
    found = line(START, end, buckets, (), signed)
    places = (
        [x for x, _ in found.allowed]
        + list(found.denied)
        + [x for x, _, _ in found.labels]
        + [found.sealed, *found.ticks]
    )
    assert all(0 <= percent(place) <= 100 for place in places)
    assert all(2 <= height <= 24 for _, height in found.allowed)
    assert len(found.labels) <= 8


def test_asks_and_answers(stage: Stage) -> None:
    bottle = stage.running("docs-typo")
    waiting = at(stage.ask(bottle), START + 10 * SECOND)
    allowed = at(stage.ask(bottle, AskState.ALLOWED), START + 20 * SECOND, START + 50 * SECOND)
    denied = at(stage.ask(bottle, AskState.DENIED), START + 80 * SECOND, START + 95 * SECOND)
    other = at(stage.ask(bottle), START + 900 * SECOND)
    found = line(START, START + 100 * SECOND, [], [other, denied, allowed, waiting], START + 60 * SECOND)
    assert found.asks == (
        ("80.00%", "15.00%", "denied"),
        ("20.00%", "30.00%", "allowed"),
        ("10.00%", "90.00%", "waiting"),
    )
    assert found.people == (("50.00%", "allowed", False), ("95.00%", "denied", True))
    assert found.sealed == "60.00%"


def at(ask: Ask, asked: int, settled: int = 0) -> Ask:
    return msgspec.structs.replace(ask, asked=asked, settled=settled)
