"""Records for other programs: JSON lines as they were written, or CSV that no spreadsheet executes (D18, B73)."""

import csv
import io
from collections.abc import Iterable, Iterator

from bot_bottle.audit.encode import decode
from bot_bottle.audit.reader import Batch
from bot_bottle.audit.record import Record
from bot_bottle.base.errors import AuditFault
from bot_bottle.base.text import visible

_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "＝", "＋", "－", "＠")
_FIELDS = Record.__struct_fields__


def jsonl(batches: Iterable[Batch]) -> Iterator[bytes]:
    """The very lines; those that are no record are left out (verify names them)."""
    for _, lines in batches:
        for line in lines:
            try:
                decode(line)
            except AuditFault:
                continue
            yield line


def csv_rows(batches: Iterable[Batch]) -> Iterator[bytes]:
    """RFC 4180, every cell quoted, first the number of the record."""
    yield _row(["number", *_FIELDS])
    for start, lines in batches:
        for number, line in enumerate(lines, start):
            try:
                record = decode(line)
            except AuditFault:
                continue
            yield _row([str(number), *(cell(getattr(record, name)) for name in _FIELDS)])


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
