"""Records as a file, in the formats that are written from front to back."""

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from bot_bottle.audit import filters
from bot_bottle.web.api.operation import Download, Operation
from bot_bottle.web.desk import Desk

Format = Literal["jsonl", "csv", "ocsf", "ocsf18", "cef"]
FORMATS: tuple[Format, ...] = get_args(Format)


class ExportWish(msgspec.Struct, forbid_unknown_fields=True):
    """q: a filter as on the Log page; empty takes every record of every log."""

    q: Annotated[str, Meta(max_length=filters.MAX_FILTER)] = ""
    format: Format = "jsonl"


def export_records(desk: Desk, wish: ExportWish) -> Download:
    """Reads the signed logs themselves, not the index. Raises FilterFault, WebFault 429."""
    wanted = filters.parse(wish.q)
    ending = wish.format if wish.format in ("csv", "cef") else "jsonl"
    pieces = desk.office.exports.begin(desk.home, wanted, wish.format, desk.clock())
    kind = "text/csv" if ending == "csv" else "application/octet-stream"
    return Download(pieces, kind, f"bot-bottle-records.{ending}")


EXPORT = Operation(
    "exportRecords", "GET", "/records/export", "Records as a file", "read", ExportWish, Download, export_records,
    description="All that fit, from the signed logs. The connection is cut where it cannot be finished.",
)  # fmt: skip
OPERATIONS = (EXPORT,)
