"""Asks as a person meets them: several of one bottle, host and cause in one card, never of mixed risk. Pure.

One click on a card answers all of it, so everything that could change the answer keeps two asks apart: bottle, label,
kind, rule, cause, scheme, host, port, protocol, method, header names, secrets and risk. Only reads that carry nothing
stand together over paths; whatever sends does with its like alone: one path, one content type, one size class, and
the sentence gives the sum (D25). A large head is no small one either: headers carry data as well. At most `MOST` asks
stand in one card.
"""

from bisect import bisect
from collections.abc import Callable, Iterable
from itertools import zip_longest
from typing import TypeVar

import msgspec

from bot_bottle.supervise.granting import is_access
from bot_bottle.supervise.model import Ask, Wanted
from bot_bottle.supervise.risk import Risk, risk, sends
from bot_bottle.supervise.sentence import LARGE_HEAD, sentence

T = TypeVar("T")
MOST = 50
_SIZES = (1, 1_000, 10_000, 100_000, 1_000_000)
"""Bytes from which a body, or a query, is of the next class."""
_HEADS = (LARGE_HEAD, 4 * LARGE_HEAD)


class Card(msgspec.Struct, frozen=True):
    """asks: oldest first. deadline: of the first that ends (wall ns). sentence: of all. bytes: of all bodies."""

    asks: tuple[Ask, ...]
    risk: Risk
    first_seen: bool
    sentence: str
    deadline: int
    bytes: int


def cards(asks: Iterable[Ask], first_seen: Callable[[str], bool]) -> list[Card]:
    """The cards of asks in any order, the oldest card first. first_seen: whether no bottle reached a host before."""
    seen: dict[str, bool] = {}
    batches: dict[tuple[object, ...], list[list[Ask]]] = {}
    for ask in sorted(asks, key=lambda one: (one.asked, one.id)):
        host = ask.wanted.target.host
        if host not in seen:
            seen[host] = first_seen(host)
        batch = batches.setdefault(_together(ask, risk(ask.wanted, seen[host])), [[]])
        if len(batch[-1]) == MOST:
            batch.append([])
        batch[-1].append(ask)
    made = [_card(tuple(one), seen) for batch in batches.values() for one in batch]
    return sorted(made, key=lambda card: (card.asks[0].asked, card.asks[0].id))


def in_turn(found: Iterable[T], run: Callable[[T], str]) -> list[T]:
    """One of each run, then the next of each: a run that asks much takes no place of another's (B74). The order of
    the runs is that of their first; within one it is kept."""
    queues: dict[str, list[T]] = {}
    for one in found:
        queues.setdefault(run(one), []).append(one)
    return [one for turn in zip_longest(*queues.values()) for one in turn if one is not None]


def _together(ask: Ask, level: Risk) -> tuple[object, ...]:
    wanted = ask.wanted
    return (
        ask.bottle, ask.run, ask.label, ask.kind, ask.rule, ask.reason, ask.state, ask.policy, ask.revision,
        wanted.target, wanted.protocol, wanted.method, wanted.methods, wanted.secrets, wanted.findings, level,
        frozenset(name.lower() for name in wanted.headers), bisect(_HEADS, wanted.head_bytes), *_alike(wanted),
    )  # fmt: skip


def _alike(wanted: Wanted) -> tuple[object, ...]:
    """What more must be equal: of a read without body, query or secret nothing."""
    if is_access(wanted):
        return (wanted.path,)
    if wanted.protocol == "websocket" or sends(wanted) or wanted.secrets or wanted.findings:
        kind = wanted.content_type.partition(";")[0].strip().lower()
        return wanted.path, kind, bisect(_SIZES, wanted.body_bytes), bisect(_SIZES, len(wanted.query))
    return ()


def _card(asks: tuple[Ask, ...], seen: dict[str, bool]) -> Card:
    first = asks[0]
    new = seen[first.wanted.target.host]
    words = sentence(first, new, [one.wanted for one in asks[1:]])
    total = sum(one.wanted.body_bytes for one in asks)
    return Card(asks, risk(first.wanted, new), new, words, min(one.deadline for one in asks), total)
