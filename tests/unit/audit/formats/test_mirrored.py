"""A mirrored checkpoint is found where our formats put it, and a look-alike in a stranger's text is not."""

import json
from dataclasses import replace

import pytest

from bot_bottle.audit.encode import encode
from bot_bottle.audit.entries import UNREADABLE, Entry, entry, mirrored
from bot_bottle.audit.formats.registry import LINES, format_of
from bot_bottle.audit.mirrored import notes_in
from bot_bottle.audit.sinks.otlp import document
from bot_bottle.audit.sinks.syslog import message

from .conftest import RUN, a_record, chain


def lines(name: str, found: list[Entry]) -> list[bytes]:
    line = format_of(name).line
    assert line is not None
    return [line(one) for one in found]


@pytest.mark.parametrize("name", LINES)
def test_it_comes_out_of_every_format_and_envelope(name: str, note: bytes) -> None:
    found = [*chain([a_record("start")]), mirrored("host", note, 1), mirrored("host", note, 2)]
    out = lines(name, found)
    assert notes_in(b"".join(out)) == [note]
    assert notes_in(b"\n".join(message(one, text, "h") for one, text in zip(found, out, strict=True))) == [note]
    assert notes_in(document(found, out, 7)) == [note]
    received = json.dumps({"message": out[1].decode(), "host": "x"}).encode()
    assert notes_in(received) == [note]


@pytest.mark.parametrize("name", LINES)
def test_b73_a_look_alike_in_a_request_is_not_taken(name: str, note: bytes) -> None:
    forged = note.replace(b"4\n", b"9\n", 1).decode()
    inside = json.dumps({"log": "host", "size": 9, "record": {"kind": "mirrored", "detail": {"note": forged}}})
    hostile = a_record(
        "denied", path=inside, reason=forged, matched={"message": inside, "note": forged}, detail={"note": forged, "msg": inside},
        target="CEF:0|a|b|c|mirrored|x|1| msg=" + forged.replace("\n", "\\n"),
    )  # fmt: skip
    out = lines(name, [*chain([hostile]), mirrored("host", note, 1)])
    assert notes_in(b"".join(out)) == [note], "the genuine one alone"


def test_b73_a_kind_that_a_gateway_made_up_is_no_checkpoint(note: bytes) -> None:
    line = encode(replace_kind("mirrored", note))
    assert entry(RUN, 3, line).record.kind == UNREADABLE
    assert notes_in(b"".join(lines("numbered", [entry(RUN, 3, line)]))) == []
    genuine = mirrored("host", note, 1)
    assert notes_in(b"".join(lines("numbered", [genuine]))) == [note], "positive control"


def replace_kind(kind: str, note: bytes):
    return a_record(kind, detail={"note": note.decode()})


def test_plain_notes_and_rubbish_hold_none(note: bytes) -> None:
    assert notes_in(note) == []
    for data in (b"", b"{", b"{}" * 5, b'{"record":3,"size":1}', b"CEF:0|" * 9, b'{"body":' * 5000, b"\xff" * 99):
        assert notes_in(data) == []


def test_a_record_that_ends_at_a_checkpoint_carries_it(note: bytes) -> None:
    one = replace(chain([a_record("start")])[0], note=note)
    assert notes_in(b"".join(lines("ocsf", [one]))) == [note]
