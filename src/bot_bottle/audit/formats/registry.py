"""The list of formats."""

from bot_bottle.audit.formats import cef, csv, jsonl, numbered, ocsf, ocsf18, parquet
from bot_bottle.audit.formats.model import Format
from bot_bottle.base.errors import UsageFault
from bot_bottle.base.text import visible

FORMATS: dict[str, Format] = {
    one.name: one
    for one in (
        jsonl.FORMAT,
        numbered.FORMAT,
        csv.FORMAT,
        ocsf.FORMAT,
        ocsf18.FORMAT,
        cef.FORMAT,
        parquet.FORMAT,
    )
}
LINES = tuple(name for name, one in FORMATS.items() if one.line is not None and not one.head)
"""Formats that a sink can send line by line."""


def format_of(name: str) -> Format:
    """The format of this name. Raises UsageFault for an unknown one."""
    if name not in FORMATS:
        known = ", ".join(FORMATS)
        raise UsageFault("export.format", f"There is no format {visible(name, 40)}.", f"Known: {known}.")
    return FORMATS[name]
