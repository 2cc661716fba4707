"""The five lines at the end of a run: allowed, asked, denied, secrets used, where the record is."""

from bot_bottle.base.sizes import human
from bot_bottle.base.text import visible
from bot_bottle.bottles.outcome import Outcome

_WIDTH = 9


def lines(outcome: Outcome) -> list[str]:
    """Five lines, then the newest checkpoint and what else a person should know. Names of hosts are agent-chosen."""
    counters = outcome.counters
    moved = f"{human(counters.bytes_up)} up, {human(counters.bytes_down)} down"
    used = ", ".join(f"{visible(name)} x{times}" for name, times in sorted(counters.secrets.items())) or "none"
    out = [
        _line("allowed", f"{counters.allowed}  {_hosts(counters.hosts)}  {moved}"),
        _line("asked", f"{counters.asked}"),
        _line("denied", f"{counters.denied}  {_hosts(counters.denied_hosts)}"),
        _line("secrets", used),
        _line("record", f"{outcome.log}  {outcome.records} records, {'sealed' if outcome.sealed else 'NOT SEALED'}"),
    ]
    if outcome.checkpoint:
        size, root = [*outcome.checkpoint.split("\n"), "", "", ""][1:3]
        out.append(_line("", f"checkpoint {size} {root}"))
    return [*out, *(_line("found", finding) for finding in outcome.findings)]


def _line(name: str, text: str) -> str:
    return f"{name:<{_WIDTH}} {text.rstrip()}"


def _hosts(hosts: dict[str, int]) -> str:
    first = sorted(hosts.items(), key=lambda pair: (-pair[1], pair[0]))[:3]
    more = f" and {len(hosts) - 3} more" if len(hosts) > 3 else ""
    return ", ".join(f"{visible(host, 60)} x{count}" for host, count in first) + more
