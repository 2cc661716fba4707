"""D15: what an agent may say to a person's terminal."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.bottles.terminal_filter import Allowed, TerminalFilter

PIECES = [
    b"\x1b", b"[", b"]", b"P", b"\\", b"\x07", b"\x9b", b"\xc2", b"52;c;", b"?", b"6", b"n", b"c", b"t", b"21", b"0;title",
    b"8;;https://a.example/", b"\x18", b"m", b"%", b"@", b" G", b"h", b"1049", b";", b"\xe2\x9c", b"\xb3", b"hello", b"\x05", b"Z",
    b"(", b"B", b"X", b"_", b"^", b"q", b">", b"$p", b"\xff", b"\x80", b"u",
]  # fmt: skip
HOSTILE = st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=40).map(b"".join)

# An independent reading of the output: nothing below may ever appear.
FORBIDDEN = [
    re.compile(rb"\x1b\](?!8;|133;)"),  # titles, clipboard, colours, notifications
    re.compile(rb"\x1b[PX^_]"),  # device control, SOS, PM, APC
    re.compile(rb"\x1b\[[0-9;:<=>?]*[ -/]*[nctxivyw{|}~]"),  # requests, windows, printing
    re.compile(rb"\x1b\[[<=>?][0-9;:]*[ -/]*[q]"),
    re.compile(rb"\x1b\[\?[0-9;:]*[ -/]*[up]"),
    re.compile(rb"\x1b[%Z #]"),
    re.compile(rb"\x05"),
]


def filtered(data: bytes, allowed: Allowed | None = None) -> bytes:
    one = TerminalFilter(allowed)
    return one.feed(data) + one.finish()


@given(HOSTILE)
def test_nothing_forbidden_comes_out(data: bytes) -> None:
    out = filtered(data)
    for pattern in FORBIDDEN:
        assert not pattern.search(out), (pattern, out)
    text = out.decode()
    assert not any(0x80 <= ord(c) <= 0x9F for c in text)


@given(HOSTILE, st.lists(st.integers(0, 200), max_size=12))
def test_every_chunking_gives_the_same(data: bytes, cuts: list[int]) -> None:
    whole = filtered(data)
    one = TerminalFilter()
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    out = b"".join(one.feed(data[a:b]) for a, b in itertools.pairwise(places)) + one.finish()
    assert out == whole


@given(HOSTILE)
def test_filtering_twice_changes_nothing_more(data: bytes) -> None:
    once = filtered(data)
    assert filtered(once) == once


@given(st.text(alphabet=st.characters(exclude_categories=("Cc", "Cs")), max_size=200))
def test_ordinary_text_passes(text: str) -> None:
    assert filtered(text.encode()).decode() == text


@pytest.mark.parametrize(
    "sequence",
    [
        b"\x1b[31;1m", b"\x1b[?1049h", b"\x1b[?25l", b"\x1b[2J", b"\x1b[H", b"\x1b[10;20H", b"\x1b[K", b"\x1b[?2026h", b"\x1b7", b"\x1b8",
        b"\x1b[38;2;1;2;3m", b"\x1b[4:3m", b"\x1b[>1u", b"\x1b[<u", b"\x1b[2 q", b"\x1b(0", b"\x1b[?1006h", b"\x1b[3S", b"\r\n\t\x08\x07",
        b"\x1b]8;;https://example.com/a\x1b\\link\x1b]8;;\x1b\\",
    ],
)  # fmt: skip
def test_what_terminal_programs_need_passes(sequence: bytes) -> None:
    assert filtered(sequence) == sequence


@pytest.mark.parametrize(
    "sequence",
    [
        b"\x1b]52;c;aGk=\x07", b"\x1b]0;title\x07", b"\x1b]2;title\x1b\\", b"\x1bP$qm\x1b\\", b"\x1bP+q544e\x1b\\", b"\x1b[21t", b"\x1b[6n",
        b"\x1b[c", b"\x1b[>c", b"\x1b[>q", b"\x1b[?6n", b"\x1b[?2026$p", b"\x1b[?u", b"\x1b]11;?\x07", b"\x1b_Gf=100;AAAA\x1b\\", b"\x1b[5i",
        b"\x1b%@", b"\x1b G", b"\xc2\x9b6n"[:2], b"\x05", b"\x1bZ", b"\x1b]8;;file:///etc/passwd\x07", b"\x1b]1337;File=x\x07", b"\x1b[?4m",
        b"\x1b]9;hi\x07", b"\x1b[61;1\"p", b"\x1b^x\x1b\\",
    ],
)  # fmt: skip
def test_what_a_terminal_would_obey_or_answer_is_dropped(sequence: bytes) -> None:
    assert filtered(b"a" + sequence + b"b") == b"ab"


def test_an_open_string_swallows_no_more_than_to_its_end() -> None:
    assert filtered(b"\x1bPabc\x1b\\shown") == b"shown"
    assert filtered(b"\x1b]52;c;" + b"A" * 10000 + b"\x07shown") == b"shown"
    assert filtered(b"\x1bPabc\x1b[31mred") == b"\x1b[31mred"


def test_harmless_requests_are_told_to_the_relay() -> None:
    one = TerminalFilter()
    assert one.feed(b"\x1b[6n\x1b[c\x1b[5n\x1bZ") == b""
    assert one.asked == ["cursor", "identity", "status", "identity"]


def test_what_a_person_allows_passes() -> None:
    allowed = Allowed(titles=True, clipboard=True)
    assert filtered(b"\x1b]0;t\x07", allowed) == b"\x1b]0;t\x1b\\"
    assert filtered(b"\x1b]52;c;aGk=\x07", allowed) == b"\x1b]52;c;aGk=\x1b\\"
    assert filtered(b"\x1b]52;c;?\x07", allowed) == b""


def test_memory_is_bounded_by_an_endless_sequence() -> None:
    one = TerminalFilter()
    for start in (b"\x1b[", b"\x1b]8;;", b"\x1bP"):
        one.feed(start)
        for _ in range(50):
            one.feed(b"1" * 1000)
        assert len(one._held) <= 5000
        one.feed(b"\x18\x07\x1b\\")
