"""Bottle-wide limits that hold before any record (D18, S12): pure token buckets, moved by the time they are told.

Excess is never recorded one by one: it is counted and written once a second and cause.
"""

import re
from typing import NamedTuple

from bot_bottle.egress.messages import Limits
from bot_bottle.policy.verdict import RouteLimits

_ENCODED = re.compile("[a-z0-9]{32}")
"""A run that no word has: hexadecimal digests, base32; hyphens and underscores end it."""


class Bucket:
    """`rate` tokens a second, at most `burst` saved up; rate 0 means no limit."""

    __slots__ = ("_at", "_burst", "_left", "_rate")

    def __init__(self, rate: float, burst: float | None = None) -> None:
        self._rate = rate
        self._burst = max(1.0, rate if burst is None else burst)
        self._left = self._burst
        self._at = 0.0

    def take(self, now: float, count: float = 1.0) -> bool:
        """Whether `count` tokens were there; then they are gone."""
        if not self._rate:
            return True
        if now > self._at:
            self._left = min(self._burst, self._left + (now - self._at) * self._rate)
            self._at = now
        if self._left < count:
            return False
        self._left -= count
        return True


class Gauges:
    """All buckets of one bottle, and what they refused since the last record, by cause."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.arrivals = Bucket(limits.arrivals, limits.arrivals * 2)
        self.denials = Bucket(limits.denials, limits.denials * 2)
        self.names = Bucket(limits.names, limits.names * 2)
        self.excess: dict[str, int] = {}

    def refuse(self, cause: str) -> None:
        """Counts one refusal for the next LIMITED record."""
        self.excess[cause] = self.excess.get(cause, 0) + 1

    def collect(self) -> dict[str, int]:
        """Refusals since the last call."""
        excess, self.excess = self.excess, {}
        return excess


class Over(NamedTuple):
    """What is too much: reason slug, a sentence, the status of the answer."""

    slug: str
    what: str
    status: int = 403


class Spent:
    """What one route used so far in this bottle."""

    __slots__ = ("bytes", "rate")

    def __init__(self, requests_per_minute: int) -> None:
        self.rate = Bucket(requests_per_minute / 60, max(1, requests_per_minute))
        self.bytes = 0

    def refuses(self, limits: RouteLimits, rule: str, now: float) -> Over | None:
        """Why one more request is too much, or None; then it is counted."""
        if not self.rate.take(now):
            what = f"Rule {rule} allows {limits.requests_per_minute} requests a minute."
            return Over("limit.requests", what, 429)
        if limits.bottle_bytes and self.bytes >= limits.bottle_bytes:
            return Over("limit.bottle-bytes", f"Rule {rule} has used its bytes for this bottle.")
        return None


class Wildcards:
    """Names below wildcards: whoever owns the zone reads them, so few, and no encoded data (D09, B23)."""

    def __init__(self, budget: int = 200) -> None:
        self._names: set[str] = set()
        self._budget = budget

    def refuses(self, host: str, whole: bool = False) -> Over | None:
        """Why this name is not to be resolved, or None; then it is counted. whole: no route names any part of it."""
        if host in self._names:
            return None
        if _ENCODED.search(host if whole else host.partition(".")[0]):
            return Over("name.encoded", "A label of the name looks like encoded data.")
        if len(self._names) >= self._budget:
            return Over("name.budget", f"This bottle has used {self._budget} different names below wildcards.")
        self._names.add(host)
        return None
