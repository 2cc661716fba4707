"""Idle links are bounded over all hosts: the longest idle one goes first."""

from typing import Any, cast

from bot_bottle.egress import upstream
from bot_bottle.egress.upstream import Pool


class Link:
    """As much of a link as the pool touches."""

    def __init__(self, pool: Pool, host: str) -> None:
        self.pool, self.key = pool, ("https", host, 443, "", 0)
        self.user: object = object()
        self.idle_since, self.reused, self.closed = 0.0, False, False

    def close(self) -> None:
        self.closed = True
        self.pool.drop(cast("Any", self))


class Loop:
    now = 0.0


def test_s12_idle_links_to_many_hosts_do_not_add_up() -> None:
    pool = Pool(cast("Any", Loop()))
    links = [Link(pool, f"h{number}.example") for number in range(upstream._RESTING + 5)]
    for link in links:
        pool.put(cast("Any", link))
    assert [link.closed for link in links] == [True] * 5 + [False] * upstream._RESTING
    assert pool.take(links[0].key, cast("Any", None)) is None
    assert pool.take(links[-1].key, cast("Any", None)) is cast("Any", links[-1])
    pool.put(cast("Any", links[-1]))
    assert sum(not link.closed for link in links) == upstream._RESTING
