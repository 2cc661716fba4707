"""policy: egress.default, ask routes with what they give, grants; through check, merge, digest, explain and text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot_bottle.base.errors import ManifestFault
from bot_bottle.bottles.plan_text import policy_text
from bot_bottle.policy import decide as decide_module
from bot_bottle.policy import reference
from bot_bottle.policy.decide import compile, could_allow_name, decide, decide_alone, with_grants
from bot_bottle.policy.effective import Policy, Route
from bot_bottle.policy.explain import explain
from bot_bottle.policy.grants import DEFAULT, LEARNED, Grant
from bot_bottle.policy.merge import combine, digest, effective, merge, single
from bot_bottle.policy.verdict import Auth, Kind, Request
from unit.policy.make import ask, bottle, request
from unit.policy.test_decide import REQUESTS, routes

EGRESS = "egress: {default: ask, ask_body: 1MB, ask_wait: 90s, learn: forbid}"
ACTIONS = st.sampled_from(["allow", "ask", "deny"])
GRANTS = st.lists(
    st.builds(
        Grant,
        id=st.sampled_from(["g1", "g2"]),
        ask=st.just("a1"),
        rule=st.sampled_from(["b/1", "b/2", DEFAULT]),
        scheme=st.sampled_from(["https", "http"]),
        host=st.sampled_from(["a.example.com", "b.example.com"]),
        port=st.sampled_from([443, 80]),
        protocol=st.sampled_from(["http1", "websocket"]),
        path=st.sampled_from(["/", "/a", "/a/b"]),
        expires=st.just(2**62),
        methods=st.sampled_from([(), ("GET",), ("POST",)]),
        prefix=st.booleans(),
        once=st.booleans(),
    ),
    max_size=4,
).map(tuple)
DEFAULTS = st.sampled_from(["deny", "ask", "learn"])


def policy_of(front: str) -> Policy:
    return effective(merge([bottle(front)]), "b")


# ---- from the file to the policy


def test_what_a_file_says_arrives() -> None:
    found = policy_of(EGRESS)
    assert (found.default, found.ask_body, found.ask_wait, found.learn) == ("ask", 1_000_000, 90, "forbid")
    bare = policy_of("version: 1")
    assert (bare.default, bare.ask_body, bare.ask_wait, bare.learn) == ("deny", 8_000_000, 300, "allow")


def test_the_later_file_wins_where_it_says_so() -> None:
    one, two, three = (
        single(bottle(front)) for front in (EGRESS, "egress: {ask_wait: 5m}", "egress: {default: deny, learn: allow}")
    )
    both = combine(combine(one, two), three)
    assert both == combine(one, combine(two, three))
    found = effective(both, "b")
    assert (found.default, found.ask_body, found.ask_wait, found.learn) == ("deny", 1_000_000, 300, "allow")


def test_every_one_of_them_is_part_of_the_digest() -> None:
    seen = {policy_of("version: 1").digest}
    for front in ("default: ask", "ask_body: 1MB", "ask_wait: 1m", "learn: forbid"):
        seen.add(policy_of(f"egress: {{{front}}}").digest)
    assert len(seen) == 5
    said = policy_of("egress: {default: deny, ask_body: 8MB, ask_wait: 5m, learn: allow}")
    assert said.digest == policy_of("version: 1").digest == digest(said)


@pytest.mark.parametrize(
    ("front", "part"),
    [
        ("default: allow", "'allow' is not known here"),
        ("default: learn", "'learn' is not known here"),
        ("ask_wait: 500ms", "from 1s to 7d"),
        ("ask_wait: 8d", "from 1s to 7d"),
        ("ask_wait: soon", "does not fit"),
        ("ask_body: 2GB", "at most 1GB"),
        ("ask_body: [1]", "must be"),
        ("learn: never", "'never' is not known here"),
        ("defaut: ask", "did you mean default?"),
    ],
)
def test_what_does_not_fit_is_said_with_its_line(front: str, part: str) -> None:
    with pytest.raises(ManifestFault) as fault:
        bottle(f"version: 1\negress:\n  {front}")
    assert part in str(fault.value) and "b.md:4" in str(fault.value)


def test_schema_and_reference_know_them() -> None:
    egress = reference.json_schema("bottle")["$defs"]["Egress"]["properties"]
    assert egress["default"]["enum"] == ["ask", "deny"] and egress["learn"]["enum"] == ["allow", "forbid"]
    assert {"egress.default", "egress.ask_body", "egress.ask_wait", "egress.learn"} <= set(reference.keys("bottle"))


def test_a_person_reads_them() -> None:
    text = policy_text(policy_of(EGRESS))
    for part in ("ask a person about what no route names", "wait 90 s", "1.0 MB", "learn: forbidden"):
        assert part in text
    assert "routes: none, so nothing leaves without an answer" in text
    assert "ask" not in policy_text(policy_of("version: 1"))


# ---- deciding

ASKING = """
egress:
  default: ask
  routes:
    - {name: read, host: api.example.com, matches: [{methods: [GET]}]}
    - {name: never, host: shut.example.com, action: deny}
    - {name: part, host: half.example.com, action: deny, matches: [{methods: [POST]}]}
"""


@pytest.mark.parametrize(
    ("url", "method", "reason"),
    [
        ("https://other.example/x", "GET", decide_module.NO_HOST),
        ("https://1.1.1.1/x", "GET", decide_module.NO_HOST),
        ("https://api.example.com:8443/x", "GET", decide_module.NO_PORT),
        ("http://api.example.com/x", "GET", decide_module.NO_PORT),
        ("https://api.example.com/x", "POST", decide_module.NO_MATCH),
        ("https://half.example.com/x", "GET", decide_module.NO_PORT),
    ],
)
def test_what_no_route_names_is_asked_with_its_cause(url: str, method: str, reason: str) -> None:
    known = compile(policy_of(ASKING))
    verdict = ask(known, url, method)
    assert (verdict.kind, verdict.rule, verdict.reason) == (Kind.ASK, DEFAULT, reason)
    assert "without asking" in verdict.hint
    route = known.policy.route(verdict.route)
    assert route.rule == DEFAULT and route.auth is None and not route.address and not route.agent_credentials


@pytest.mark.parametrize(
    ("url", "method"),
    [
        ("https://shut.example.com/", "GET"),
        ("http://shut.example.com:99/", "GET"),
        ("https://half.example.com/x", "POST"),
        ("http://127.0.0.1:8080/", "GET"),
        ("https://10.0.0.1/", "GET"),
        ("http://169.254.169.254/latest", "GET"),
        ("https://bot-bottle.internal/", "GET"),
        ("https://x.bot-bottle.internal/", "GET"),
    ],
)
def test_what_is_never_asked(url: str, method: str) -> None:
    assert ask(compile(policy_of(ASKING)), url, method).kind is Kind.DENY


def test_a_deny_route_with_a_scheme_covers_every_port_of_it() -> None:
    """Also a port that no route names: otherwise it would be asked about, and a yes would beat a deny (D25)."""
    front = "egress: {default: ask, routes: [{name: no, host: a.example, scheme: http, action: deny}]}"
    grant = Grant("g1", "a1", DEFAULT, "http", "a.example", 8080, "http1", "/", 2**62, prefix=True)
    known = compile(policy_of(front), (grant,))
    for url in ("http://a.example/", "http://a.example:8080/", "http://a.example:443/"):
        assert ask(known, url).reason == decide_module.DENIED
    assert ask(known, "https://a.example/").kind is Kind.ASK


def test_names_are_answered_where_something_could_be_asked() -> None:
    known = compile(policy_of(ASKING))
    assert could_allow_name(known, "anything.example") and could_allow_name(known, "half.example.com")
    assert not could_allow_name(known, "shut.example.com")
    denies = compile(policy_of(ASKING.replace("default: ask", "default: deny")))
    assert not could_allow_name(denies, "anything.example")
    grant = Grant("g1", "a1", DEFAULT, "https", "anything.example", 443, "http1", "/", 2**62)
    assert could_allow_name(with_grants(denies, (grant,)), "anything.example")


def test_the_route_of_a_verdict() -> None:
    policy = policy_of(ASKING)
    assert [policy.route(index).rule for index in range(4)] == ["b/read", "b/never", "b/part", DEFAULT]
    for index in (-1, 4):
        with pytest.raises(IndexError):
            policy.route(index)


def test_an_ask_route_gives_auth_and_two_that_differ_are_refused() -> None:
    one = Route("b/one", "a.example", action="ask", auth=Auth("bearer", "s1"))
    wide = Route("b/wide", "*.example", action="ask", auth=Auth("bearer", "s2"))
    known = compile(Policy("b", (wide, one)))
    assert known.policy.route(ask(known, "https://a.example/").route) == one
    two = Route("b/two", "a.example", action="ask", auth=Auth("bearer", "s2"))
    for order in ((one, two), (two, one), (wide, one, two)):
        grant = Grant("g1", "a1", "b/one", "https", "a.example", 443, "http1", "/", 2**62, prefix=True)
        verdict = ask(compile(Policy("b", order), (grant,)), "https://a.example/")
        assert (verdict.kind, verdict.reason) == (Kind.DENY, decide_module.TIE)
    with pytest.raises(ManifestFault, match="different power"):
        bottle(
            "egress: {routes: [{name: a, host: a.example, action: ask}, "
            "{name: b, host: a.example, action: ask, auth: {scheme: bearer, secret: s}}]}"
        )


def test_learning_allows_what_no_route_names_and_no_secret() -> None:
    policy = policy_of(ASKING.replace("default: ask", "default: deny"))
    known = compile(Policy("b", policy.routes, default="learn", learn_until=9))
    verdict = ask(known, "https://other.example/x", "POST")
    assert (verdict.kind, verdict.rule) == (Kind.ALLOW, LEARNED) and known.policy.route(verdict.route).auth is None
    assert ask(known, "https://api.example.com/", "GET").rule == "b/read"
    for url in ("https://shut.example.com/", "https://10.0.0.1/", "https://bot-bottle.internal/"):
        assert ask(known, url).kind is Kind.DENY


def test_an_explanation_says_that_a_person_is_asked_and_what_would_not() -> None:
    found = explain(compile(policy_of(ASKING)), request("https://other.example/x", "POST"))
    assert found.verdict.kind is Kind.ASK and any("egress.default: ask" in note for note in found.notes)
    file = bottle(f"egress:\n  routes:\n    {found.allow}")
    again = decide(compile(effective(merge([file]), "b")), request("https://other.example/x", "POST"))
    assert again.kind is Kind.ALLOW


# ---- properties


def _decided(known: list[Route], default: str, grants: tuple[Grant, ...], asked: Request) -> Kind:
    return decide(compile(Policy("b", tuple(known), default=default), grants), asked).kind


@given(st.lists(routes(ACTIONS), max_size=5), DEFAULTS, GRANTS, REQUESTS)
def test_a_grant_changes_asks_only(
    known: list[Route], default: str, grants: tuple[Grant, ...], asked: Request
) -> None:
    """It turns an ask into an allow. Where the policy denies by default it may open what no route names, never what a
    route denies or two routes dispute; and an allow stays as it is."""
    without = decide(compile(Policy("b", tuple(known), default=default)), asked)
    with_them = decide(compile(Policy("b", tuple(known), default=default), grants), asked)
    if without.kind is Kind.ALLOW or without.reason in (decide_module.DENIED, decide_module.TIE):
        assert with_them == without
    elif without.kind is Kind.ASK:
        assert with_them == without or (with_them.kind is Kind.ALLOW and with_them.route == without.route)
    elif with_them != without:
        assert with_them.rule == DEFAULT and with_them.kind in (Kind.ALLOW, Kind.ASK)
    if with_them.grant:
        used = [one for one in grants if one.id == with_them.grant and one.covers(with_them.rule, asked)]
        assert used and not all(one.once for one in used)


@given(st.lists(routes(ACTIONS), max_size=5), DEFAULTS, GRANTS, REQUESTS)
def test_what_no_yes_for_many_covers_is_asked_about_and_all_else_as_before(
    known: list[Route], default: str, grants: tuple[Grant, ...], asked: Request
) -> None:
    compiled = compile(Policy("b", tuple(known), default=default), grants)
    found, alone = decide(compiled, asked), decide_alone(compiled, asked)
    if found.grant:
        assert (alone.kind, alone.rule, alone.route, alone.grant) == (Kind.ASK, found.rule, found.route, "")
    else:
        assert alone == found


@given(st.lists(routes(ACTIONS), max_size=5), routes(st.just("deny")), DEFAULTS, GRANTS, REQUESTS)
@example(
    [Route("b/1", "a.example.com", "http", ())],
    Route("b/2", "a.example.com", "https", (443,), action="deny"),
    "deny",
    (),
    request("http://a.example.com:443/"),
)
def test_adding_a_deny_route_never_opens_anything(
    known: list[Route], more: Route, default: str, grants: tuple[Grant, ...], asked: Request
) -> None:
    order = [Kind.DENY, Kind.ASK, Kind.ALLOW]
    before = _decided(known, default, grants, asked)
    assert order.index(_decided([*known, more], default, grants, asked)) <= order.index(before)


@given(st.lists(routes(ACTIONS), max_size=5), GRANTS, REQUESTS)
def test_asking_instead_of_denying_allows_nothing_by_itself(
    known: list[Route], grants: tuple[Grant, ...], asked: Request
) -> None:
    denies, asks = (_decided(known, default, grants, asked) for default in ("deny", "ask"))
    assert (denies is Kind.ALLOW) == (asks is Kind.ALLOW)
    assert _decided(known, "deny", (), asked) is not Kind.ASK or any(one.action == "ask" for one in known)


@given(st.lists(routes(ACTIONS), max_size=5), DEFAULTS, REQUESTS)
def test_no_name_is_refused_whose_request_could_be_allowed(known: list[Route], default: str, asked: Request) -> None:
    compiled = compile(Policy("b", tuple(known), default=default))
    if decide(compiled, asked).kind is not Kind.DENY:
        assert could_allow_name(compiled, asked.target.host)


@given(st.lists(routes(ACTIONS), max_size=5), DEFAULTS, GRANTS, REQUESTS)
def test_every_verdict_but_a_denial_names_a_route(
    known: list[Route], default: str, grants: tuple[Grant, ...], asked: Request
) -> None:
    policy = Policy("b", tuple(known), default=default)
    verdict = decide(compile(policy, grants), asked)
    if verdict.kind is Kind.DENY:
        assert verdict.route == -1
    elif verdict.rule in (DEFAULT, LEARNED):
        assert policy.route(verdict.route).auth is None
    else:
        assert policy.route(verdict.route).rule == verdict.rule
