"""Everything of a request that does not fit is told at once, each with its place (RFC 9457)."""

import urllib.parse
from typing import Annotated, Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from bot_bottle.web import problem
from bot_bottle.web.api import openapi
from bot_bottle.web.api import routes as api
from bot_bottle.web.api.fit import MOST, fit
from bot_bottle.web.problem import WebFault
from bot_bottle.web.sessions import csrf
from bot_bottle.web.tokens import Tokens
from web_stage import Answered, Inside


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    label: Annotated[str, Meta(pattern="^[a-z]+$")]
    count: Annotated[int, Meta(ge=1, le=9)] = 1
    names: Annotated[tuple[Annotated[str, Meta(max_length=2)], ...], Meta(max_length=2)] = ()


@pytest.fixture
def admin(inside: Inside) -> dict[str, str]:
    _, text = Tokens(inside.web.office.store).issue("t", ["read", "answer", "control", "admin"], 1)
    return {"authorization": f"Bearer {text}", "content-type": "application/json"}


def places(reply: Answered) -> list[tuple[str, str]]:
    """(in, pointer) of all errors; each has a sentence."""
    found = reply.json()
    assert (reply.status, found["slug"], found["type"]) == (422, "web.field", "urn:bot-bottle:problem:web.field")
    assert all(one["detail"].endswith(".") and "`" not in one["detail"] for one in found["errors"])
    return [(one["in"], one["pointer"]) for one in found["errors"]]


def test_all_fields_of_a_body_together(inside: Inside, admin: dict[str, str]) -> None:
    body = b'{"name": 5, "scopes": ["read", "nope", 3], "days": "x", "a/b~c %": 1}'
    reply = inside.raw("POST", "/api/v1/tokens", admin, body)
    assert places(reply) == [
        ("body", "#/a~1b~0c%20%25"), ("body", "#/name"), ("body", "#/scopes/1"), ("body", "#/scopes/2"), ("body", "#/days"),
    ]  # fmt: skip
    assert all(name in reply.json()["title"] for name in ("name", "scopes", "days"))


def test_all_of_a_query_together(inside: Inside, admin: dict[str, str]) -> None:
    reply = inside.raw("GET", "/api/v1/asks?limit=x&state=nope&state=waiting&what=1&run=a&run=b", admin)
    assert sorted(places(reply)) == [
        ("query", "#/limit"),
        ("query", "#/run"),
        ("query", "#/state/0"),
        ("query", "#/what"),
    ]


def test_path_and_body_together(inside: Inside, admin: dict[str, str]) -> None:
    reply = inside.raw("POST", "/api/v1/bottles/-x/learn", admin, b'{"seconds": -1, "label": "y"}')
    assert sorted(places(reply)) == [("body", "#/label"), ("body", "#/seconds"), ("path", "#/label")]
    reply = inside.raw("POST", "/api/v1/bottles/-x/learn", admin, b"{}")
    assert sorted(places(reply)) == [("body", "#/seconds"), ("path", "#/label")]
    assert "missing" in reply.text


def test_what_is_no_object_is_one_error(inside: Inside, admin: dict[str, str]) -> None:
    for body in (b"[]", b"1", b"null"):
        assert places(inside.raw("POST", "/api/v1/tokens", admin, body)) == [("body", "#")]


def test_a_page_says_all_of_it_too(inside: Inside) -> None:
    headers = inside.session()
    values = {"agent": "NO", "project": "relative", "prompt": "x", "bottle": "NO NO", "csrf": csrf(headers["cookie"].partition("=")[2])}  # fmt: skip
    headers["content-type"] = "application/x-www-form-urlencoded"
    reply = inside.raw("POST", "/start", headers, urllib.parse.urlencode(values).encode())
    assert reply.status == 409 and all(f"{name}: " in reply.text for name in ("agent", "workspace", "bottles[0]"))


def test_the_description_has_the_errors() -> None:
    schemas = openapi.document(api.operations())["components"]["schemas"]
    (items,) = [schemas["Problem"]["properties"]["errors"]["items"]]
    assert set(schemas[items["$ref"].rpartition("/")[2]]["required"]) == {"in", "pointer", "detail"}


def test_other_problems_have_none() -> None:
    raw = msgspec.json.encode(problem.problem(WebFault(404, "web.lost", "There is no such page.")))
    assert "errors" not in msgspec.json.decode(raw)


def test_one_error_names_its_field() -> None:
    with pytest.raises(WebFault, match=r"^count: It must be at most 9\.$"):
        fit(Wish, {"label": "a", "count": 10})
    with pytest.raises(WebFault, match=r"^names\[1\]: "):
        fit(Wish, {"label": "a", "names": ["x", "long"]})
    with pytest.raises(WebFault, match=r"^names: It must have at most 2 items\.$"):
        fit(Wish, {"label": "a", "names": ["x", "y", "z"]})


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        (int, "x", "It must be a whole number, not a text."),
        (int | None, [], "It must be a whole number, not a list."),
        (bool, "maybe", "It must be true or false, not a text."),
        (Annotated[str, Meta(min_length=1)], "", "It must have at least 1 character."),
        (Annotated[str, Meta(pattern="^[a-z]$")], "A", "It must match the pattern '^[a-z]$'."),
        (Annotated[int, Meta(ge=0)], -1, "It must be at least 0."),
        (Literal["read", "answer"], "write", "It must be one of read, answer."),
        (Literal["a", "b"] | None, "c", "It must be one of a, b."),
    ],
)
def test_in_plain_words(kind: Any, value: Any, words: str) -> None:
    takes = msgspec.defstruct("Takes", [("one", kind)])
    with pytest.raises(WebFault) as found:
        fit(takes, {"one": value})
    assert [error.detail for error in found.value.errors] == [words]


def test_what_fits_is_what_it_was() -> None:
    assert fit(Wish, {"label": "a", "count": "3", "names": ["x"]}) == Wish("a", 3, ("x",))
    assert fit(Wish, {"label": "a", "count": 3}, strict=True) == Wish("a", 3)
    with pytest.raises(WebFault, match="count"):
        fit(Wish, {"label": "a", "count": "3"}, strict=True)


KEYS = st.text(max_size=20) | st.sampled_from(["label", "count", "names"])
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5
)


@given(st.dictionaries(KEYS, VALUES, max_size=80))
def test_whatever_came_the_problem_can_be_written_and_points_at_it(values: dict[str, Any]) -> None:
    try:
        fit(Wish, values)
    except WebFault as error:
        found = problem.problem(error)
        assert 1 <= len(found.errors) <= MOST and msgspec.json.encode(found).isascii() is not None
        for one in found.errors:
            first = urllib.parse.unquote(one.pointer.removeprefix("#/").partition("/")[0])
            name = first.replace("~1", "/").replace("~0", "~")
            assert name in values or name == "label" or len(name) > 20
    else:
        assert msgspec.convert(values, Wish, strict=False)


def test_a_flood_of_wrong_names_is_bounded(inside: Inside, admin: dict[str, str]) -> None:
    body = msgspec.json.encode({f"{number}{'x' * 1000}": 1 for number in range(900)})
    reply = inside.raw("POST", "/api/v1/tokens", admin, body)
    assert reply.status == 422 and len(reply.json()["errors"]) == MOST and len(reply.body) < 40_000
