"""Parquet (zstd) for analytics, one column a field of the record. Written by DuckDB: the extra ``analytics``.

Nothing of a record is ever part of a statement: DuckDB reads our JSON lines from a file of ours, with named columns.
"""

import os
import shutil
import tempfile
from collections.abc import Iterable
from typing import Any, BinaryIO

import msgspec

from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats.model import Format
from bot_bottle.base.errors import OperatorFault

_INTEGERS = ("v", "time", "mono", "request", "status", "up", "down", "count")
_LISTS = ("query_names", "headers", "secrets", "findings")
_MAPS = ("matched", "detail")


def write(entries: Iterable[Entry], out: BinaryIO) -> None:
    """The whole file. Raises OperatorFault ``export.no-duckdb`` where the extra is not installed."""
    duckdb = _duckdb()
    with tempfile.TemporaryDirectory(prefix="bot-bottle-parquet-") as folder:
        lines, made = os.path.join(folder, "records.jsonl"), os.path.join(folder, "records.parquet")
        with open(lines, "wb") as file:
            for entry in entries:
                file.write(_row(entry))
        with duckdb.connect(config={"autoinstall_known_extensions": "false"}) as connection:
            source = (
                "read_json($lines, format='newline_delimited', maximum_object_size=1048576, columns=" + _columns()
            )
            # the path is ours; a statement of COPY takes no parameter there
            copy = f"COPY (SELECT * FROM {source})) TO '{_quoted(made)}' (FORMAT parquet, COMPRESSION zstd)"  # noqa: S608
            connection.execute(copy, {"lines": lines})
        with open(made, "rb") as file:
            shutil.copyfileobj(file, out)


def _duckdb() -> Any:
    try:
        import duckdb
    except ImportError:
        raise OperatorFault(
            "export.no-duckdb",
            "Parquet needs DuckDB, which is not installed.",
            "Run: pip install 'bot-bottle[analytics]'",
        ) from None
    return duckdb


def _row(entry: Entry) -> bytes:
    fields = {name: getattr(entry.record, name) for name in entry.record.__struct_fields__}
    return msgspec.json.encode({"log": entry.log, "number": entry.number, **fields}) + b"\n"


def _columns() -> str:
    from bot_bottle.audit.record import Record

    kinds = {"log": "VARCHAR", "number": "BIGINT"}
    for name in Record.__struct_fields__:
        kinds[name] = "BIGINT" if name in _INTEGERS else "DOUBLE" if name == "ms" else "VARCHAR"
        kinds[name] = "VARCHAR[]" if name in _LISTS else "MAP(VARCHAR, VARCHAR)" if name in _MAPS else kinds[name]
    return "{" + ", ".join(f"\"{name}\": '{kind}'" for name, kind in kinds.items()) + "}"


def _quoted(path: str) -> str:
    return path.replace("'", "''")


FORMAT = Format(
    "parquet", ".parquet", "application/vnd.apache.parquet", "Columns for analytics (extra: analytics).", whole=write
)
