"""CSV (RFC 4180) that no spreadsheet executes (D18, B73): formulas get an apostrophe, hidden characters a name."""

import csv
import io

from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats.model import Format
from bot_bottle.audit.record import Record
from bot_bottle.base.text import visible

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
_FIELDS = Record.__struct_fields__


def line(entry: Entry) -> bytes:
    """Every cell quoted; log and number first."""
    return _row([cell(entry.log), str(entry.number), *(cell(getattr(entry.record, name)) for name in _FIELDS)])


def cell(value: object) -> str:
    """Text of one cell. A text that a spreadsheet would take for a formula gets an apostrophe in front."""
    if isinstance(value, int | float):
        return f"{value}"
    if isinstance(value, dict):
        value = "; ".join(f"{key}: {text}" for key, text in value.items())  # pyright: ignore[reportUnknownVariableType]
    elif isinstance(value, tuple):
        value = "; ".join(str(item) for item in value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    raw = str(value)
    text = visible(raw, 1 << 20)
    return f"'{text}" if raw.lstrip().startswith(_FORMULA) or raw[:1] in _FORMULA else text


def _row(cells: list[str]) -> bytes:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerow(cells)
    return out.getvalue().encode()


FORMAT = Format(
    "csv", ".csv", "text/csv; charset=utf-8", "A table for people; formulas made harmless.", line,
    head=_row(["log", "number", *_FIELDS]),
)  # fmt: skip
