"""CEF, read back by a strict reader of the specification (ArcSight CEF, version 25): nothing gets lost or in between."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from bot_bottle.audit.encode import decode, encode
from bot_bottle.audit.entries import Entry
from bot_bottle.audit.formats import cef
from bot_bottle.base.text import visible

from .conftest import HOSTILE, a_record, chain

_PAIR = re.compile(r"(?:^| )([A-Za-z][A-Za-z0-9]*)=((?:[^\\=]|\\[\\=nr])*?)(?= [A-Za-z][A-Za-z0-9]*=|$)", re.DOTALL)


def parsed(line: bytes) -> tuple[list[str], dict[str, str]]:
    """Header fields and extension, unescaped; raises AssertionError where a reader could be led astray."""
    text = line.decode().removesuffix("\n")
    assert "\n" not in text
    fields: list[str] = []
    at = 0
    for _ in range(7):
        match = re.compile(r"((?:[^|\\]|\\[|\\])*)\|").match(text, at)
        assert match, text
        fields.append(re.sub(r"\\([|\\])", r"\1", match[1]))
        at = match.end()
    rest, pairs, end = text[at:], {}, 0
    for match in _PAIR.finditer(rest):
        assert match.start() == end, rest[end : match.start()]
        assert match[1] not in pairs, f"{match[1]} twice"
        pairs[match[1]] = re.sub(r"\\(.)", lambda m: {"n": "\n", "r": "\r"}.get(m[1], m[1]), match[2])
        end = match.end()
    assert end == len(rest), rest[end:]
    return fields, pairs


def test_every_entry_reads_back(entries: list[Entry]) -> None:
    for entry in entries:
        fields, pairs = parsed(cef.line(entry))
        assert (fields[0], fields[4]) == ("CEF:0", entry.record.kind)
        assert 0 <= int(fields[6]) <= 10
        assert pairs["externalId"] == entry.uid
        if entry.record.reason:
            assert pairs["reason"] == visible(entry.record.reason, 1023)


def test_a_checkpoint_keeps_its_line_ends(entries: list[Entry], note: bytes) -> None:
    _, pairs = parsed(cef.line(entries[-1]))
    assert pairs["msg"] == note.decode()


@given(st.text(max_size=200), st.text(max_size=200))
@example("a=b", " act=allow")
@example("\\", "x\\=y|z")
@example("a cs1=evil", "b\nCEF:0|a|b|c|d|e|f|")
def test_any_text_stays_in_its_field(reason: str, path: str) -> None:
    record = decode(
        encode(a_record("denied", reason=reason, path=path, target="https://h:1", method="GET", rule="r"))
    )
    fields, pairs = parsed(cef.line(chain([record])[0]))
    assert pairs.get("reason", "") == visible(record.reason, 1023)
    assert pairs["cs1"] == "r"
    assert pairs.get("act", "") == ""
    assert fields[4] == "denied"


@given(st.text(max_size=300))
def test_escapes_are_their_own_inverse(text: str) -> None:
    for form in (cef.header(text), cef.extension(visible(text, 1000))):
        assert not re.search(r"(?<!\\)(?:\\\\)*[|]", form) or "|" in cef.extension(visible(text, 1000))
        assert "\n" not in form


def test_hostile_texts_cannot_add_a_field() -> None:
    for text in HOSTILE:
        record = decode(encode(a_record("denied", reason=text, path=text, detail={text: text})))
        _, pairs = parsed(cef.line(chain([record])[0]))
        known = {
            "rt",
            "externalId",
            "cat",
            "deviceProcessName",
            "shost",
            "reason",
            "cs2Label",
            "cs2",
            "cs3Label",
            "cs3",
        }
        assert set(pairs) <= known | {"cs6Label", "cs6", "msg"}
