"""policy.decide: precedence, specificity, ports, protocols, headers, encoded slashes, ties; and its properties."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.policy import decide as decide_module
from bot_bottle.policy.decide import compile, could_allow_name, decide, matched_headers, routes_for_host
from bot_bottle.policy.effective import HeaderMatch, Match, PathMatch, Policy, Route
from bot_bottle.policy.verdict import Auth, Kind, Request, Target
from unit.policy.make import ask, compiled, policy, request

HOST = "https://api.example.com"


def test_deny_beats_ask_beats_allow_whatever_the_order() -> None:
    rows = [
        "- {name: all, host: api.example.com}",
        "- {name: held, host: api.example.com, action: ask, matches: [{paths: [{type: prefix, value: /a}]}]}",
        "- {name: never, host: api.example.com, action: deny, matches: [{paths: [{type: prefix, value: /a/b}]}]}",
    ]
    for routes in (rows, rows[::-1]):
        known = compiled("\n".join(routes))
        assert ask(known, f"{HOST}/x").rule == "b/all"
        held = ask(known, f"{HOST}/a/x")
        assert known.policy.route(held.route).rule == "b/held"
        assert (held.kind, held.rule, held.reason, held.route) == (Kind.ASK, "b/held", decide_module.ASK, held.route)
        never = ask(known, f"{HOST}/a/b/c")
        assert (never.kind, never.rule, never.reason, never.route) == (Kind.DENY, "b/never", decide_module.DENIED, -1)


def test_the_most_specific_allow_gives_auth_and_limits() -> None:
    routes = """
- {name: wild, host: '*.example.com'}
- {name: host, host: api.example.com}
- {name: regex, host: api.example.com, matches: [{paths: [{type: regex, value: '/v1/.*'}]}]}
- {name: short, host: api.example.com, matches: [{paths: [{type: prefix, value: /v1}]}]}
- {name: long, host: api.example.com, matches: [{paths: [{type: prefix, value: /v1/items}]}]}
- {name: exact, host: api.example.com, matches: [{paths: [{type: exact, value: /v1/items/1}]}]}
- {name: exact-post, host: api.example.com, matches: [{paths: [{type: exact, value: /v1/items/1}], methods: [POST]}]}
"""
    known = compiled(routes)
    assert ask(known, "https://other.example.com/v1/items/1").rule == "b/wild"
    assert ask(known, f"{HOST}/").rule == "b/host"
    assert ask(known, f"{HOST}/v1/x").rule == "b/short"
    assert ask(known, f"{HOST}/v1/items/2").rule == "b/long"
    assert ask(known, f"{HOST}/v1/items/1").rule == "b/exact"
    verdict = ask(known, f"{HOST}/v1/items/1", "POST")
    assert verdict.rule == "b/exact-post"
    assert known.policy.routes[verdict.route].rule == "b/exact-post"


def test_scheme_port_and_protocol_must_be_named() -> None:
    known = compiled("- {host: api.example.com}\n- {host: plain.example.com, scheme: http}")
    assert ask(known, f"{HOST}/").kind is Kind.ALLOW
    assert ask(known, "http://plain.example.com/").kind is Kind.ALLOW
    for url in (
        "http://api.example.com/",
        f"{HOST}:8443/",
        "https://plain.example.com/",
        "http://api.example.com:443/",
    ):
        assert ask(known, url).reason == decide_module.NO_PORT, url
    assert ask(known, f"{HOST}/", protocol="websocket").reason == decide_module.NO_MATCH


def test_a_deny_route_without_scheme_port_and_protocols_covers_all() -> None:
    known = compiled("""
- {host: api.example.com, ports: [443, 8443], protocols: [http1, websocket]}
- {host: api.example.com, scheme: http, ports: [8080]}
- {name: no, host: api.example.com, action: deny, matches: [{paths: [{type: exact, value: /x}]}]}
""")
    for url in (f"{HOST}/x", f"{HOST}:8443/x", "http://api.example.com:8080/x", "http://api.example.com:9/x"):
        for protocol in ("http1", "websocket"):
            assert ask(known, url, protocol=protocol).rule == "b/no"


def test_prefixes_are_whole_segments() -> None:
    known = compiled(
        "- {host: api.example.com, matches: [{paths: [{type: prefix, value: /v1}, {type: prefix, value: /t/}]}]}"
    )
    assert [ask(known, HOST + path).kind is Kind.ALLOW for path in ("/v1", "/v1/", "/v1/x", "/v1x", "/t", "/t/", "/t/x")] == [
        True, True, True, False, False, True, True,
    ]  # fmt: skip


def test_a_regex_covers_the_whole_path() -> None:
    known = compiled("- {host: api.example.com, matches: [{paths: [{type: regex, value: '/v[0-9]+'}]}]}")
    assert ask(known, f"{HOST}/v12").kind is Kind.ALLOW
    assert ask(known, f"{HOST}/v12/x").kind is Kind.DENY
    assert ask(known, f"{HOST}/x/v12").kind is Kind.DENY


def test_headers_all_of_them_and_every_value() -> None:
    known = compiled("""
- host: api.example.com
  matches: [{headers: [{name: X-Kind, type: exact, value: a}, {name: x-more, type: prefix, value: p}]}]
""")
    assert ask(known, f"{HOST}/", "GET", ("x-kind", "a"), ("x-more", "pq")).kind is Kind.ALLOW
    assert ask(known, f"{HOST}/", "GET", ("x-kind", "a")).kind is Kind.DENY
    assert ask(known, f"{HOST}/", "GET", ("x-kind", "a"), ("x-kind", "b"), ("x-more", "p")).kind is Kind.DENY
    assert matched_headers(known) == {"x-kind", "x-more"}


def test_a_deny_header_matches_any_value() -> None:
    known = compiled("""
- {host: api.example.com}
- {name: no, host: api.example.com, action: deny, matches: [{headers: [{name: x-kind, type: exact, value: a}]}]}
""")
    assert ask(known, f"{HOST}/", "GET", ("x-kind", "b")).kind is Kind.ALLOW
    assert ask(known, f"{HOST}/", "GET", ("x-kind", "b"), ("x-kind", "a")).rule == "b/no"


@pytest.mark.parametrize("path", ["/a%2Fb", "/a;x/b", "/a;x%2Fb", "/a%3Ab"])
def test_deny_rules_see_every_reading_of_a_path(path: str) -> None:
    known = compiled("""
- {host: api.example.com}
- {name: no, host: api.example.com, action: deny, matches: [{paths: [{type: exact, value: /a/b}, {type: exact, value: '/a:b'}]}]}
""")
    assert ask(known, HOST + path).rule == "b/no"


@pytest.mark.parametrize("path", ["/Repos/Corp", "/repos/corp/", "/REPOS/corp;x", "/x/42/", "/X/42"])
def test_deny_rules_ignore_case_and_the_last_slash_but_allow_rules_do_not(path: str) -> None:
    match = "matches: [{paths: [{type: exact, value: /repos/Corp}, {type: regex, value: '/x/[0-9]+'}]}]"
    known = compiled(f"- {{host: api.example.com}}\n- {{name: no, host: api.example.com, action: deny, {match}}}")
    assert ask(known, HOST + path).rule == "b/no"
    assert ask(compiled(f"- {{host: api.example.com, {match}}}"), HOST + path).kind is Kind.DENY


def test_an_encoded_slash_is_allowed_only_where_both_readings_are() -> None:
    known = compiled(
        "- {host: api.example.com, matches: [{paths: [{type: prefix, value: /@s}, {type: exact, value: '/x%2Fy'}]}]}"
    )
    assert ask(known, f"{HOST}/@s/p").kind is Kind.ALLOW
    assert ask(known, f"{HOST}/@s/p%2Fq").kind is Kind.ALLOW
    assert ask(known, f"{HOST}/@s%2Fp").kind is Kind.DENY
    assert ask(known, f"{HOST}/x%2Fy").kind is Kind.ALLOW  # the rule itself spells it
    assert ask(known, f"{HOST}/x/y").kind is Kind.DENY


def test_a_tie_at_run_time_is_refused_with_its_own_reason() -> None:
    def route(name: str, secret: str, pattern: str) -> Route:
        matches = (Match(paths=(PathMatch("regex", pattern),)),)
        return Route(f"b/{name}", "api.example.com", matches=matches, auth=Auth("bearer", secret))

    known = compile(Policy("b", (route("one", "s1", "/v1/.*"), route("two", "s2", ".*/x"))))
    assert ask(known, f"{HOST}/v1/y").rule == "b/one"
    tie = ask(known, f"{HOST}/v1/x")
    assert (tie.kind, tie.reason, tie.route) == (Kind.DENY, decide_module.TIE, -1)
    assert "b/one" in tie.hint and "b/two" in tie.hint
    same = compile(Policy("b", (route("one", "s1", "/v1/.*"), route("two", "s1", ".*/x"))))
    assert ask(same, f"{HOST}/v1/x").rule == "b/one"


def test_names_that_could_be_allowed() -> None:
    known = compiled("""
- {host: api.example.com}
- {host: held.example.org, action: ask}
- {host: never.example.org, action: deny}
- {host: '*.wild.example'}
""")
    names = [
        "api.example.com",
        "held.example.org",
        "a.wild.example",
        "never.example.org",
        "wild.example",
        "a.b.wild.example",
        "x.org",
    ]
    assert [could_allow_name(known, name) for name in names] == [True, True, True, False, False, False, False]
    assert [route.host for route in routes_for_host(known, "a.wild.example")] == ["*.wild.example"]


def test_an_address_is_never_covered_by_a_wildcard() -> None:
    known = compile(Policy("b", (Route("b/w", "*.0.0.1"),)))
    assert ask(known, "https://10.0.0.1/").kind is Kind.DENY


def test_the_hot_path_is_fast() -> None:
    """The aim is 2 us a decision; the bound leaves room for a busy machine."""
    rows = [
        f"- {{host: h{n}.example.com, matches: [{{paths: [{{type: prefix, value: /v1/}}], methods: [GET]}}]}}"
        for n in range(100)
    ]
    known, asked = compiled("\n".join(rows)), request("https://h50.example.com/v1/items")
    started = time.process_time()
    for _ in range(20_000):
        decide(known, asked)
    assert (time.process_time() - started) / 20_000 < 10e-6


# ---- properties

PATHS = st.sampled_from(["/", "/a", "/a/", "/a/b", "/b", "/a%2Fb", "/a;x/b", "/a%20b"])
MATCH = st.builds(
    Match,
    paths=st.lists(
        st.builds(PathMatch, st.sampled_from(["exact", "prefix"]), PATHS)
        | st.builds(PathMatch, st.just("regex"), st.sampled_from([".*", "/a.*", "/[ab]"])),
        max_size=2,
    ).map(tuple),
    methods=st.lists(st.sampled_from(["GET", "POST"]), max_size=2).map(tuple),
    headers=st.lists(st.builds(HeaderMatch, st.just("x"), st.just("exact"), st.sampled_from("ab")), max_size=1).map(
        tuple
    ),
)


def routes(action: st.SearchStrategy[str]) -> st.SearchStrategy[Route]:
    return st.builds(
        Route,
        rule=st.sampled_from(["b/1", "b/2", "b/3"]),
        host=st.sampled_from(["a.example.com", "b.example.com", "*.example.com"]),
        scheme=st.sampled_from(["https", "http", ""]),
        ports=st.sampled_from([(443,), (80,), (80, 443), ()]),
        protocols=st.sampled_from([("http1",), ("http1", "websocket")]),
        matches=st.lists(MATCH, max_size=2).map(tuple),
        action=action,
        auth=st.sampled_from([None, Auth("bearer", "s1"), Auth("bearer", "s2")]),
    )


REQUESTS = st.builds(
    Request,
    target=st.builds(
        Target,
        st.sampled_from(["https", "http"]),
        st.sampled_from(["a.example.com", "b.example.com", "c.example.com", "example.com"]),
        st.sampled_from([443, 80, 22]),
    ),
    method=st.sampled_from(["GET", "POST", "PUT"]),
    path=PATHS,
    headers=st.lists(st.tuples(st.just("x"), st.sampled_from("abc")), max_size=2).map(tuple),
    protocol=st.sampled_from(["http1", "websocket"]),
)


@given(
    st.lists(routes(st.sampled_from(["allow", "ask", "deny"])), max_size=5),
    routes(st.just("deny")),
    REQUESTS,
    st.data(),
)
def test_adding_a_deny_route_never_allows_more(
    known: list[Route], more: Route, asked: Request, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(known)))
    after = decide(compile(Policy("b", (*known[:at], more, *known[at:]))), asked)
    if decide(compile(Policy("b", tuple(known))), asked).kind is not Kind.ALLOW:
        assert after.kind is not Kind.ALLOW


@given(st.lists(routes(st.sampled_from(["allow", "ask", "deny"])), max_size=5), REQUESTS)
def test_order_never_changes_who_may_pass(known: list[Route], asked: Request) -> None:
    one, two = (decide(compile(Policy("b", tuple(order))), asked) for order in (known, known[::-1]))
    assert one.kind is two.kind and one.reason == two.reason


@given(st.lists(routes(st.sampled_from(["allow", "ask", "deny"])), max_size=5), REQUESTS)
def test_an_allow_names_a_route_that_covers_the_request(known: list[Route], asked: Request) -> None:
    compiled_policy = compile(Policy("b", tuple(known)))
    verdict = decide(compiled_policy, asked)
    if verdict.kind is not Kind.ALLOW:
        assert verdict.reason and verdict.hint
        assert (verdict.route == -1) == (verdict.kind is Kind.DENY)
        return
    route = known[verdict.route]
    assert route in routes_for_host(compiled_policy, asked.target.host)
    assert route.action == "allow" and could_allow_name(compiled_policy, asked.target.host)


@given(REQUESTS)
def test_no_routes_allow_nothing(asked: Request) -> None:
    assert decide(compile(policy("")), asked).reason == decide_module.NO_HOST
