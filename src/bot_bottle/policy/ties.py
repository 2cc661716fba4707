"""Routes that match the same requests and would give them different power: an error in one file, a warning in a plan.

At run time such a pair is refused (decide.TIE); here it is found before anything runs.
"""

from collections.abc import Iterator, Sequence

from bot_bottle.policy.arms import Arm, arms_of
from bot_bottle.policy.effective import Match, PathMatch, Route


def pairs(routes: Sequence[Route]) -> Iterator[tuple[int, int]]:
    """(earlier, later) indexes of routes, both allow or both ask, with an equal match and different auth, address or
    authority."""
    known: dict[tuple[object, ...], tuple[int, Arm]] = {}
    for index, route in enumerate(routes):
        if route.action == "deny":
            continue
        found: set[int] = set()
        for key, arm in _keys(route, index):
            other, before = known.setdefault(key, (index, arm))
            if other != index and before.power != arm.power and other not in found:
                found.add(other)
                yield other, index


def sentences(routes: Sequence[Route]) -> list[str]:
    """One sentence a pair, for a plan."""
    return [
        f"{routes[one].rule} and {routes[two].rule} match the same requests with different power: those are refused"
        for one, two in pairs(routes)
    ]


def _keys(route: Route, index: int) -> Iterator[tuple[tuple[object, ...], Arm]]:
    """One key for each concrete set of requests of each arm: what has an equal key matches equally."""
    conditions = [(one, path) for one in route.matches or (Match(),) for path in one.paths or (PathMatch("", ""),)]
    for (match, path), arm in zip(conditions, arms_of(route, index), strict=True):
        heads = frozenset((head.name, head.type, head.value) for head in match.headers)
        for port in arm.ports or (0,):
            for protocol in arm.protocols:
                yield (
                    (arm.action, arm.host, arm.scheme, port, protocol, path.type, path.value, arm.methods, heads),
                    arm,
                )
