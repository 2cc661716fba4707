"""The five lines at the end of a run: allowed, asked, denied, secrets used, where the record is."""

from bot_bottle.base.sizes import human
from bot_bottle.base.text import visible
from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.workspace.exposed import HOLDS
from bot_bottle.egress.messages import Counters

_WIDTH = 9
_UNKNOWN = ("unknown: the gateway died before it told; see the record", *["unknown"] * 3)


def lines(outcome: Outcome) -> list[str]:
    """Five lines, then which secrets the workspace held; what was not looked into was said at the start.

    Names of hosts are agent-chosen.

    The checkpoint in the last of them, from its word on, is what `log verify --against` takes.
    """
    counters = outcome.counters
    moved = f"{human(counters.bytes_up)} up, {human(counters.bytes_down)} down"
    used = ", ".join(f"{visible(name)} x{times}" for name, times in sorted(counters.secrets.items())) or "none"
    told = (
        f"{_allowed(counters)}  {_hosts(counters.hosts)}  {moved}",
        f"{counters.asked}",
        f"{counters.denied}  {_refused(counters)}",
        used,
    )
    out = [
        *map(_line, ("allowed", "asked", "denied", "secrets"), told if counters.final else _UNKNOWN),
        _line("record", f"{outcome.log}  {_sealed(outcome)}"),
    ]
    return [*out, *(_line("found", one) for one in outcome.findings if HOLDS in one)]


def _allowed(counters: Counters) -> str:
    """How many, and apart those that came to nothing: ``3, of which 2 failed: upstream.unresolved x2``."""
    if not counters.failed:
        return str(counters.allowed)
    why = f": {_hosts(counters.failures)}" if counters.failures else ""
    return f"{counters.allowed}, of which {counters.failed} failed{why}"


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}} {text.rstrip()}"


def _sealed(outcome: Outcome) -> str:
    if not outcome.checkpoint:
        return f"{outcome.records} records, NOT SEALED"
    size, root = [*outcome.checkpoint.split("\n"), "", "", ""][1:3]
    state = "sealed" if outcome.sealed else f"{outcome.records} records, NOT SEALED"
    return f"{state}, checkpoint {size} {root}"


def _refused(counters: Counters) -> str:
    """Hosts of what was denied; what named none, or one host too many, counts too."""
    nameless = counters.denied - sum(counters.denied_hosts.values())
    named = [_hosts(counters.denied_hosts)] if counters.denied_hosts else []
    return ", ".join([*named, *([f"{nameless} unnamed"] if nameless > 0 else [])])


def _hosts(hosts: dict[str, int]) -> str:
    first = sorted(hosts.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    more = f" and {len(hosts) - 3} more" if len(hosts) > 3 else ""
    return ", ".join(f"{visible(host, 60)} x{count}" for host, count in first) + more
