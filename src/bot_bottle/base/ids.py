"""Names and ids: what a label, a bottle name and a run id may look like. No randomness here."""

import re
from typing import NewType

RunId = NewType("RunId", str)
NAME = re.compile(r"[a-z][a-z0-9-]{0,63}\Z")
LABEL = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}\Z")


def is_name(text: str) -> bool:
    """A manifest, harness or secret name: lower case letters, digits and hyphens."""
    return NAME.match(text) is not None


def is_label(text: str) -> bool:
    """A label of a running bottle; also a directory name, so no leading dot and no slash."""
    return LABEL.match(text) is not None


def run_id(wall_seconds: int, random: bytes) -> RunId:
    """``20261125t023842-9f3a…``: sorts by time, unique by 48 random bits."""
    days, second = divmod(wall_seconds, 86400)
    year, month, day = _civil(days)
    hour, rest = divmod(second, 3600)
    stamp = f"{year:04d}{month:02d}{day:02d}t{hour:02d}{rest // 60:02d}{rest % 60:02d}"
    return RunId(f"{stamp}-{random[:6].hex()}")


def _civil(days: int) -> tuple[int, int, int]:
    """Gregorian date of a day number since 1970 (H. Hinnant, days_from_civil inverted)."""
    z = days + 719468
    era, doe = divmod(z, 146097)
    yoe = (doe - doe // 1460 + doe // 36524 - doe // 146096) // 365
    doy = doe - (365 * yoe + yoe // 4 - yoe // 100)
    mp = (5 * doy + 2) // 153
    month = mp + 3 if mp < 10 else mp - 9
    return yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) // 5 + 1
