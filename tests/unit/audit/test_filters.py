"""The filter language: what is read, what is written, where a fault is, and that it means the same everywhere."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle import keeper
from bot_bottle.audit.filter_match import Seen, glob, matcher
from bot_bottle.audit.filters import (
    CLOSED,
    FIELDS,
    KINDS,
    MOMENTS,
    NUMBERS,
    TEXT,
    VERDICTS,
    Filter,
    FilterFault,
    Term,
    moment,
    number_fits,
    parse,
)
from bot_bottle.audit.record import VERSION, Kind, Record
from bot_bottle.supervise.model import AskState

NOW = 1_795_600_000_000_000_000
_values = st.text(min_size=1, max_size=12)
_numbers = st.from_regex(r"(>=|<=|>|<)?[0-9]{1,6}(KB|MB)?", fullmatch=True) | st.sampled_from(("4xx", "5xx"))
_moments = st.sampled_from(("1h", "30d", "14:25", "2026-11-25", "2026-11-25T10:00:00+01:00", "@17"))


@st.composite
def terms(draw: st.DrawFn) -> Term:
    field = draw(st.sampled_from(FIELDS))
    if field in MOMENTS:
        return Term(field, (draw(_moments),))
    if field in NUMBERS:
        source = _numbers if field == "status" else st.from_regex(r"(>=|<=|>|<)?[0-9]{1,6}(KB|MB)?", fullmatch=True)
        return Term(field, tuple(dict.fromkeys(draw(st.lists(source, min_size=1, max_size=3)))), draw(st.booleans()))
    if field in CLOSED:
        values = st.sampled_from((*CLOSED[field], "=DENIED", "den*", "*"))
        return Term(field, tuple(dict.fromkeys(draw(st.lists(values, min_size=1, max_size=3)))), draw(st.booleans()))
    most = 1 if field == TEXT else 3
    found = tuple(dict.fromkeys(draw(st.lists(_values, min_size=1, max_size=most))))
    return Term(field, found, draw(st.booleans()))


@given(st.lists(terms(), max_size=8))
def test_what_is_written_is_read_back(found: list[Term]) -> None:
    wanted = Filter(tuple(found))
    assert parse(str(wanted)) == wanted


@given(st.text(max_size=200))
def test_any_text_is_a_filter_or_a_fault_with_its_place(text: str) -> None:
    try:
        wanted = parse(text)
    except FilterFault as fault:
        assert 0 <= fault.position <= fault.end <= len(text)
        assert fault.what.startswith(f"Character {fault.position + 1} of the filter:")
        return
    assert parse(str(wanted)) == wanted


def test_the_example_of_the_documentation() -> None:
    wanted = parse('host:*.example.org verdict:deny,ask -method:GET since:1h "some text" word')
    assert wanted.terms == (
        Term("host", ("*.example.org",)),
        Term("verdict", ("deny", "ask")),
        Term("method", ("GET",), negated=True),
        Term("since", ("1h",)),
        Term("text", ("some text",)),
        Term("text", ("word",)),
    )


@pytest.mark.parametrize(
    ("text", "position", "end", "said"),
    [
        ("verdict:deny hst:x", 13, 17, "hst"),
        ("host:", 0, 5, "missing"),
        ("status:abc", 7, 10, "no number"),
        ("since:yesterday", 6, 15, "no moment"),
        ('a "b', 2, 4, "not closed"),
        ('host:""', 5, 7, "empty"),
        ("-since:1h", 0, 9, "one moment"),
        ('host:"a"b', 8, 9, "space or a comma"),
        ("x" * 2001, 2000, 2001, "longer"),
        ("a " * 41, 80, 82, "more than 40"),
    ],
)
def test_faults_say_where(text: str, position: int, end: int, said: str) -> None:
    with pytest.raises(FilterFault, match=said) as caught:
        parse(text)
    assert (caught.value.position, caught.value.end) == (position, end)


def test_a_field_that_is_nearly_right_is_named() -> None:
    with pytest.raises(FilterFault) as caught:
        parse("hosts:x")
    assert caught.value.hint == "Did you mean host?"


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("verdict:den", "den is no verdict", "Did you mean deny?"),
        ("-verdict:allow,asked", "asked is no verdict", "Did you mean ask?"),
        ("verdict:nosuch", "nosuch is no verdict", "Verdicts: allow, ask, deny, allowed"),
        ("kind:nosuch", "nosuch is no kind", "Kinds: start, policy, freeze"),
        ("kind:denid", "denid is no kind", "Did you mean denied?"),
        ('kind:"=denid"', "=denid is no kind", "Did you mean denied?"),
        ("host:x kind:out", "out is no kind", "Kinds: "),
    ],
)
def test_a_value_that_no_record_can_have_is_refused_as_an_unknown_field_is(text: str, said: str, hint: str) -> None:
    with pytest.raises(FilterFault) as fault:
        parse(text)
    assert said in fault.value.what and hint in fault.value.hint
    assert text[fault.value.position : fault.value.end].strip('"') == said.partition(" ")[0]


@pytest.mark.parametrize(
    "text",
    ["verdict:DENY", "verdict:=deny", "kind:den*", "kind:*", 'verdict:"froze all"', "kind:unreadable,mirrored"],
)
def test_what_some_record_can_have_is_not_refused(text: str) -> None:
    assert parse(text).terms


def test_the_closed_sets_hold_all_that_is_written() -> None:
    """What people did to the installation is a verdict of two words and is not looked at."""
    source = "".join(path.read_text() for path in Path(keeper.__path__[0]).rglob("*.py"))
    events = set(re.findall(r'grant_event\(\s*"([^"]+)"|"verdict": "([^"]+)"', source))
    named = {one or other for one, other in events} | {state.value for state in AskState if state != "waiting"}
    assert {"used", "begun", "ask", "expired"} <= named <= set(VERDICTS)
    assert set(Kind) < set(KINDS)


def test_a_fault_shows_nothing_raw() -> None:
    with pytest.raises(FilterFault) as caught:
        parse("status:\u202e\x1b[31m")
    assert "\x1b" not in caught.value.what
    assert "\u202e" not in caught.value.what


@pytest.mark.parametrize(
    ("value", "text", "fits"),
    [
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "example.com", False),
        ("EXAMPLE.com", "example.com", True),
        ("*mid*", "amidst", True),
        ("a*c*e", "abcde", True),
        ("a*c*e", "abcdef", False),
        ("*", "", True),
        ("a.c", "abc", False),
        ("pre*", "prefix", True),
        ("=a*c", "abc", False),
        ("=a*c", "a*c", True),
    ],
)
def test_globs(value: str, text: str, fits: bool) -> None:
    assert glob(value)(text) is fits


@given(st.text("ab*", max_size=8).filter(lambda text: "*" in text), st.text("ab\n", max_size=12))
def test_a_glob_is_what_the_slow_way_says(value: str, text: str) -> None:
    slow = re.compile(".*".join(re.escape(part) for part in value.split("*")), re.DOTALL)
    assert glob(value)(text) is (slow.fullmatch(text) is not None)


@pytest.mark.timeout(60)
def test_b74_no_pattern_takes_longer_than_its_text_is_long() -> None:
    """A link of any web page chooses the pattern, an agent the text: with a regular expression, this never ends."""
    assert not glob("*a" * 40 + "*b")("a" * 10_000)
    assert glob("*a" * 40 + "*b")("a" * 10_000 + "b")


@pytest.mark.parametrize(
    ("value", "number", "fits"),
    [("4xx", 404, True), ("4xx", 500, False), (">1KB", 1001, True), (">1kb", 1000, False), ("200", 200, True), ("<=3", 3, True)],
)  # fmt: skip
def test_numbers(value: str, number: int, fits: bool) -> None:
    assert number_fits(value, number) is fits


def test_moments() -> None:
    assert moment("1h", NOW) == NOW - 3_600_000_000_000
    assert moment("@5", NOW) == 5
    assert moment("2026-11-25T00:00:00+00:00", NOW) == 1_795_564_800_000_000_000
    assert moment("00:00", NOW) <= NOW


def test_a_filter_can_be_changed_from_a_link() -> None:
    wanted = parse("verdict:deny")
    assert str(wanted.plus("host", "a b").plus("host", "a b")) == 'verdict:deny host:"a b"'
    assert str(wanted.plus("run", "r1").without("verdict")) == "run:r1"


def test_terms_of_a_record() -> None:
    record = Record(
        VERSION, "outcome", "r1", NOW, 1, "shop", "mara-agent", "claude", "fix", "d", target="https://a.example:443",
        method="GET", path="/x/1", verdict="allow", rule="shop/a", secrets=("KEY",), status=404, up=2000,
        approver="os:ann",
    )  # fmt: skip
    seen = Seen(record, "r1", "a.example", '{"kind":"outcome","path":"/x/1"}', "/work/site", "ann")
    for text in (
        "host:a.example", "host:*.example", "-host:b", "kind:outcome,intent", "path:/x/*", "secret:key", "status:4xx",
        "up:>1KB", "project:*site", "person:ann", "approver:*", "scheme:https", "since:1h", "until:@9999999999999999999",
        '"/x/1"', "label:fix agent:mara-agent", "-secret:OTHER", "run:r1 rule:shop/a reason:*",
    ):  # fmt: skip
        assert matcher(parse(text), NOW)(seen), text
    for text in (
        "host:b",
        "-host:a.example",
        "secret:other",
        "status:200",
        "down:>1",
        "until:1h",
        '"nothing"',
        "ask:x",
    ):
        assert not matcher(parse(text), NOW)(seen), text
