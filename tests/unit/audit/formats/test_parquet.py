"""Parquet, read back by DuckDB: every field of every record; a missing extra says what to install."""

import io
import sys
from pathlib import Path

import duckdb
import pytest

from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats import parquet
from bot_bottle.audit.record import Record
from bot_bottle.base.errors import OperatorFault


def test_every_field_comes_back(entries: list[Entry], tmp_path: Path) -> None:
    path = tmp_path / "it's.parquet"
    with path.open("wb") as file:
        parquet.write(entries, file)
    with duckdb.connect() as connection:
        result = connection.execute("SELECT * FROM read_parquet(?)", [str(path)])
        names = [column[0] for column in result.description or []]
        rows = [dict(zip(names, row, strict=True)) for row in result.fetchall()]
    assert names[:2] == ["log", "number"]
    assert len(rows) == len(entries)
    for row, entry in zip(rows, entries, strict=True):
        assert (row["log"], row["number"]) == (entry.log, entry.number)
        for name in Record.__struct_fields__:
            found, meant = row[name], getattr(entry.record, name)
            if isinstance(meant, tuple):
                assert tuple(found) == meant, name
            elif isinstance(meant, float):
                assert found == pytest.approx(meant), name
            else:
                assert found == meant, name


def test_a_missing_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch, entries: list[Entry]) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(OperatorFault, match=r"bot-bottle\[analytics\]") as caught:
        parquet.write(entries, io.BytesIO())
    assert caught.value.slug == "export.no-duckdb"
