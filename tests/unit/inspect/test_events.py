"""Secrets that an event stream spells out over its lines, and streams that pass as they are."""

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.inspect.needles import needles
from bot_bottle.inspect.scrub import Scrubber, ScrubStream

SECRET = b"sk-ant-api03-" + bytes(range(65, 91)) + bytes(range(97, 123))
PLACEHOLDER = b"sk-ant-api03-" + b"P" * 52
SCRUBBER = Scrubber(needles("anthropic", SECRET, PLACEHOLDER))


def events(pieces: list[str], key: str = "text") -> list[bytes]:
    """As model APIs stream: an event name, a data line with one piece, an empty line."""
    return [
        b"event: delta\ndata: " + json.dumps({"type": "delta", "delta": {key: piece}}).encode() + b"\n\n"
        for piece in pieces
    ]


def said(stream: bytes, key: str = "text") -> str:
    """What a client puts together."""
    lines = [line for line in stream.split(b"\n") if line.startswith(b"data: {")]
    return "".join(json.loads(line[6:])["delta"].get(key, "") for line in lines)


def passed(stream: ScrubStream, chunks: list[bytes]) -> bytes:
    return b"".join(stream.feed(chunk) for chunk in chunks) + stream.finish()


@pytest.mark.parametrize("size", [1, 2, 3, 5, 11, 64])
def test_b38_a_secret_spelled_out_token_by_token_becomes_the_placeholder(size: int) -> None:
    text = "The key is " + SECRET.decode() + ", keep it."
    chunks = events([text[at : at + size] for at in range(0, len(text), size)])
    assert SECRET.decode() in said(b"".join(chunks))
    stream = SCRUBBER.stream()
    out = passed(stream, chunks)
    assert stream.hits == {"anthropic": 1}
    left = said(out)
    assert left.startswith("The key is sk-ant") and left.endswith(", keep it.")
    assert SECRET.decode()[16:] not in left
    assert PLACEHOLDER.decode() in left


@given(st.lists(st.integers(1, 9), min_size=1, max_size=80), st.randoms(use_true_random=False))
def test_any_pieces_at_any_chunking_show_at_most_a_beginning(sizes: list[int], rnd: random.Random) -> None:
    text, at, pieces = "x" + SECRET.decode() + "y" + SECRET.decode(), 0, list[str]()
    for size in sizes * 20:
        pieces.append(text[at : at + size])
        at += size
    body = b"".join(events([piece for piece in pieces if piece]))
    cuts = sorted(rnd.randrange(len(body)) for _ in range(20))
    chunks = [body[start:end] for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    left = said(passed(SCRUBBER.stream(), [chunk for chunk in chunks if chunk]))
    assert SECRET.decode() not in left
    assert SECRET.decode()[20:] not in left


def test_a_ping_between_the_pieces_changes_nothing() -> None:
    chunks = [
        part for event in events(list(SECRET.decode())) for part in (event, b': ping\n\ndata: {"type": "ping"}\n\n')
    ]
    stream = SCRUBBER.stream()
    lines = passed(stream, chunks).split(b"\n")
    left = "".join(
        json.loads(line[6:]).get("delta", {}).get("text", "") for line in lines if line.startswith(b"data: ")
    )
    assert stream.hits == {"anthropic": 1}
    assert SECRET.decode()[16:] not in left


def test_what_only_begins_like_a_secret_is_passed_on_in_order() -> None:
    pieces = ["see ", "sk-ant-", "api03-ABCDEFGH", " is", " not", " it"]
    chunks = events(pieces)
    stream = SCRUBBER.stream()
    out = [stream.feed(chunk) for chunk in chunks]
    assert out[0] == chunks[0] and out[1] == chunks[1]
    assert chunks[2] not in out[2]
    assert b"".join(out) + stream.finish() == b"".join(chunks)
    assert stream.hits == {}


def test_an_event_passes_when_its_line_is_whole() -> None:
    stream = SCRUBBER.stream()
    assert stream.feed(b'data: {"text": "hel') == b""
    assert stream.feed(b'lo"}\n\ndata: ') == b'data: {"text": "hello"}\n\n'
    assert stream.finish() == b"data: "


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("before", [b"", b"\n", b"\xef\xbb\xbf", b": hello\n", b"retry: 5\n", b"id: 1\n"])
def test_every_line_end_and_beginning_of_a_stream(before: bytes, end: bytes) -> None:
    body = before + b"".join(events(list(SECRET.decode())))
    chunks = [bytes((byte,)) for byte in body.replace(b"\n", end)]
    left = passed(SCRUBBER.stream(), chunks).replace(end, b"\n")
    assert SECRET.decode()[16:] not in said(left) and PLACEHOLDER.decode() in said(left)


def test_escapes_inside_a_piece_are_read_and_written() -> None:
    scrubber = Scrubber(needles("odd", b'p"ss\\w\xc3\xb6rd-0123456789', b"placeholder-0123456789"))
    chunks = events(['a "p', '"ss', "\\w", "\u00f6rd-01", "23456789", ' "b"'])
    stream = scrubber.stream()
    assert said(passed(stream, chunks)).endswith('placeholder-0123456789 "b"')
    assert stream.hits == {"odd": 1}


@given(st.lists(st.binary(max_size=40), max_size=10))
def test_any_stream_without_a_secret_is_the_same_stream(parts: list[bytes]) -> None:
    chunks = [b"data: ", *parts, b"\n"]
    assert passed(SCRUBBER.stream(), chunks) == b"".join(chunks)


def test_a_very_long_line_is_not_kept() -> None:
    stream = SCRUBBER.stream()
    stream.feed(b"data: ")
    out = stream.feed(b"x" * 70000)
    assert len(out) == 70006
    assert passed(stream, [b"y\n"]) == b"y\n"


def test_a_whole_body_is_joined_too() -> None:
    body = b"".join(events(list(SECRET.decode())))
    hits: dict[str, int] = {}
    assert SECRET.decode()[16:] not in said(SCRUBBER.clean(body, hits))
    assert hits == {"anthropic": 1}
