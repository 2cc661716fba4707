"""Which hosts are news: no bottle reached them before, and nobody marked them as reviewed (B73).

A bottle can make a host stand in the logs by itself, by a request that is refused. So only what got a connection, or
a person's mark, takes the news off a card; where the log could not be read to its end, nothing is said either way.
"""

import threading
import time
from collections.abc import Sequence

from bot_bottle.audit.index import Index
from bot_bottle.base.errors import BottleError
from bot_bottle.base.home import Home
from bot_bottle.policy.hosts import bracketed
from bot_bottle.supervise.model import Ask
from bot_bottle.web.desk import Desk
from bot_bottle.web.reviewed import Reviewed
from bot_bottle.web.watch import Watch

_PAUSE = 0.05


def new_hosts(index: Index, home: Home, asks: Sequence[Ask]) -> set[str]:
    """Hosts of asks that no bottle reached before the first of these asks, and that nobody reviewed."""
    asked: dict[str, int] = {}
    for ask in asks:
        host = ask.wanted.target.host
        asked[host] = min(asked.get(host, ask.asked), ask.asked)
    named = {bracketed(host): host for host in asked}
    known = index.reach.reached_before({name: asked[host] for name, host in named.items()})
    known |= Reviewed(home).of(list(named)).keys()
    return {host for name, host in named.items() if name not in known}


def news_for(at: Desk, asks: Sequence[Ask]) -> set[str]:
    """The same, for a page. What was reached in the last second may still be news."""
    if not asks:
        return set()
    if at.office.watch.whole:
        at.office.watch.begin()
    else:
        at.office.watch.fresh()
    return new_hosts(at.index(), at.home, asks)


class News:
    """The same, without a dashboard: for a terminal, and for notices. Any thread may ask."""

    def __init__(self, home: Home) -> None:
        self._home = home
        self._watch = Watch(home)
        self._own = threading.local()

    def of(self, asks: Sequence[Ask], seconds: float = 1.0) -> set[str] | None:
        """None where the logs could not be taken in within this time, or not be read at all."""
        if not asks:
            return set()
        try:
            return new_hosts(self._index(), self._home, asks) if self._fresh(seconds) else None
        except BottleError:
            return None

    def _fresh(self, seconds: float) -> bool:
        """Another process may fill the index just now: then we look again."""
        end = time.monotonic() + seconds
        while not self._watch.fresh(max(_PAUSE, end - time.monotonic())):
            if time.monotonic() > end - _PAUSE:
                return False
            time.sleep(_PAUSE)
        return True

    def _index(self) -> Index:
        index: Index | None = getattr(self._own, "index", None)
        if index is None or index.stale:
            index = self._own.index = Index(self._home.index, self._home)
        return index
