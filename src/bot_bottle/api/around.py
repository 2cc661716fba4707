"""What the records say around an ask, for the page and the terminal alike: what its run did last, and what the rule
of a lasting yes would have let through before."""

from collections.abc import Collection

import msgspec

from bot_bottle.audit.filters import Filter, Term
from bot_bottle.audit.index import Hit, Index
from bot_bottle.policy.replay import KINDS, Line
from bot_bottle.supervise import past
from bot_bottle.supervise.model import Ask

_LAST, _PAST = 5, 5000
_SECONDS = 0.1


def last(index: Index, now: int, run: str) -> list[Hit]:
    """The last five requests of a run, the newest first. now: wall ns."""
    only = Filter((Term("run", (run,)), Term("kind", ("outcome", "denied"))))
    return index.page(only, now, _LAST, None, _SECONDS).hits


class _Past(Line):
    """request: its number in its run."""

    request: int = 0


def also(index: Index, now: int, asks: Collection[Ask]) -> str:
    """What a lasting yes would have allowed in the past thirty days, besides what these asks of one card want."""
    wanted = next(iter(asks)).wanted
    own = {(ask.run, ask.number) for ask in asks}
    only = Filter((Term("host", (wanted.target.host,)), Term("kind", KINDS))).plus("since", "30d")
    found = index.page(only, now, _PAST, None, _SECONDS)
    lines = [line for hit in found.hits if (line := _line(hit.text)) and (line.run, line.request) not in own]
    return past.also_words(past.also(wanted, lines))


def _line(text: str) -> _Past | None:
    try:
        return msgspec.json.decode(text, type=_Past)
    except msgspec.MsgspecError:
        return None
