"""audit.encode: one line of printable ASCII, at most 16 KB, the same record back where nothing was cut."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.audit.encode import MAX_LINE, MAX_TEXT, decode, encode, uncut
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.base.errors import AuditFault

anything = st.text(st.characters(exclude_categories=[]), max_size=3000)
few = st.lists(anything, max_size=5).map(tuple)
records = st.builds(
    Record, v=st.just(VERSION), kind=st.sampled_from(["intent", "outcome", "body", "odd"]), run=anything,
    time=st.integers(0, 2**62), mono=st.integers(0, 2**62), bottle=anything, agent=anything, harness=anything,
    label=anything, policy=anything, request=st.integers(0, 2**62), path=anything, query_names=few, headers=few,
    matched=st.dictionaries(anything, anything, max_size=5), detail=st.dictionaries(anything, anything, max_size=5),
    ms=st.floats(0, 1e9),
)  # fmt: skip


@given(records)
def test_any_record_is_one_bounded_line_of_printable_ascii(record: Record) -> None:
    line = encode(record)
    assert len(line) <= MAX_LINE
    assert line.endswith(b"}\n")
    assert all(0x20 <= byte < 0x7F for byte in line[:-1])
    assert decode(line).request == record.request


@given(records)
def test_field_order_is_the_order_of_the_type(record: Record) -> None:
    names = list(json.loads(encode(record)))
    assert names == [name for name in Record.__struct_fields__ if name in names]


def test_short_records_come_back_equal(make) -> None:
    record = make(path="/vé/\x1b\x7f\u202e\U0001f600", headers=("a", "b"), matched={"x": "1"}, ms=1.25)
    assert decode(encode(record)) == record


def test_a_long_text_is_cut_and_keeps_the_digest_of_the_whole(make) -> None:
    one, other = decode(encode(make(path="/" + "a" * 5000))), decode(encode(make(path="/" + "a" * 5001)))
    assert len(one.path) < MAX_TEXT + 30
    assert one.path != other.path
    assert one.path == decode(encode(make(path="/" + "a" * 5000))).path


def test_long_lists_say_how_much_is_missing(make) -> None:
    record = decode(encode(make(headers=tuple(f"x-{number}" for number in range(300)))))
    assert record.headers[-1] == "…+200"


def test_the_worst_record_fits(make) -> None:
    bad = "\U0001f600" * 20_000
    worst = make(
        path=bad, target=bad, method=bad, headers=(bad,) * 500, matched={f"{n}{bad}": bad for n in range(200)}
    )
    assert len(encode(worst)) <= MAX_LINE


def test_uncut_holds_everything(make) -> None:
    assert b"needle" in uncut(make(path="a" * 5000 + "needle"))
    assert b"needle" in uncut(make(path="\udc80" + "a" * 5000 + "needle"))


@pytest.mark.parametrize(
    "line", [b"", b"{}\n", b"{}", b"[]\n", b'{"v":1}\n', b"\xff\n", b"{\n}\n", b'{"v":"x"}\n', b"[" * 9000 + b"\n"]
)
def test_what_is_no_record_is_one_fault(line: bytes) -> None:
    with pytest.raises(AuditFault) as fault:
        decode(line)
    assert fault.value.slug == "audit.unreadable-record"


def test_fields_of_a_later_version_are_read_over(make) -> None:
    line = encode(make())[:-2] + b',"later":1}\n'
    assert decode(line).kind == "intent"
