"""What was denied lately, so that an agent can ask why by the number in its answer (B73, S12). Pure.

Bounded in number and in size; held in the memory of one gateway, so no run can read what another was denied.
"""

from collections import OrderedDict
from typing import NamedTuple

from bot_bottle.base.text import visible
from bot_bottle.policy.verdict import Target

KEPT = 200
_PATH, _HINT = 512, 400


class Denial(NamedTuple):
    """One answer of ours. target None: it never became clear where the request was to go."""

    method: str
    target: Target | None
    path: str
    protocol: str
    status: int
    reason: str
    rule: str
    hint: str


class Denials:
    """By request number, oldest dropped first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, Denial] = OrderedDict()

    def add(self, number: int, denial: Denial) -> None:
        """Remembers one answer, cut to size."""
        self._kept[number] = denial._replace(
            method=visible(denial.method, 32), path=visible(denial.path, _PATH), hint=visible(denial.hint, _HINT)
        )
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def get(self, number: int) -> Denial | None:
        return self._kept.get(number)
