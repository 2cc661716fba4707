"""Server-sent events: one stream per tab, named events, each with a cursor so that a lost connection goes on.

A feed is polled for each stream by itself, in a thread, no more often than it says; a slow reader is therefore only
slow for itself: what it did not take is asked for later, at its own cursor; nothing is queued. A stream ends within a
second of the revocation of its session or token, and at once when the server ends.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from bot_bottle.base.errors import BottleError
from bot_bottle.base.text import visible
from bot_bottle.web import principal, problem
from bot_bottle.web.desk import Desk
from bot_bottle.web.page import desk_of, office_of
from bot_bottle.web.principal import Person
from bot_bottle.web.problem import WebFault

STREAMS = 64
STREAMS_OF_ONE = 16
_TICK = 0.1
_BEAT = 15.0
_LOOK = 0.8


class Polled(msgspec.Struct, frozen=True):
    """What a feed has new since a cursor. data: one event each, one or more lines of text."""

    cursor: str
    data: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Feed:
    """name: of its events. poll(desk, query, cursor): cursor is "" for a new stream: then data is what a page that
    was just loaded lacks, mostly nothing. seconds: how often at most. always: also where ``feeds`` names none."""

    name: str
    poll: Callable[[Desk, Mapping[str, str], str], Polled]
    seconds: float = 0.25
    always: bool = True


def asks(desk: Desk, query: Mapping[str, str], cursor: str) -> Polled:
    """Something about asks, answers or grants changed: the page asks what. ``changes`` of the query: what the page
    had seen when it was made, so that nothing between that and the stream's start is missed."""
    cursor = cursor or query.get("changes", "")[:20]
    now = str(desk.approvals().changes())
    return Polled(now, () if not cursor or now == cursor else (f'{{"changes":{now}}}',))


def bottles(desk: Desk, query: Mapping[str, str], cursor: str) -> Polled:
    """A bottle started, ended, froze or thawed. ``bottles`` of the query: what ran when the page was made."""
    cursor = cursor or query.get("bottles", "")[:20]
    now = desk.office.bottles()
    return Polled(now, () if not cursor or now == cursor else ('{"bottles":true}',))


FEEDS: tuple[Feed, ...] = (Feed("asks", asks), Feed("bottles", bottles, 0.5))


class Streams:
    """How many there are, and whether they are to end. feeds: all that the pages and the API know."""

    def __init__(self, feeds: tuple[Feed, ...] = FEEDS) -> None:
        self.feeds = feeds
        self.ending = asyncio.Event()
        self._open: dict[str, int] = {}

    def admit(self, who: str) -> None:
        """Raises WebFault 429 where this person, or everybody together, has too many. Counts nothing yet: whoever is
        gone before the stream's first byte would never be counted out."""
        if sum(self._open.values()) >= STREAMS or self._open.get(who, 0) >= STREAMS_OF_ONE:
            raise WebFault(429, "web.streams", "Too many pages are open.", "Close some.")

    def enter(self, who: str) -> None:
        """Its first byte is on its way; `leave` comes for certain."""
        self._open[who] = self._open.get(who, 0) + 1

    def leave(self, who: str) -> None:
        self._open[who] -= 1
        if not self._open[who]:
            del self._open[who]

    @property
    def count(self) -> int:
        return sum(self._open.values())


async def events(request: Request) -> Response:
    """The endpoint. ``feeds=asks,records`` chooses; the rest of the query is the feeds' own (filters)."""
    streams: Streams = request.app.state.streams
    try:
        person = principal.need(request, "read")
        wanted = chosen(streams.feeds, request.query_params.get("feeds", ""))
        who = person.session.hash if person.session else person.approver.id
        streams.admit(who)
    except BottleError as error:
        return problem.response(error)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    body = _counted(_stream(request, person, wanted, streams), streams, who)
    return StreamingResponse(body, media_type="text/event-stream", headers=headers)


def chosen(feeds: tuple[Feed, ...], names: str) -> tuple[Feed, ...]:
    """The feeds of these names. Raises WebFault 422 where there is none of a name: its stream would be silent."""
    if not names:
        return tuple(feed for feed in feeds if feed.always)
    wanted, known = set(names.split(",")), {feed.name for feed in feeds}
    if wrong := sorted(wanted - known):
        what = f"There is no feed {visible(wrong[0], 40) or 'without a name'}."
        raise WebFault(422, "web.feeds", what, f"Feeds: {', '.join(sorted(known))}.")
    return tuple(feed for feed in feeds if feed.name in wanted)


async def _counted(body: AsyncIterator[str], streams: Streams, who: str) -> AsyncIterator[str]:
    streams.enter(who)
    try:
        async for text in body:
            yield text
    finally:
        streams.leave(who)


async def _stream(request: Request, person: Person, feeds: tuple[Feed, ...], streams: Streams) -> AsyncIterator[str]:
    desk = desk_of(request, person)
    cursors = positions(request.headers.get("last-event-id", ""))
    due = dict.fromkeys((feed.name for feed in feeds), 0.0)
    looked = beat = time.monotonic()
    yield "retry: 1000\n: open\n\n"
    while not streams.ending.is_set():
        now = time.monotonic()
        if now - looked > _LOOK:
            looked = now
            if not await run_in_threadpool(lives, request, person):
                yield event("signed-out", "{}", cursors)
                return
        for feed in feeds:
            if now < due[feed.name]:
                continue
            due[feed.name] = now + feed.seconds
            try:
                got = await run_in_threadpool(feed.poll, desk, request.query_params, cursors.get(feed.name, ""))
            except BottleError:
                continue
            cursors[feed.name] = got.cursor
            for data in got.data:
                beat = now
                yield event(feed.name, data, cursors)
        if now - beat > _BEAT:
            beat = now
            yield ": still here\n\n"
        try:
            await asyncio.wait_for(streams.ending.wait(), _TICK)
        except TimeoutError:
            continue


def lives(request: Request, person: Person) -> bool:
    """Whether the session or token of a stream still counts."""
    sessions, tokens = request.app.state.sessions, request.app.state.tokens
    now = office_of(request).clock.wall()
    if person.session is not None:
        return bool(sessions.lives(person.session.hash, now))
    return bool(person.token and tokens.lives(person.token.id, now))


def event(name: str, data: str, cursors: Mapping[str, str]) -> str:
    """One event as it is sent; no line break of `data` can begin another field."""
    lines = "".join(f"data: {line}\n" for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    at = ";".join(f"{feed}={quote(cursor, safe='')}" for feed, cursor in cursors.items())
    return f"event: {name}\nid: {at}\n{lines}\n"


def positions(last: str) -> dict[str, str]:
    """The cursors of a Last-Event-ID; what is not one of ours is left out."""
    pairs = (part.partition("=") for part in last[:4000].split(";"))
    return {name: unquote(cursor) for name, found, cursor in pairs if found and name.isalpha()}
