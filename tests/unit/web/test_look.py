"""How values look: short, exact, and safe to show."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.web import look

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (812, "812 B"),
        (2100, "2.1 KB"),
        (999, "999 B"),
        (1000, "1 KB"),
        (9960, "10 KB"),
        (115_000_000, "115 MB"),
        (10**18, "1000 PB"),
    ],
)
def test_sizes(number: int, text: str) -> None:
    assert look.size(number) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59, "59 s"), (60, "1 min"), (3600, "1 h"), (4320, "1 h 12"), (200_000, "2 d"), (-5, "0 s")],
)
def test_spans(seconds: int, text: str) -> None:
    assert look.span(seconds * SECOND) == text


@pytest.mark.parametrize(("seconds", "text"), [(252, "4:12"), (3852, "1:04:12"), (-3, "0:00")])
def test_what_is_left(seconds: int, text: str) -> None:
    assert look.left(seconds * SECOND) == text


@pytest.mark.parametrize(
    ("host", "parts"),
    [
        ("hooks.relaybin.dev", ("hooks.", "relaybin.dev")),
        ("a.b.example.co.uk", ("a.b.", "example.co.uk")),
        ("example.com", ("", "example.com")),
        ("169.254.169.254", ("", "169.254.169.254")),
        ("[2001:db8::1]", ("", "[2001:db8::1]")),
        ("", ("", "")),
    ],
)
def test_the_domain_is_set_apart(host: str, parts: tuple[str, str]) -> None:
    assert look.host_parts(host) == parts


def test_words_and_counts() -> None:
    assert [look.word(n) for n in (0, 4, 12, 13)] == ["No", "Four", "Twelve", "13"]
    assert look.count(48333) == "48\u202f333"


@given(st.text(max_size=400), st.lists(st.text(max_size=9), max_size=4), st.lists(st.text(max_size=9), max_size=4))
def test_a_sentence_in_pieces_is_the_same_sentence(text: str, names: list[str], facts: list[str]) -> None:
    assert "".join(part for part, _ in look.pieces(text, names, facts)) == text


def test_a_host_that_is_called_like_our_words_takes_nothing_over() -> None:
    found = look.pieces(
        "fix wants to send 2.1 KB of JSON to wants, because no rule names it.", ("fix", "wants"), ("2.1 KB of JSON",)
    )
    assert found[:2] == [("fix", "name"), (" ", "")]
    assert ("2.1 KB of JSON", "fact") in found


@given(st.text(max_size=3000))
def test_held_bytes_in_parts_are_the_same_bytes(text: str) -> None:
    assert "".join(part for part, _ in look.suspects(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "ghp_" + "a" * 36,
        "sk-ant-" + "b" * 40,
        "AKIA" + "C" * 16,
        "-----BEGIN OPENSSH PRIVATE KEY-----",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIi",
        "\\u{202e}\\u{2066}",
    ],
)
def test_what_looks_like_a_key_or_hides_is_marked(text: str) -> None:
    assert (text, True) in look.suspects(f'{{"x": "{text}", "y": 1}}')
    assert not any(odd for _, odd in look.suspects("an ordinary sentence, task-force sk-8"))


@given(st.text(max_size=3000))
def test_nothing_unseen_is_left(text: str) -> None:
    shown = "".join((look.safe(text), *look.host_parts(text), *look.path_parts(text)))
    assert not {unicodedata.category(one) for one in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_long_marking_is_quick() -> None:
    import time

    begun = time.perf_counter()
    look.suspects("eyJ" * 30_000 + "ghp_" * 10_000 + "\\u{" * 10_000)
    assert time.perf_counter() - begun < 10
