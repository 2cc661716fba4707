"""What holds for every format, whatever a record contains (B73)."""

import io
import json
import re

import pytest

from bot_bottle.audit.encode import decode
from bot_bottle.audit.entries import UNREADABLE, Entry
from bot_bottle.audit.formats import ocsf
from bot_bottle.audit.formats.registry import FORMATS, LINES, format_of
from bot_bottle.base.errors import UsageFault

WHOLE = [name for name, form in FORMATS.items() if form.whole is not None]
BY_LINE = [name for name in FORMATS if name not in WHOLE]
CONTROL = re.compile(
    rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa6-\xa9]|\xc2[\x80-\x9f]"
)


def test_the_registry_is_one_module_a_format() -> None:
    assert set(FORMATS) == {"jsonl", "numbered", "csv", "ocsf", "ocsf18", "cef", "parquet"}
    assert set(LINES) == {"jsonl", "numbered", "ocsf", "ocsf18", "cef"}
    assert format_of("cef").says
    with pytest.raises(UsageFault, match="no format"):
        format_of("xml\x1b[31m")


@pytest.mark.parametrize("name", BY_LINE)
def test_every_entry_is_exactly_one_line_without_controls(name: str, entries: list[Entry]) -> None:
    line = format_of(name).line
    assert line is not None
    end = b"\r\n" if name == "csv" else b"\n"
    for entry in entries:
        out = line(entry)
        assert out.endswith(end)
        assert b"\n" not in out[: -len(end)]
        assert b"\r" not in out[: -len(end)]
        assert not CONTROL.search(out[: -len(end)]), (name, entry.record)
        out.decode()


@pytest.mark.parametrize("name", list(FORMATS))
def test_an_export_holds_every_entry(name: str, entries: list[Entry]) -> None:
    out = io.BytesIO()
    format_of(name).write(iter(entries), out)
    if name in BY_LINE:
        head = 1 if format_of(name).head else 0
        assert out.getvalue().count(b"\n") == len(entries) + head
    assert len(out.getvalue()) > 1000
    empty = io.BytesIO()
    format_of(name).write(iter(()), empty)


def test_jsonl_is_the_log_itself(entries: list[Entry]) -> None:
    line = format_of("jsonl").line
    assert line is not None
    for entry in entries:
        if entry.record.kind == UNREADABLE:
            assert decode(line(entry)).detail["sha256"]
        else:
            assert line(entry) == entry.line


def test_numbered_round_trips_and_tells_repeats(entries: list[Entry]) -> None:
    line = format_of("numbered").line
    assert line is not None
    seen = set()
    for entry in entries:
        document = json.loads(line(entry))
        place = document.get("number", document.get("size"))
        assert (document["log"], place) == (entry.log, entry.number)
        assert document["record"]["kind"] == entry.record.kind
        seen.add(entry.uid)
    assert len(seen) == len(entries)


@pytest.mark.parametrize("name", ["ocsf", "ocsf18"])
def test_ocsf_round_trips(name: str, entries: list[Entry]) -> None:
    line = format_of(name).line
    assert line is not None
    for entry in entries[:-2]:
        back = ocsf.entry_of(json.loads(line(entry)))
        assert (back.log, back.number, back.line, back.record) == (entry.log, entry.number, entry.line, entry.record)
