"""The five lines, with names that an agent chose."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.bottles.outcome import Outcome
from bot_bottle.bottles.summary import lines
from bot_bottle.egress.messages import Counters


def outcome(**counters: object) -> Outcome:
    counters = {"final": True, **counters}
    return Outcome(
        "ok", 0, "one", "run", "b", "a", "h", log="/log", checkpoint="bot-bottle/run/x\n7\nROOT=\n\n- sig\n",
        records=7, sealed=True, counters=Counters(**counters),  # pyright: ignore
    )  # fmt: skip


def test_the_five_lines_and_the_checkpoint() -> None:
    found = lines(
        outcome(
            allowed=3,
            denied=2,
            hosts={"a.example": 2, "b.example": 1},
            denied_hosts={"e.example": 2},
            secrets={"key": 3},
        )
    )
    assert found == [
        "allowed   3  a.example x2, b.example x1  0 B up, 0 B down",
        "asked     0",
        "denied    2  e.example x2",
        "secrets   key x3",
        "record    /log  sealed, checkpoint 7 ROOT=",
    ]


def test_what_never_arrived_is_told_apart() -> None:
    one = outcome(allowed=3, failed=3, failures={"upstream.unresolved": 3}, hosts={"a.example": 3})
    assert lines(one)[0] == ("allowed   3, of which 3 failed: upstream.unresolved x3  a.example x3  0 B up, 0 B down")


def test_what_was_said_at_the_start_is_not_said_again() -> None:
    one = outcome()
    one.findings = ("key holds the secret s and is hidden", "not looked into for secrets, larger than 5.0 MB: big")
    assert lines(one)[5:] == ["found     key holds the secret s and is hidden"]


def test_what_named_no_host_is_counted_without_an_empty_name() -> None:
    assert lines(outcome(denied=3))[2] == "denied    3  3 unnamed"
    assert lines(outcome(denied=3, denied_hosts={"e.example": 1}))[2] == "denied    3  e.example x1, 2 unnamed"
    assert lines(outcome())[2] == "denied    0"


def test_what_was_asked_about_and_allowed_is_not_told_as_denied() -> None:
    assert lines(outcome(allowed=2, asked=1))[1:3] == ["asked     1", "denied    0"]
    asked = outcome(asked=2, denied=1, denied_hosts={"e.example": 1})
    assert lines(asked)[1:3] == ["asked     2", "denied    1  e.example x1"]


@given(st.dictionaries(st.text(max_size=300), st.integers(0, 10**9), max_size=10))
def test_b73_names_that_an_agent_chose_cannot_add_lines_or_drive_the_terminal(names: dict[str, int]) -> None:
    found = lines(outcome(denied_hosts=names, hosts=names, secrets={}))
    assert len(found) == 5
    for line in found:
        assert "\n" not in line
        assert not any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in line)
        assert len(line) < 400


def test_a_log_that_is_not_sealed_is_said_loudly() -> None:
    one = outcome()
    one.sealed = False
    assert "NOT SEALED" in lines(one)[4]


def test_d17_what_a_dead_gateway_did_not_tell_is_not_told_as_nothing() -> None:
    found = lines(outcome(final=False))
    assert [line.split()[1].rstrip(":") for line in found[:4]] == ["unknown"] * 4
    assert "the gateway died" in found[0]
    assert lines(outcome())[0] == "allowed   0    0 B up, 0 B down"  # control
