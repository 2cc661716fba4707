"""Asks as a person meets them: several of one bottle, host and cause in one card, never of mixed risk. Pure.

One click on a card answers all of it, so everything that could change the answer keeps two asks apart: bottle, label,
kind, rule, cause, scheme, host, port, protocol, method, secrets and risk. At most `MOST` asks stand in one card.
"""

from collections.abc import Callable, Iterable

import msgspec

from bot_bottle.supervise.model import Ask
from bot_bottle.supervise.risk import Risk, risk
from bot_bottle.supervise.sentence import sentence

MOST = 50


class Card(msgspec.Struct, frozen=True):
    """asks: oldest first. deadline: of the first that ends (wall ns). sentence: of the first, and how many more."""

    asks: tuple[Ask, ...]
    risk: Risk
    first_seen: bool
    sentence: str
    deadline: int


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


def _together(ask: Ask, level: Risk) -> tuple[object, ...]:
    wanted = ask.wanted
    return (
        ask.bottle, ask.run, ask.label, ask.kind, ask.rule, ask.reason, ask.state, ask.policy, ask.revision,
        wanted.target, wanted.protocol, wanted.method, wanted.methods, wanted.secrets, wanted.findings, level,
    )  # fmt: skip


def _card(asks: tuple[Ask, ...], seen: dict[str, bool]) -> Card:
    first = asks[0]
    new = seen[first.wanted.target.host]
    more = f" And {len(asks) - 1} more like it." if len(asks) > 1 else ""
    return Card(asks, risk(first.wanted, new), new, sentence(first, new) + more, min(one.deadline for one in asks))
