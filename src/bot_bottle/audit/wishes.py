"""What is asked of a purge and what came of it: plain data, light, because every launcher imports it."""

import msgspec


class PurgeWish(msgspec.Struct, frozen=True):
    """runs: these; days: those that ended longer ago, 0 for none. sinks: names of those that must have a run's
    records first; despite_sinks: purge all the same. approver: who wants it. reason: their words."""

    runs: tuple[str, ...] = ()
    days: int = 0
    sinks: tuple[str, ...] = ()
    despite_sinks: bool = False
    approver: str = ""
    reason: str = ""


class Kept(msgspec.Struct, frozen=True):
    """Why the records of a run stay. slug: `HELD` and so on, or of the fault that was met; what: one sentence."""

    slug: str
    what: str


UNKNOWN = "purge.unknown"
HELD = "purge.held"
OPEN = "purge.open"
BEHIND = "purge.not-forwarded"


class PurgeResult(msgspec.Struct):
    """purged: run -> records that went. kept: run -> why it stays."""

    purged: dict[str, int] = {}
    kept: dict[str, Kept] = {}
