"""policy.explain, policy.asked and policy.reference: answers for people, made from the same code that decides."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.policy import model, reference
from bot_bottle.policy.asked import from_text, from_url
from bot_bottle.policy.check import check_bottle
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.explain import explain, file_of
from bot_bottle.policy.merge import effective, merge
from bot_bottle.policy.syntax import CHECKS
from bot_bottle.policy.verdict import Kind, Request
from unit.policy.make import bottle, compiled, request
from unit.policy.test_decide import REQUESTS, routes

ROUTES = """
- {name: read, host: api.example.com, matches: [{paths: [{type: prefix, value: /v1/}], methods: [GET]}]}
- {name: never, host: api.example.com, action: deny, matches: [{paths: [{type: prefix, value: /v1/admin}]}]}
- {name: held, host: api.example.com, action: ask, matches: [{methods: [POST]}]}
"""


def test_every_route_and_why_not() -> None:
    found = explain(compiled(ROUTES), request("https://api.example.com/v2/x", "PUT"))
    assert [(one.rule, one.why) for one in found.considered] == [
        ("b/read", "the path is not prefix /v1/"),
        ("b/never", "the path is not prefix /v1/admin"),
        ("b/held", "the method is PUT, the route says POST"),
    ]
    assert found.verdict.kind is Kind.DENY
    assert (
        found.allow == "- {host: api.example.com, matches: [{paths: [{type: exact, value: /v2/x}], methods: [PUT]}]}"
    )


def test_what_stands_in_the_way() -> None:
    known = compiled(ROUTES)
    assert "b/never" in explain(known, request("https://api.example.com/v1/admin")).allow
    assert "b/held" in explain(known, request("https://api.example.com/", "POST")).allow
    assert explain(known, request("https://api.example.com/v1/x")).allow == ""
    assert "metadata" in explain(known, request("http://169.254.169.254/latest")).allow


def test_a_rule_in_the_way_is_named_with_its_own_file() -> None:
    """A parent's denial is not mended by adding a route to the bottle that extends it."""
    parent = bottle("egress:\n  routes:\n    - {name: no, host: a.example, action: deny}", "w")
    child = bottle("egress:\n  routes:\n    - {host: a.example}", "sh")
    known = compile(effective(merge([parent, child]), "sh"))
    found = explain(known, request("https://a.example/"))
    assert (found.verdict.rule, found.place, found.edit) == ("w/no", "w.md:4", "w")
    free = explain(known, request("https://other.example/"))
    assert (free.place, free.edit) == ("", "") and free.allow.startswith("- {host: other.example")
    assert (file_of("/home/ana/bottles/w.md:11"), file_of("harness claude")) == ("w", "")


def test_what_no_rule_names_has_a_file_and_line_too() -> None:
    """The last file that says it; where it is written decides nothing, so it is no part of the digest."""
    parent, child = bottle("egress:\n  default: ask", "w"), bottle("egress:\n  log: full", "sh")
    known = effective(merge([parent, child]), "sh")
    assert known.default_origin == "w.md:3"
    over = effective(merge([parent, bottle("version: 1\negress: {log: full, default: ask}", "sh")]), "sh")
    assert over.default_origin == "sh.md:3" and over.digest == known.digest
    assert effective(merge([child]), "sh").default_origin == ""


@given(st.lists(routes(st.sampled_from(["allow", "ask", "deny"])), max_size=4), REQUESTS)
def test_the_explanation_agrees_with_the_decision(known: list[Route], asked: Request) -> None:
    policy = compile(Policy("b", tuple(known)))
    found = explain(policy, asked)
    assert found.verdict == decide(policy, asked)
    matching = [one for one in found.considered if not one.why]
    assert bool(matching) or found.verdict.reason in {
        "policy.host-not-allowed", "policy.port-not-allowed", "policy.request-not-allowed"
    }  # fmt: skip


@given(REQUESTS)
def test_the_route_that_would_allow_it_does(asked: Request) -> None:
    empty = compile(effective(merge([]), "b"))
    text = explain(empty, asked).allow
    file = bottle(f"egress:\n  routes:\n    {text}")
    assert decide(compile(effective(merge([file]), "b")), asked).kind is Kind.ALLOW


@pytest.mark.parametrize(
    ("text", "method", "host", "port", "path", "protocol"),
    [
        ("example.com", "GET", "example.com", 443, "/", "http1"),
        ("post https://EXAMPLE.com./a/../b?x=1", "POST", "example.com", 443, "/b", "http1"),
        ("http://[2001:db8::1]:8080/x", "GET", "2001:db8::1", 8080, "/x", "http1"),
        ("wss://example.com/live", "GET", "example.com", 443, "/live", "websocket"),
    ],
)
def test_a_request_as_typed(text: str, method: str, host: str, port: int, path: str, protocol: str) -> None:
    asked = from_text(text).request
    assert (asked.method, asked.target.host, asked.target.port, asked.path, asked.protocol) == (
        method,
        host,
        port,
        path,
        protocol,
    )


@pytest.mark.parametrize(
    "text",
    ["", "a b c", "ftp://a.com/", "https://u:p@a.com/", "https://a.com:99999/", "https:///x", "https://0x7f.1/"],
)
def test_a_request_that_is_refused_before_any_rule(text: str) -> None:
    with pytest.raises(ValueError, match=r"^an? "):
        from_text(text)


def test_headers_as_typed() -> None:
    assert from_url("a.com", headers=("X-Kind:  a b ",)).request.headers == (("x-kind", "a b"),)
    with pytest.raises(ValueError, match="header"):
        from_url("a.com", headers=("nothing",))


def test_the_reference_names_every_key_and_the_schema_too() -> None:
    text = reference.reference()
    for kind in reference.KINDS:
        for key in reference.keys(kind):
            assert f"`{key}`" in text
        schema = reference.json_schema(kind)
        assert schema["$schema"].endswith("2020-12/schema")
        for struct in schema["$defs"].values():
            assert struct["description"] and struct["additionalProperties"] is False
            assert all(
                field.get("description") or "$ref" in field or "anyOf" in field
                for field in struct["properties"].values()
            )


def test_every_field_of_the_model_has_a_description() -> None:
    seen: list[str] = []
    for kind in (model.Bottle, model.Agent):
        for row in reference._rows(kind, ""):
            seen.append(row[0])
            assert row[3], row
    assert "egress.routes[].matches[].paths[].value" in seen


def test_the_schema_accepts_what_the_checker_accepts() -> None:
    """No JSON Schema validator here: the model itself must decode what the checker made of the front matter."""
    file = check_bottle(b"---\nenv: {A: x, B: {secret: s}}\negress: {routes: [{host: a.com}]}\n---\n", "x", "x.md")
    assert msgspec.convert(msgspec.to_builtins(file.bottle), model.Bottle) == file.bottle


HOSTS = st.sampled_from(["a.com", "*.b.com", "10.0.0.1", "::1", "x_y.com", "a b", "*", "bücher.example"])


@given(
    st.sampled_from(sorted(model.PATTERNS)),
    HOSTS | st.text(max_size=12) | st.from_regex(r"[a-zA-Z0-9:/~._-]{1,12}", fullmatch=True),
)
def test_the_schema_is_never_stricter_than_the_check(syntax: str, text: str) -> None:
    """An editor with the schema must not underline what the program accepts."""
    try:
        CHECKS[syntax](text)
    except ValueError:
        return
    assert re.search(model.PATTERNS[syntax], text)


def test_every_check_has_a_pattern() -> None:
    assert CHECKS.keys() == model.PATTERNS.keys()
