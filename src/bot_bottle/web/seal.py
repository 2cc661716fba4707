"""To which checkpoint the host log is sealed: what the header of every page says. Read; `log verify` verifies."""

import os
from dataclasses import dataclass

from bot_bottle.audit import checkpoint
from bot_bottle.base.errors import AuditFault
from bot_bottle.base.home import Home


@dataclass(frozen=True, slots=True)
class Seal:
    """size: records of the host log under its newest checkpoint. at: wall ns when it was written."""

    size: int
    at: int


def newest(home: Home) -> Seal | None:
    """None before the first checkpoint, or where it cannot be read."""
    try:
        path = f"{home.host_log}/checkpoint"
        with open(path, encoding="utf-8") as file:
            text = file.read(4096)
            at = os.fstat(file.fileno()).st_mtime_ns
        body = text.partition("\n\n")[0] + "\n"
        return Seal(checkpoint.parse(body).size, at)
    except (OSError, UnicodeDecodeError, AuditFault):
        return None
