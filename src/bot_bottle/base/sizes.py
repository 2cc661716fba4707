"""Sizes and durations as people write them: ``4GB``, ``512MB``, ``5m``, ``2h``."""

import re

_SIZE = re.compile(r"(\d{1,15})(B|KB|MB|GB|TB)?\Z")
_UNITS = {None: 1, "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3, "TB": 1000**4}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)\Z")
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def size(text: str | int) -> int:
    """Bytes. Raises ValueError with what is accepted."""
    found = _SIZE.match(str(text))
    if not found:
        raise ValueError("a size is a number with B, KB, MB, GB or TB, like 512MB")
    return int(found[1]) * _UNITS[found[2]]


def duration(text: str) -> float:
    """Seconds. Raises ValueError with what is accepted."""
    found = _DURATION.match(text)
    if not found:
        raise ValueError("a duration is a number with ms, s, m, h or d, like 5m")
    return int(found[1]) * _SECONDS[found[2]]


def human(number: int) -> str:
    """Bytes for a person: 1.4 MB."""
    value = float(number)
    for unit in ("B", "KB", "MB", "GB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} TB"
