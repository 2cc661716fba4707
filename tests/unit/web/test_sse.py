"""Event streams: names, ids, going on where a lost connection ended, bounds. (`streamEvents` of the API.)"""

import asyncio
import http.client
import time
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.supervise.model import Approver
from bot_bottle.web.desk import Desk
from bot_bottle.web.security import CSRF_HEADER
from bot_bottle.web.sse import STREAMS_OF_ONE, Feed, Polled, Streams, _counted, bottles, chosen, event, positions
from web_stage import Inside, Stage, until


@contextmanager
def stream(inside: Inside, path: str = "/events", **headers: str) -> Iterator[http.client.HTTPResponse]:
    link = http.client.HTTPConnection("127.0.0.1", inside.port, timeout=10)
    link.request("GET", path, headers=inside.session() | headers)
    with link.getresponse() as reply:
        yield reply
    link.close()


def since(stage: Stage, inside: Inside) -> str:
    """The stream of a page that was made now: it waits for no first look."""
    return f"/events?changes={stage.store.changes()}&bottles={inside.web.office.bottles()}"


def block(reply: http.client.HTTPResponse) -> dict[str, str]:
    """The next event; comments and retry are passed over."""
    found: dict[str, str] = {}
    while True:
        line = reply.readline().decode().rstrip("\n")
        if not line and "event" in found:
            return found
        name, _, value = line.partition(": ")
        if name in ("event", "id", "data"):
            found[name] = f"{found[name]}\n{value}" if name in found else value


def test_an_ask_is_told_while_the_stream_is_open(stage: Stage, inside: Inside) -> None:
    bottle = stage.running("one")
    with stream(inside, since(stage, inside)) as reply:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.headers["cache-control"] == "no-store"
        stage.ask(bottle)
        found = block(reply)
        assert found["event"] == "asks"
        bottle.lease.update(frozen="asked")
        assert block(reply)["event"] == "bottles"


def test_what_came_while_the_connection_was_lost_is_told_at_once(stage: Stage, inside: Inside) -> None:
    bottle = stage.running("one")
    with stream(inside, since(stage, inside)) as reply:
        stage.ask(bottle)
        last = block(reply)["id"]
    stage.ask(bottle)
    with stream(inside, **{"last-event-id": last}) as reply:
        assert block(reply)["event"] == "asks"


def test_feeds_are_chosen_by_name(stage: Stage, inside: Inside) -> None:
    bottle = stage.running("one")
    with stream(inside, "/api/v1/events?feeds=bottles") as reply:
        time.sleep(0.4)
        stage.ask(bottle)
        bottle.lease.update(frozen="asked")
        assert block(reply)["event"] == "bottles"
    feeds = (Feed("a", bottles), Feed("b", bottles, always=False))
    assert [feed.name for feed in chosen(feeds, "")] == ["a"]
    assert [feed.name for feed in chosen(feeds, "b,a,b")] == ["a", "b"]


@pytest.mark.parametrize("names", ["nosuch", "asks,nosuch", ",", "asks,", "ASKS", "\x1b[2J"])
@pytest.mark.parametrize("path", ["/events", "/api/v1/events"])
def test_a_feed_that_there_is_not_is_refused_with_those_that_there_are(inside: Inside, path: str, names: str) -> None:
    reply = inside.raw("GET", f"{path}?feeds={urllib.parse.quote(names)}", inside.session())
    assert (reply.status, reply.headers["content-type"]) == (422, "application/problem+json")
    told = reply.json()
    assert told["slug"] == "web.feeds" and "asks, bottles, records" in told["detail"]
    assert "\x1b" not in reply.text


def test_a_stream_that_is_left_is_forgotten(inside: Inside) -> None:
    streams = inside.web.front._gate.app.state.streams  # type: ignore[attr-defined]
    with stream(inside) as reply:
        reply.readline()
        assert streams.count == 1
    until(lambda: streams.count == 0)


def test_open_streams_do_not_hold_up_the_end(stage: Stage) -> None:
    with Inside(stage) as web, stream(web) as reply:
        reply.readline()
        begun = time.monotonic()
        web.web.front.end()
        assert reply.read() is not None
        assert time.monotonic() - begun < 8


def test_a_feed_that_fails_does_not_end_the_stream(
    stage: Stage, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot_bottle.base.errors import HostFault

    def broken(desk: object, query: object, cursor: str) -> Polled:
        raise HostFault("x.y", "a fault")

    streams = inside.web.front._gate.app.state.streams  # type: ignore[attr-defined]
    streams.feeds = (Feed("broken", broken), *streams.feeds)
    bottle = stage.running("one")
    with stream(inside, since(stage, inside)) as reply:
        stage.ask(bottle)
        assert block(reply)["event"] == "asks"


@given(
    st.text(max_size=80),
    st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.text(max_size=12), max_size=3),
)
def test_no_data_begins_another_field_and_ids_come_back(data: str, cursors: dict[str, str]) -> None:
    text = event("x", data, cursors)
    lines = text.removesuffix("\n\n").split("\n")
    assert lines[0] == "event: x" and all(line.startswith("data: ") for line in lines[2:])
    assert "\r" not in text
    kept = positions(lines[1].removeprefix("id: "))
    assert {name: kept[name] for name in cursors} == cursors


@given(st.text(max_size=200))
def test_a_last_event_id_of_others_is_harmless(text: str) -> None:
    assert all(name.isalpha() and len(value) <= 200 for name, value in positions(text).items())


def test_the_bottles_feed_changes_with_what_runs(stage: Stage, inside: Inside) -> None:
    desk = Desk(inside.web.office, Approver("os", "1", "ann"))
    first = bottles(desk, {}, "")
    assert first.data == ()
    stage.running("one")
    until(lambda: bottles(desk, {}, first.cursor).data != ())
    assert CSRF_HEADER


def test_nothing_between_page_and_stream_is_missed(stage: Stage, inside: Inside) -> None:
    """A page says what it has seen: what changed before its stream began is told at once. Without that word it is not."""
    from bot_bottle.web.desk import Desk
    from bot_bottle.web.sse import asks
    from web_stage import PERSON

    bottle = stage.running()
    desk = Desk(inside.web.office, PERSON)
    seen = str(stage.store.changes())
    stage.ask(bottle)
    assert asks(desk, {"changes": seen}, "").data
    assert not asks(desk, {}, "").data
    assert not asks(desk, {"changes": str(stage.store.changes())}, "").data
    ran = inside.web.office.bottles()
    assert not bottles(desk, {"bottles": ran}, "").data
    stage.running("two")
    until(lambda: bottles(desk, {"bottles": ran}, "").data != ())
    assert not bottles(desk, {}, "").data


def test_a_stream_that_nobody_reads_does_not_count() -> None:
    async def run() -> None:
        streams = Streams(())
        for _ in range(STREAMS_OF_ONE):
            streams.admit("me")
            _counted(words(), streams, "me")  # the tab was closed before its first byte
        streams.admit("me")
        read = _counted(words(), streams, "me")
        assert (await anext(read), streams.count) == ("one", 1)
        await read.aclose()  # type: ignore[attr-defined]
        assert streams.count == 0

    async def words() -> AsyncIterator[str]:
        yield "one"
        yield "two"

    asyncio.run(run())
