"""The picture of one run's time, as places in percent: what was allowed, asked and denied, what people said, and how
far the log is under a checkpoint. Pure; the template draws it.
"""

import datetime
from collections.abc import Iterable
from dataclasses import dataclass

from bot_bottle.audit.index_counts import Bucket
from bot_bottle.supervise.model import Ask, AskState

_SECOND = 1_000_000_000
_STEPS = (1, 5, 10, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 604800)
_HIGH, _LABELS, _TICKS = 24, 7, 36


@dataclass(frozen=True, slots=True)
class Line:
    """Places are texts in percent. allowed: (place, height in px). asks: (place, width, state). people: (place,
    words, whether they stand left of it). sealed: where the log ends that a checkpoint covers. labels: (place, time,
    whether a phone shows it)."""

    allowed: tuple[tuple[str, float], ...]
    asks: tuple[tuple[str, str, str], ...]
    denied: tuple[str, ...]
    people: tuple[tuple[str, str, bool], ...]
    sealed: str
    ticks: tuple[str, ...]
    labels: tuple[tuple[str, str, bool], ...]


def line(start: int, end: int, buckets: list[Bucket], asks: Iterable[Ask], signed: int) -> Line:
    """start, end: wall ns. signed: when the newest record was written that a checkpoint covers; 0 where none is."""
    most = max((one.allow for one in buckets), default=0) or 1
    known = [ask for ask in asks if start <= ask.asked <= end]
    return Line(
        tuple((_place(one.start, start, end), 2 + (_HIGH - 2) * one.allow / most) for one in buckets if one.allow),
        tuple((_place(ask.asked, start, end), _width(ask, start, end), ask.state.value) for ask in known),
        tuple(_place(one.start, start, end) for one in buckets if one.deny),
        _people(known, start, end),
        _place(min(max(signed, start), end), start, end),
        tuple(f"{100 * n / _TICKS:.1f}%" for n in range(_TICKS)),
        _labels(start, end),
    )


def _people(asks: list[Ask], start: int, end: int) -> tuple[tuple[str, str, bool], ...]:
    words = {AskState.ALLOWED: "allowed", AskState.DENIED: "denied"}
    made: list[tuple[str, str, bool]] = []
    last = 0
    for ask in sorted(asks, key=lambda one: one.settled):
        if ask.state in words and start <= ask.settled <= end:
            crowded = last and ask.settled - last < (end - start) // 8
            text = "" if crowded else words[ask.state]
            made.append((_place(ask.settled, start, end), text, _late(ask, start, end)))
            last = ask.settled
    return tuple(made)


def _late(ask: Ask, start: int, end: int) -> bool:
    return (ask.settled - start) / max(1, end - start) > 0.85


def _width(ask: Ask, start: int, end: int) -> str:
    until = min(end, ask.settled or end)
    return f"{100 * max(0, until - ask.asked) / max(1, end - start):.2f}%"


def _labels(start: int, end: int) -> tuple[tuple[str, str, bool], ...]:
    """Round times, at most seven of them; the second and so on of them are left out where it is narrow."""
    seconds = max(1, (end - start) // _SECOND)
    step = next((one for one in _STEPS if seconds / one <= _LABELS), _STEPS[-1])
    form = "%H:%M" if step >= 60 else "%H:%M:%S"
    if step >= 86400:
        form = "%m-%d"
    first = datetime.datetime.fromtimestamp(start / _SECOND).astimezone()
    zone = int((first.utcoffset() or datetime.timedelta()).total_seconds())
    ahead = -(start // _SECOND + zone) % step
    times = [(start // _SECOND + ahead + n * step) * _SECOND for n in range(_LABELS + 1)]
    return tuple(
        (
            _place(at, start, end),
            datetime.datetime.fromtimestamp(at / _SECOND).astimezone().strftime(form),
            n % 2 == 0,
        )
        for n, at in enumerate(one for one in times if start <= one <= end)
    )


def _place(ns: int, start: int, end: int) -> str:
    return f"{100 * (ns - start) / max(1, end - start):.2f}%"
