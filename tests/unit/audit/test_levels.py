"""No level ever holds a live secret: any record, any place, any encoding, any level (issue part 9)."""

import base64
import json
from urllib.parse import quote

from hypothesis import given, settings
from hypothesis import strategies as st

from bot_bottle.audit import levels
from bot_bottle.audit.encode import MAX_LINE, decode
from bot_bottle.audit.record import VERSION, Record
from bot_bottle.inspect.needles import needles
from bot_bottle.inspect.scrub import Scrubber

SECRETS = {
    "one": (b"sk-ant-api03-REALREALREAL0123456789", b"sk-ant-api03-fakefakefake0123456789"),
    "two": (b'p"a\\ss/w%rd+REAL==x', b"p_a_ss_w_rd_fake__x"),
    "three": "pässwörd-REAL-0123".encode(),
}
PAIRS = {name: pair if isinstance(pair, tuple) else (pair, b"passwoerd-fake-0123") for name, pair in SECRETS.items()}
FORMS = [needle for name, pair in PAIRS.items() for needle in needles(name, *pair)]
SCRUBBER = Scrubber(FORMS)

encodings = st.sampled_from(
    [
        lambda v: v.decode(),
        lambda v: quote(v, safe=""),
        lambda v: v.hex(),
        lambda v: base64.b64encode(v).decode(),
        lambda v: base64.urlsafe_b64encode(b"u:" + v).decode(),
        lambda v: json.dumps(v.decode()),
        lambda v: json.dumps(v.decode(), ensure_ascii=False)[1:-1],
    ]
)
secret = st.builds(lambda pair, encode: encode(pair[0]), st.sampled_from(list(PAIRS.values())), encodings)
padding = st.one_of(st.text(max_size=30), st.integers(900, 1100).map(lambda n: "x" * n))
texts = st.one_of(st.text(max_size=20), st.builds("{}{}{}".format, padding, secret, padding))
many = st.lists(texts, max_size=3).map(tuple)
pairs = st.dictionaries(texts, texts, max_size=3)
records = st.builds(
    Record, v=st.just(VERSION), kind=st.sampled_from(["intent", "denied", "outcome", "body"]), run=st.just("r"),
    time=st.just(1), mono=st.just(1), bottle=st.just("b"), agent=st.just("a"), harness=st.just("h"),
    label=st.just("l"), policy=st.just("p"), target=texts, method=texts, path=texts, query_names=many, headers=many,
    matched=pairs, reason=texts, findings=many, address=texts, detail=pairs,
)  # fmt: skip


@given(records, st.sampled_from(["off", "blocks", "full"]))
@settings(max_examples=400)
def test_no_level_ever_holds_a_live_secret(record: Record, level: str) -> None:
    line = levels.enter(record, level, SCRUBBER)
    if line is None:
        assert record.kind == "body"
        assert level != "full"
        return
    assert SCRUBBER.contains_secret(line) is None
    assert not any(form.find in line for form in FORMS)
    values = json.dumps(json.loads(line), ensure_ascii=False)
    assert not any(value.decode() in values for value, _ in PAIRS.values())
    assert len(line) <= MAX_LINE
    found = decode(line)
    assert (found.kind, found.verdict, found.rule) == (record.kind, record.verdict, record.rule)
    if level == "off":
        assert not found.headers
        assert not found.matched


@given(st.lists(texts, max_size=5).map("".join), st.sampled_from([0, 1]))
@settings(max_examples=100)
def test_bodies_are_cleaned_before_they_are_cut(text: str, wide: int) -> None:
    template = Record(VERSION, "body", "r", 1, 1, "b", "a", "h", "l", "p", request=5)
    body = ("é" * wide + text + "y" * 5000 + text).encode()
    pieces = levels.body(template, body, SCRUBBER)
    joined = "".join(piece.detail["body"] for piece in pieces)
    assert SCRUBBER.contains_secret(joined.encode()) is None
    for number, piece in enumerate(pieces):
        line = levels.enter(piece, "full", SCRUBBER)
        assert line is not None
        assert decode(line).detail == piece.detail, "a piece fits a line whole"
        assert piece.count == number


def test_a_record_without_a_secret_is_unchanged(make) -> None:
    record = make(headers=("host",), matched={"x": "1"}, path="/a")
    assert decode(levels.enter(record, "full", SCRUBBER) or b"") == record


def test_the_last_resort_keeps_who_and_what_was_decided(make) -> None:
    bare = levels.bare(make(path="/x", verdict="deny", rule="b/r", reason="policy.no-route", request=4))
    assert (bare.path, bare.verdict, bare.rule, bare.request) == ("[removed]", "deny", "b/r", 4)
