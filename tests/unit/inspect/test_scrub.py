"""No secret passes the scrubber in any form at any chunking, and what is no secret passes unchanged, at once."""

import base64
import random

from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.inspect.needles import Needle, needles
from bot_bottle.inspect.scrub import Scrubber, ScrubStream

FIRST = b"sk-ant-api03-" + bytes(range(65, 91)) + bytes(range(97, 123))
SECOND = b"ghp_0123456789abcdefghijABCDEFGHIJ012345"
NESTED = b"user:" + SECOND
ALL = [
    *needles("first", FIRST, b"sk-ant-api03-" + b"P" * 52),
    *needles("second", SECOND, b"ghp_" + b"Q" * 36),
    *needles("nested", NESTED, b"user:ghp_" + b"R" * 36),
]
FINDS = [needle.find for needle in ALL]
SCRUBBER = Scrubber(ALL)
forms = st.sampled_from(FINDS)
pieces = st.lists(
    st.one_of(
        forms,
        st.binary(max_size=12),
        forms.flatmap(lambda find: st.integers(1, len(find) - 1).map(lambda size: find[:size])),
        forms.flatmap(lambda find: st.integers(1, len(find) - 1).map(lambda size: find[size:])),
    ),
    max_size=6,
)


def in_chunks(stream: ScrubStream, body: bytes, cuts: list[int]) -> bytes:
    out = b""
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        out += stream.feed(body[start:end])
    return out + stream.finish()


@given(pieces, st.randoms(use_true_random=False))
def test_no_needle_passes_at_any_chunking(parts: list[bytes], rnd: random.Random) -> None:
    body = b"".join(parts)
    cuts = sorted(rnd.randrange(len(body) + 1) for _ in range(rnd.randrange(12)))
    out = in_chunks(SCRUBBER.stream(), body, cuts)
    assert [find for find in FINDS if find in out] == []


def test_two_thousand_chunkings_of_base64_within_text_leak_nothing() -> None:
    rnd = random.Random(7)
    for _ in range(2000):
        inner = rnd.randbytes(rnd.randrange(4)) + FIRST + rnd.randbytes(rnd.randrange(4))
        body = b'{"echo": "%b", "again": "%b"}' % (base64.b64encode(inner), SECOND)
        stream, out, at = SCRUBBER.stream(), b"", 0
        while at < len(body):
            size = rnd.randrange(1, 21)
            out += stream.feed(body[at : at + size])
            at += size
        out += stream.finish()
        assert not any(find in out for find in FINDS)
        assert set(stream.hits) == {"first", "second"}
        assert len(out) == len(body)


def test_base64_neighbours_are_mended_wherever_the_chunk_ends() -> None:
    """The characters beside the core hold bits of the secret: they become the placeholder's, also across a cut."""
    for before in (b"", b"a", b"ab"):
        for after in (b"", b"z", b"yz"):
            body = b'{"echo":"' + base64.b64encode(before + FIRST + after) + b'"}'
            expected = b'{"echo":"' + base64.b64encode(before + b"sk-ant-api03-" + b"P" * 52 + after) + b'"}'
            lead = body.index(base64.b64encode(before + FIRST)[4:20]) - 4 + (0, 2, 3)[len(before)]
            for cut in range(len(body)):
                out = in_chunks(SCRUBBER.stream(), body, [cut])
                assert out == expected or cut == lead, (before, after, cut)


@given(st.binary(max_size=400), st.randoms(use_true_random=False))
def test_text_without_a_secret_is_the_same_text(body: bytes, rnd: random.Random) -> None:
    cuts = sorted(rnd.randrange(len(body) + 1) for _ in range(rnd.randrange(8)))
    assert in_chunks(SCRUBBER.stream(), body, cuts) == body


@given(pieces, st.randoms(use_true_random=False))
def test_chunks_change_nothing_but_time(parts: list[bytes], rnd: random.Random) -> None:
    """Only base64 neighbours, whose bits are nobody's secret, may differ where a chunk ends beside a match."""
    body = b"".join(parts)
    cuts = sorted(rnd.randrange(len(body) + 1) for _ in range(rnd.randrange(8)))
    whole, cut = in_chunks(SCRUBBER.stream(), body, []), in_chunks(SCRUBBER.stream(), body, cuts)
    assert abs(len(whole) - len(cut)) <= sum(map(len, FINDS))
    assert SCRUBBER.clean(whole) == whole or SCRUBBER.contains_secret(whole) is None


def test_a_clean_chunk_is_the_same_object_and_nothing_is_held() -> None:
    stream = SCRUBBER.stream()
    body = b'{"delta": "hello"}\n\n'
    assert stream.feed(body) is body
    assert stream.held == 0
    assert SCRUBBER.clean(body) is body


def test_only_a_live_prefix_is_held() -> None:
    stream = SCRUBBER.stream()
    assert stream.feed(b"hello sk-ant-api03-ABC") == b"hello "
    assert stream.feed(b" is not it.") == b"sk-ant-api03-ABC is not it."
    assert stream.feed(b"=" + FIRST[:20]) == b"="
    assert stream.held == 20
    assert stream.finish() == FIRST[:20]


def test_overlapping_secrets_show_no_tail() -> None:
    """A reply in which one secret begins inside another: leftmost matching alone would show the second's tail."""
    overlap = Scrubber([Needle("a", b"AAAABBBBCCCC", b"[a]"), Needle("b", b"CCCCDDDDEEEE", b"[b]")])
    for cut in range(20):
        body = b"xAAAABBBBCCCCDDDDEEEEx"
        out = in_chunks(overlap.stream(), body, [cut])
        assert out == b"x[a]x", cut


def test_a_periodic_secret_holds_no_more_than_its_length() -> None:
    scrubber = Scrubber(needles("same", b"a" * 12, b"b" * 12))
    stream = scrubber.stream()
    out = b"".join(stream.feed(b"a" * 7) for _ in range(500)) + stream.finish()
    assert stream.held <= scrubber.longest
    assert b"a" * 12 not in out


def test_contains_secret_names_it_and_nothing_else() -> None:
    assert SCRUBBER.contains_secret(b"x" + base64.b64encode(b"a:" + FIRST)) == "first"
    assert SCRUBBER.contains_secret(b"x" + FIRST[:-1]) is None
    assert Scrubber().contains_secret(FIRST) is None


def test_without_secrets_everything_passes() -> None:
    stream = Scrubber().stream()
    assert not Scrubber()
    assert stream.feed(FIRST) is FIRST
    assert stream.finish() == b""


def test_hits_are_counted_by_name() -> None:
    hits: dict[str, int] = {}
    SCRUBBER.clean(b"%b and %b and %b" % (FIRST, SECOND, FIRST), hits)
    assert hits == {"first": 2, "second": 1}


def test_many_secrets_with_many_beginnings_are_all_found() -> None:
    """More beginnings than one vector search takes: several searches, none forgotten."""
    rnd = random.Random(5)
    values = {f"s{number}": rnd.randbytes(24).hex().encode() for number in range(200)}
    scrubber = Scrubber(needle for name, value in values.items() for needle in needles(name, value, b"p" * 48))
    for name, value in values.items():
        assert scrubber.contains_secret(b"x" + value + b"y") == name
        assert scrubber.clean(b"x" + value + b"y") == b"x" + b"p" * 48 + b"y"
    assert scrubber.contains_secret(rnd.randbytes(20000).hex().encode()) is None
