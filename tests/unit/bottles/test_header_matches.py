"""A warning for each header that decides here and never arrives there."""

import pytest

from bot_bottle.bottles.header_matches import warnings
from bot_bottle.policy.check import check_bottle


def told(name: str, more: str = "") -> list[str]:
    text = (
        "---\negress:\n  routes:\n"
        f"    - {{host: a.example, matches: [{{headers: [{{name: {name}, type: exact, value: a}}]}}]{more}}}\n---\n"
    )
    return [str(problem) for problem in warnings(check_bottle(text.encode(), "x", "x.md"))]


@pytest.mark.parametrize("name", ["authorization", "cookie", "x-api-key", "range", "connection", "te", "host"])
def test_a_rule_on_a_header_that_is_removed_is_warned_of(name: str) -> None:
    (one,) = told(name)
    assert one.startswith("x.md:4: ") and f"the header {name}, but the server never sees it" in one
    assert told(name, ", action: deny") == []


def test_what_arrives_is_not_warned_of() -> None:
    assert told("x-kind") == []
    assert told("x-forwarded-for") == []  # it stays where a rule names it
    assert told("authorization", ", agent_credentials: allow") == []
