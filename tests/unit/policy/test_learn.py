"""policy.learn, shapes, difference, assertions, replay, learning: suggestions and comparisons, each against `decide`."""

import time
from typing import Any

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bot_bottle.base.errors import ManifestFault
from bot_bottle.policy import assertions, learn, shapes
from bot_bottle.policy.check import check_bottle
from bot_bottle.policy.decide import TIE, compile, decide, matched_headers
from bot_bottle.policy.difference import Difference, Means, claims, difference
from bot_bottle.policy.effective import Match, Policy, Route
from bot_bottle.policy.learn import Past
from bot_bottle.policy.merge import effective, merge
from bot_bottle.policy.parts import Part
from bot_bottle.policy.regex import compile_regex
from bot_bottle.policy.replay import Change, Line, Replay, replayed
from bot_bottle.policy.verdict import Kind, Request, Target
from bot_bottle.supervise.leaf_text import with_route
from unit.policy.make import bottle, compiled, policy, request
from unit.policy.test_asks import ACTIONS, DEFAULTS
from unit.policy.test_decide import PATHS, REQUESTS, routes

HASH = "0a4585e4e0b64d856212c4a963e677a429a5f3e769259f03eaf32b0109ab"


def past(*rows: str) -> list[Past]:
    """``run METHOD url`` each."""
    return [Past(request(url, method), run) for run, method, url in (row.split() for row in rows)]


def found(*rows: str) -> list[str]:
    return [f"{'|'.join(one.methods)} {one.path.type} {one.path.value}" for one in learn.learn(past(*rows)).parts]


def get(path: str, runs: int = 3, method: str = "GET") -> list[str]:
    """The same path with ``%`` for what differs from run to run."""
    names = ("amber", "basil2", "cedar.io")
    return [f"r{n} {method} https://h.example{path.replace('%', names[n])}" for n in range(runs)]


# ---- learning


@pytest.mark.parametrize(
    ("rows", "rules"),
    [
        (get("/v1/items"), ["GET exact /v1/items"]),
        (["r1 HEAD https://h.example/v1"], ["HEAD exact /v1"]),
        ([*get("/v1"), "r1 HEAD https://h.example/v1"], ["GET|HEAD exact /v1"]),
        ([*get("/v1"), "r1 HEAD https://h.example/v2"], ["HEAD exact /v2", "GET exact /v1"]),
        ([*get("/simple/%/"), *get("/simple/%/", method="HEAD")], ["GET|HEAD regex /simple/[a-z0-9._-]{1,24}/"]),
        (["r1 GET https://h.example/issues/17"], ["GET regex /issues/[0-9]{1,20}"]),
        (["r1 GET https://h.example/v/1.2.3-rc1/x"], [f"GET regex /v/{shapes.VERSION}/x"]),
        (
            ["r1 GET https://h.example/o/0b7548de-a6fc-555d-b4db-bab4e74e7d52"],
            [f"GET regex /o/{shapes.UUID}"],
        ),
        (
            [f"r1 GET https://h.example/p/ee/0f/{HASH}/a", f"r2 GET https://h.example/p/12/34/{HASH[::-1]}/b"],
            [
                "GET regex /p/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/a",
                "GET regex /p/[0-9a-f]{2}/[0-9a-f]{2}/[0-9a-f]{60}/b",
            ],
        ),
        (get("/simple/%/"), ["GET regex /simple/[a-z0-9._-]{1,24}/"]),
        (get("/simple/%/", runs=2), ["GET exact /simple/amber/", "GET exact /simple/basil2/"]),
        (get("/api/%", method="POST"), ["POST exact /api/amber", "POST exact /api/basil2", "POST exact /api/cedar.io"]),
        (get("/r/%.git/git-upload-pack", method="POST"), [r"POST regex /r/[a-z0-9._-]{1,24}\.git/git-upload-pack"]),
        (get("/%"), [f"GET exact /{name}" for name in ("amber", "basil2", "cedar.io")]),
        (get("/d/%.html"), [r"GET regex /d/[a-z0-9._-]{1,24}\.html"]),
        (["r1 GET https://h.example/3/a", "r2 GET https://h.example/3/a", "r3 GET https://h.example/3/a"], ["GET exact /3/a"]),
    ],
)  # fmt: skip
def test_what_is_made_of_what_was_seen(rows: list[str], rules: list[str]) -> None:
    assert found(*rows) == rules


def test_words_of_an_interface_stay_words() -> None:
    """issues, pulls and commits come back in each run: no fourth word is let in beside them."""
    rows = [
        f"r{n} GET https://h.example/repos/acme/shop/{word}/{10 * n + 7}"
        for n in range(4)
        for word in ("issues", "pulls", "commits")
    ]
    suggestion = learn.learn(past(*rows))
    known = compile(learn.as_policy(suggestion.routes))
    assert decide(known, request("https://h.example/repos/acme/shop/issues/999")).kind is Kind.ALLOW
    for path in ("keys/17", "issues/abc", "issues/17/comments", "issues"):
        assert decide(known, request(f"https://h.example/repos/acme/shop/{path}")).kind is Kind.DENY
    assert decide(known, request("https://h.example/repos/acme/shop/issues/999", "POST")).kind is Kind.DENY


def test_many_shapes_below_one_path_become_that_path() -> None:
    rows = [f"r{n % 3} GET https://h.example/docs/guide/{'/'.join('abcdefghijkl'[: n + 1])}" for n in range(12)]
    assert found(*rows) == ["GET prefix /docs/guide"]


def test_a_flood_of_paths_is_learned_from_in_time() -> None:
    """An agent chooses what it asks for: neither very long paths nor very many break or stall it."""
    long = [f"r{n} GET https://h.example{'/a' * 250}/{name}" for n, name in enumerate(("amber", "basil", "cedar"))]
    spread = [f"r{n} GET https://h.example/" + "/".join(f"{'abc'[n]}{m}x" for m in range(200)) for n in range(3)]
    many = [f"r{n % 7} {('GET', 'POST')[n % 2]} https://h.example/{n}q/{n * 7}z" for n in range(4000)]
    rows = past(*long, *spread, *many)
    started = time.process_time()
    suggestion = learn.learn(rows)
    assert learn.coverage(learn.as_policy(suggestion.routes), rows) == 1.0
    assert time.process_time() - started < 20
    assert all(len(part.path.value) <= 4096 for part in suggestion.parts)


def test_addresses_are_a_persons_to_write() -> None:
    assert learn.learn(past("r1 GET https://1.1.1.1/x")).routes == ()


def test_what_was_learned_can_be_written_and_read() -> None:
    """Every route of a suggestion fits into a bottle file as text, comments and all."""
    rows = [*get("/simple/%/"), *get("/api/%", method="POST"), "r1 GET http://plain.example:8080/a%20b/@x%2Fy"]
    suggestion = learn.learn(past(*rows))
    text = "---\negress:\n  routes: []  # mine\n---\n"
    for route in suggestion.routes:
        text = with_route(text, route)
    assert check_bottle(text.encode(), "b", "b.md").bottle.egress.routes == list(suggestion.routes)


def test_a_long_secret_does_not_fit_where_names_were_seen() -> None:
    known = compile(learn.as_policy(learn.learn(past(*get("/simple/%/"))).routes))
    for name in ("x" * 30, "QWJjZGVm", "a+b", "%41", "a%20b"):
        assert decide(known, request(f"https://h.example/simple/{name}/")).kind is Kind.DENY, name
    assert decide(known, request("https://h.example/simple/other-name/")).kind is Kind.ALLOW


SEGMENTS = st.sampled_from(
    ["v1", "items", "17", "3", "amber", "basil", "0b7548de-a6fc-555d-b4db-bab4e74e7d52", "ee", HASH, "1.2.3", "@a%2Fb",
     "a%20b", "x.html", "y.html", "*", "~", "@", "a(b", "-", "info", "git-upload-pack"]
)  # fmt: skip
LEARNABLE = st.lists(
    st.builds(
        Past,
        st.builds(
            Request,
            st.builds(Target, st.sampled_from(["https", "http"]), st.sampled_from(["a.example", "b.example"]), st.sampled_from([443, 80, 8443])),
            st.sampled_from(["GET", "HEAD", "POST", "DELETE"]),
            st.lists(SEGMENTS, min_size=1, max_size=5).map(lambda parts: "/" + "/".join(parts)),
            protocol=st.sampled_from(["http1", "http1", "websocket"]),
        ),
        st.sampled_from(["r1", "r2", "r3", "r4"]),
    ),
    max_size=40,
)  # fmt: skip


@given(LEARNABLE, st.randoms())
def test_everything_seen_is_covered_and_order_does_not_matter(rows: list[Past], shuffle: Any) -> None:
    suggestion = learn.learn(rows)
    assert learn.coverage(learn.as_policy(suggestion.routes), rows) == 1.0
    other = list(rows)
    shuffle.shuffle(other)
    assert learn.learn(other).routes == suggestion.routes
    for route in suggestion.routes:
        assert "*" not in route.host and route.auth is msgspec.UNSET and route.matches
        for match in route.matches:
            assert match.methods and match.paths
            assert all(path.value != "/" or path.type == "exact" for path in match.paths)


@given(LEARNABLE)
def test_no_method_and_no_host_comes_from_nowhere(rows: list[Past]) -> None:
    """Reading never brings writing, one host never another, and what is written goes where it was but for ids."""
    seen: dict[tuple[str, ...], set[str]] = {}
    for one in rows:
        target = one.request.target
        site = (target.scheme, target.host, str(target.port), one.request.protocol)
        seen.setdefault(site, set()).add(one.request.method)
    known = compile(learn.as_policy(learn.learn(rows).routes))
    for one in rows:
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"):
            asked = msgspec.structs.replace(one.request, method=method)
            target = asked.target
            site = (target.scheme, target.host, str(target.port), asked.protocol)
            if decide(known, asked).kind is Kind.ALLOW:
                assert method in seen[site]


def test_held_out_runs_tell_what_it_is_worth() -> None:
    covered, total = learn.held_out(past(*get("/simple/%/"), "r3 GET https://h.example/other"))
    assert total == 4 and covered == 0  # three names: with one left out, two are too few
    rows = [f"r{n} GET https://h.example/simple/{name}/" for n, name in enumerate(("amber", "basil", "cedar", "delta", "ember"))]  # fmt: skip
    assert learn.held_out(past(*rows)) == (5, 5)
    assert learn.held_out([]) == (0, 0) and learn.coverage(learn.as_policy(()), []) == 1.0


@given(st.lists(SEGMENTS.filter(shapes.is_word), min_size=2, max_size=6, unique=True))
def test_an_expression_covers_its_words(words: list[str]) -> None:
    test = compile_regex(shapes.covering(words))
    assert all(test.fullmatch(word.encode()) for word in words)
    assert not test.fullmatch(b"a/b") and not test.fullmatch(b"")


@pytest.mark.parametrize("text", ["https://h.example", "ftp://h:1", "https://:443", "https://h:x", "", "h:443"])
def test_a_target_that_was_not_recorded(text: str) -> None:
    assert learn.target_of(text) is None


def test_targets_of_records() -> None:
    assert learn.target_of("https://h.example:443") == Target("https", "h.example", 443)
    assert learn.target_of("http://[2001:db8::1]:80") == Target("http", "2001:db8::1", 80)


# ---- diff


def diff(before: str, after: str) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    made = difference(policy(before), policy(after))
    return made.gained, made.lost, made.changed


A = "- {name: %s, host: a.example, matches: [{paths: [{type: %s, value: %s}], methods: [%s]}]}"


def test_names_and_cuts_are_no_difference() -> None:
    assert diff(
        A % ("x", "prefix", "/v1", "GET, POST"),
        A % ("y", "prefix", "/v1", "GET") + "\n" + A % ("z", "prefix", "/v1", "POST"),
    ) == ((), (), ())
    both = A % ("x", "prefix", "/v1", "GET") + "\n" + A % ("y", "exact", "/v1/a", "GET")
    assert diff(both, A % ("x", "prefix", "/v1", "GET")) == ((), (), ())


@pytest.mark.parametrize(
    ("before", "after", "gained", "lost", "changed"),
    [
        ("", A % ("x", "exact", "/v1", "GET, HEAD"), ["allowed: GET|HEAD https://a.example exactly /v1"], [], []),
        (A % ("x", "prefix", "/v1", "GET"), "", [], ["no longer allowed: GET https://a.example /v1 and below"], []),
        ("", "- {name: x, host: a.example, action: deny}", [], [], ["a rule denies now what nothing allowed: any method http(s)://a.example any port"]),
        ("- {name: x, host: a.example, action: deny, ports: [8443]}", "", [], [], ["no rule denies any more, and nothing allows: any method http(s)://a.example port 8443"]),
        ("", "- {name: x, host: a.example, action: ask, protocols: [websocket]}", [], [], ["asked about now: any method https://a.example, as WebSocket"]),
        (
            "- {name: x, host: a.example}", "- {name: x, host: a.example, auth: {scheme: bearer, secret: key}}",
            ["allowed: any method https://a.example, with secret key"], ["no longer allowed: any method https://a.example"], [],
        ),
        (
            "- {name: x, host: a.example}", "- {name: x, host: a.example, limits: {requests_per_minute: 3}}",
            ["allowed: any method https://a.example, with limits of its own"], ["no longer allowed: any method https://a.example"], [],
        ),
    ],
)  # fmt: skip
def test_in_words(before: str, after: str, gained: list[str], lost: list[str], changed: list[str]) -> None:
    assert diff(before, after) == (tuple(gained), tuple(lost), tuple(changed))


OPEN = "- {name: open, host: a.example}"
SHUT = "- {name: shut, host: a.example, action: %s, matches: [{paths: [{type: prefix, value: %s}]}]}"
WITH = "- {name: x, host: a.example, matches: [{paths: [{type: prefix, value: %s}]}]}"


@pytest.mark.parametrize(
    ("before", "after", "gained", "lost", "changed"),
    [
        (
            "- {name: no, host: a.example, action: deny}", "- {name: no, host: a.example, action: deny}\n" + OPEN,
            [], [], ["still denied by b/no: any method https://a.example"],
        ),
        (SHUT % ("deny", "/admin"), SHUT % ("deny", "/admin") + "\n" + WITH % "/Admin/x", [], [], ["still denied by b/shut: any method https://a.example /Admin/x and below"]),
        (SHUT % ("ask", "/a"), SHUT % ("ask", "/a") + "\n" + WITH % "/a/b", [], [], ["still asked about by b/shut: any method https://a.example /a/b and below"]),
        (SHUT % ("deny", "/a"), SHUT % ("deny", "/a") + "\n" + OPEN, ["allowed: any method https://a.example, except what b/shut denies"], [], []),
        (SHUT % ("ask", "/a"), SHUT % ("ask", "/a") + "\n" + OPEN, ["allowed: any method https://a.example, except what b/shut asks about"], [], []),
        (SHUT % ("deny", "/a"), SHUT % ("deny", "/a") + "\n" + WITH % "/b", ["allowed: any method https://a.example /b and below"], [], []),
        (
            SHUT % ("deny", "/a") + "\n" + WITH % "/a/b", WITH % "/a/b",
            ["no longer denied: any method http(s)://a.example any port /a and below, as far as b/x goes"], [], [],
        ),
        (SHUT % ("deny", "/a") + "\n" + WITH % "/a/b", SHUT % ("deny", "/a"), [], [], ["was denied by b/shut anyway: any method https://a.example /a/b and below"]),
        (OPEN, OPEN + "\n" + SHUT % ("deny", "/a"), [], ["denied: any method http(s)://a.example any port /a and below"], []),
    ],
)  # fmt: skip
def test_what_another_rule_has_the_last_word_over_is_no_gain(
    before: str, after: str, gained: list[str], lost: list[str], changed: list[str]
) -> None:
    assert diff(before, after) == (tuple(gained), tuple(lost), tuple(changed))


@given(st.lists(routes(ACTIONS), max_size=5), st.lists(routes(ACTIONS), max_size=5), DEFAULTS, REQUESTS)
def test_what_a_difference_claims_agrees_with_the_decisions(
    one: list[Route], two: list[Route], default: str, asked: Request
) -> None:
    """Every part that is said to be allowed, to be denied or to stay so is decided so, but for the named rules."""
    before = Policy("b", tuple(named(one, "old")), default=default)
    after = Policy("b", tuple(named(two, "new")), default=default)
    got = decide(compile(after), asked)
    for claim in claims(after, before):
        if in_part(claim.part, asked):
            rules = [rule for _, rule in claim.but]
            if claim.means is Means.NOTHING and claim.by[1]:
                assert got.kind is (Kind.DENY if claim.by[0] == "deny" else got.kind) and got.kind is not Kind.ALLOW
            elif claim.means is Means.ALLOWED:
                assert got.kind is Kind.ALLOW or got.rule in rules or got.reason == TIE
            elif claim.means is Means.ASKED:
                assert got.kind is Kind.ASK or got.rule in rules or got.reason == TIE
            elif claim.part.action == "deny":
                assert got.kind is Kind.DENY
    for claim in claims(before, after):
        if claim.part.action == "deny" and in_part(claim.part, asked):
            if claim.means is Means.DENIED and not claim.within:
                assert got.kind is not Kind.DENY or got.rule in [rule for _, rule in claim.but] or got.reason == TIE
            elif claim.means is Means.NOTHING:
                assert got.kind is Kind.DENY


def named(some: list[Route], prefix: str) -> list[Route]:
    return [msgspec.structs.replace(route, rule=f"{prefix}/{at}") for at, route in enumerate(some)]


def in_part(part: Part, asked: Request) -> bool:
    """Whether a request is surely of a part, for every value of its headers."""
    target = asked.target
    match = Match((part.path,) if part.path.type else (), (part.method,) if part.method else (), part.headers)
    alone = Route(
        "alone/x", part.host, part.scheme or target.scheme, (part.port or target.port,), (part.protocol,), (match,)
    )
    return decide(compile(Policy("b", (alone,))), asked).kind is Kind.ALLOW


def test_precedence_is_told_where_routes_give_different_power() -> None:
    """Without the exact route the same request is still allowed, with another secret."""
    rows = [
        f"- {{name: {name}, host: a.example, auth: {{scheme: bearer, secret: {secret}}}, matches: [{{paths: [{{type: {kind}, value: {path}}}]}}]}}"
        for name, secret, kind, path in (
            ("a", "s1", "prefix", "/a"),
            ("b", "s2", "prefix", "/a/b"),
            ("c", "s1", "exact", "/a/b/c"),
        )
    ]
    assert diff("\n".join(rows), "\n".join(rows[:2]))[1] == (
        "no longer allowed: any method https://a.example exactly /a/b/c, with secret s1",
    )
    same = [row.replace("s2", "s1") for row in rows]
    assert diff("\n".join(same), "\n".join(same[:2])) == ((), (), ())


def test_a_condition_more_is_a_loss() -> None:
    headed = "- {host: a.example, matches: [{headers: [{name: x, type: exact, value: a}]}]}"
    gained, lost, _ = diff("- {host: a.example}", headed)
    assert (gained, lost) == ((), ("no longer allowed: any method https://a.example",))
    gained, lost, _ = diff(headed, "- {host: a.example}")
    assert (gained, lost) == (("allowed: any method https://a.example",), ())


def test_an_expression_stands_for_an_exact_path_only_where_both_read_alike() -> None:
    """A lenient server reads %20 as a space: a deny on the exact path covers that, the expression does not."""
    exact = "- {name: x, host: a.example, action: deny, matches: [{paths: [{type: exact, value: /a%20b}]}]}"
    wide = "- {name: x, host: a.example, action: deny, matches: [{paths: [{type: regex, value: '/a%20.*'}]}]}"
    plain = exact.replace("%20", "-"), wide.replace("%20", "-")
    told = ("still denied by b/x: any method http(s)://a.example any port exactly /a%20b",)
    assert diff(f"{OPEN}\n{exact}", f"{OPEN}\n{wide}")[2] == told
    assert diff(*(f"{OPEN}\n{text}" for text in plain))[2] == ()


def test_settings_are_told() -> None:
    one, two = (effective(merge([bottle(f"egress: {{{text}}}")]), "b") for text in ("log: full", "default: ask"))
    assert difference(one, two).changed == ("default: deny -> ask", "log: full -> blocks")


@given(st.lists(routes(ACTIONS), max_size=4), st.lists(routes(ACTIONS), max_size=4), DEFAULTS, DEFAULTS, REQUESTS)
def test_no_difference_means_that_every_request_is_decided_alike(
    one: list[Route], two: list[Route], first: str, second: str, asked: Request
) -> None:
    before, after = Policy("b", tuple(one), default=first), Policy("b", tuple(two), default=second)
    old, new = decide(compile(before), asked), decide(compile(after), asked)
    told = difference(before, after)
    same_power = old.kind is new.kind and (
        old.kind is Kind.DENY or before.route(old.route).auth == after.route(new.route).auth
    )
    if not same_power:
        assert told.gained or told.lost or told.changed
    if new.kind is Kind.ALLOW and old.kind is Kind.DENY and first == second:
        assert told.gained or told.changed
    if old.kind is Kind.ALLOW and new.kind is Kind.DENY and first == second:
        assert told.lost or told.changed or told.gained
    mirrored = difference(after, before)
    assert (len(told.gained), len(told.lost)) == (len(mirrored.lost), len(mirrored.gained))


@given(st.lists(routes(ACTIONS), max_size=5), st.randoms())
def test_a_policy_does_not_differ_from_itself(known: list[Route], shuffle: Any) -> None:
    other = list(known)
    shuffle.shuffle(other)
    assert difference(Policy("b", tuple(known)), Policy("b", tuple(other))) == Difference((), (), ())


# ---- assertions


GOOD = b"""\
allow:
  - GET https://api.example.com/v1/items
  - api.example.com/v1/x
  - {request: POST https://api.example.com/v1/items, rule: b/write, secret: key}
ask:
  - DELETE https://api.example.com/v1/items
deny:
  - {request: GET https://api.example.com/v1/items, headers: ['x-kind: admin']}  # by header
  - https://evil.example/
"""
ASSERTED = """
- {name: read, host: api.example.com, matches: [{methods: [GET]}]}
- {name: write, host: api.example.com, auth: {scheme: bearer, secret: key}, matches: [{methods: [POST]}]}
- {name: hold, host: api.example.com, action: ask, matches: [{methods: [DELETE]}]}
- {name: no, host: api.example.com, action: deny, matches: [{headers: [{name: x-kind, type: exact, value: admin}]}]}
"""


def test_assertions_that_hold() -> None:
    read = assertions.read(GOOD, "b.test.yaml")
    assert [one.line for one in read] == [2, 3, 4, 6, 8, 9]
    assert assertions.failures(compiled(ASSERTED), read) == ()


def test_assertions_that_fail_say_what_came_instead() -> None:
    changed = ASSERTED.replace("action: ask", "action: deny").replace("secret: key", "secret: other")
    failed = assertions.failures(compiled(changed), assertions.read(GOOD, "b.test.yaml"))
    assert [(one.line, one.got.partition(":")[0]) for one in failed] == [
        (4, "wanted secret key, got other"),
        (6, "wanted ask, got deny by b/hold"),
    ]
    failed = assertions.failures(compiled(ASSERTED.replace("name: write", "name: w")), assertions.read(GOOD, "f"))
    assert [one.got for one in failed] == ["wanted rule b/write, got b/w"]
    none = assertions.read(b"allow: [{request: GET https://api.example.com/, secret: none}]", "f")
    assert assertions.failures(compiled(ASSERTED), none) == ()


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (b"- a", "allow, ask and deny"),
        (b"alow: []", "did you mean allow?"),
        (b"allow: x", "a list of requests"),
        (b"allow:\n  - {rule: x}", "with request"),
        (b"allow:\n  - {request: https://a.example, hosts: x}", "unknown key hosts"),
        (b"allow:\n  - {request: https://a.example, headers: x}", "headers is a list"),
        (b"allow:\n  - {request: https://a.example, rule: [x]}", "rule is a single value"),
        (b"allow:\n  - ftp://a.example", "http and https" if False else "METHOD and an http or https URL"),
        (b"allow: [", "YAML"),
        (b"\xff", "UTF-8"),
        (b"x" * 300_000, "256 KB"),
    ],
)
def test_a_file_that_is_no_assertions_says_so(text: bytes, part: str) -> None:
    with pytest.raises(ManifestFault) as fault:
        assertions.read(text, "b.test.yaml")
    assert part in str(fault.value)


# ---- replay


def line(url: str, method: str = "GET", verdict: str = "allow", **values: Any) -> Line:
    asked = request(url, method)
    target = f"{asked.target.scheme}://{asked.target.host}:{asked.target.port}"
    return Line("intent" if verdict == "allow" else "denied", "r1", "b", target, method, asked.path, verdict=verdict, **values)  # fmt: skip


def changes(candidate: str, *lines: Line) -> list[str]:
    replay = Replay(compiled(candidate))
    return [replay.take(one).value for one in lines]


def test_which_decisions_change() -> None:
    allowed = line("https://a.example/x", rule="b/a")
    denied = line("https://b.example/x", verdict="deny", reason="policy.host-not-allowed")
    asked = line("https://c.example/x", verdict="ask", reason="policy.needs-approval")
    granted = line("https://c.example/x", grant="g1", rule="b/c")
    rows = (allowed, denied, asked, granted)
    assert changes("- {name: a, host: a.example}", *rows) == ["same", "same", "closed", "closed"]
    assert changes("- {name: z, host: a.example}", *rows)[0] == "other-rule"
    assert changes("", *rows)[0] == "lost"
    assert changes("- {host: b.example}\n- {name: c, host: c.example, action: ask}", *rows) == [
        "lost",
        "gained",
        "other-rule",
        "same",
    ]
    assert changes("- {host: c.example}", *rows)[2:] == ["gained", "gained"]
    assert changes("- {host: a.example, action: ask}", *rows)[0] == "asked"


@pytest.mark.parametrize("reason", ["ask.denied", "ask.expired", "ask.withdrawn", "ask.ended", "ask.too-many"])
def test_what_a_person_or_silence_refused_was_asked_about_and_not_refused_before_any_rule(reason: str) -> None:
    """Records of asks end as intent or denied: the policy said ask, whatever came of it."""
    said_no = line("https://c.example/x", verdict="deny", reason=reason, rule="b/c", ask="a-1")
    assert changes("- {name: c, host: c.example, action: ask}", said_no) == ["same"]
    assert changes("- {host: c.example}", said_no) == ["gained"]
    assert changes("", said_no) == ["closed"]


def test_a_yes_for_once_was_asked_about_and_is_told_from_what_a_rule_allowed() -> None:
    once = line("https://c.example/x", rule="b/c", ask="a-1")
    plain = line("https://c.example/x", rule="b/c")
    asking = "- {name: c, host: c.example, action: ask}"
    assert changes(asking, once, plain) == ["same", "asked"]
    assert changes("", once) == ["closed"]
    replay = Replay(compiled(asking))
    replay.take_all([once, plain, once])
    assert replay.tally().counts == {Change.SAME: 2, Change.ASKED: 1}
    lost = Replay(compiled(""))
    lost.take_all([once])
    assert [one.was for one in lost.tally().groups] == ["ask"]


@pytest.mark.parametrize(
    "odd",
    [
        line("https://a.example/x").__class__("outcome", target="https://a.example:443"),
        Line("intent"),
        Line("start", target="https://a.example:443"),
    ],
)
def test_records_of_other_things_are_no_requests(odd: Line) -> None:
    assert changes("- {host: a.example}", odd) == ["no-request"]


def test_what_was_refused_before_any_rule_stays_refused() -> None:
    for reason in ("custody.secret-sent", "wire.host", "limits.denials"):
        assert changes("- {host: a.example}", line("https://a.example/", verdict="deny", reason=reason)) == [
            "refused"
        ]


HEADED = """
- {name: any, host: a.example, matches: [{methods: [GET]}]}
- {name: no, host: a.example, action: deny, matches: [{paths: [{type: prefix, value: /x}], headers: [{name: x-kind, type: exact, value: admin}]}]}
"""


def test_what_a_record_lacks_makes_it_undecidable() -> None:
    base = {"rule": "b/any"}
    assert changes(HEADED, line("https://a.example/x", **base)) == ["same"]  # the header was not sent
    assert changes(HEADED, line("https://a.example/x", headers=("x-kind",), **base)) == ["undecidable"]
    assert changes(HEADED, line("https://a.example/y", headers=("x-kind",), **base)) == ["same"]  # no matter there
    assert changes(HEADED, line("https://b.example/x", headers=("x-kind",), **base)) == ["lost"]
    for value, change in (("admin", "lost"), ("user", "same")):
        assert changes(
            HEADED, line("https://a.example/x", headers=("x-kind",), matched={"x-kind": value}, **base)
        ) == [change]
    lenient = line("https://a.example/X/y", headers=("x-kind",), **base)
    assert changes(HEADED, lenient) == ["undecidable"]  # a deny rule is met by every case
    twice = line("https://a.example/x", headers=("x-kind", "x-kind"), matched={"x-kind": "user"}, **base)
    cut = line("https://a.example/x", headers=("x-kind",), matched={"x-kind": "a…#0123"}, **base)
    assert changes(HEADED, twice, cut) == ["undecidable", "undecidable"]
    for path in ("/" + "a" * 20 + "…#0123456789abcdef", "", "/a/../b"):
        odd = msgspec.structs.replace(line("https://a.example/x"), path=path)
        assert changes(HEADED, odd) == ["undecidable"]
    assert changes(HEADED, msgspec.structs.replace(line("https://a.example/x"), target="https://A.example:443")) == [
        "undecidable"
    ]


def test_the_tally_groups_and_counts() -> None:
    replay = Replay(compiled("- {host: b.example}"))
    replay.take_all(
        [line(f"https://a.example/{n}") for n in range(5)]
        + [line("https://b.example/", verdict="deny", reason="policy.x")]
    )
    tally = replay.tally()
    assert tally.counts == {Change.LOST: 5, Change.GAINED: 1}
    assert [(one.change, one.host, one.count) for one in tally.groups] == [
        (Change.LOST, "a.example:443", 5),
        (Change.GAINED, "b.example:443", 1),
    ]


@given(st.lists(routes(ACTIONS), max_size=4), REQUESTS, st.booleans(), PATHS)
def test_a_decidable_answer_is_the_true_one(known: list[Route], asked: Request, recorded: bool, path: str) -> None:
    """With all headers known or not: whatever is not undecidable is what the candidate says of the whole request."""
    candidate = compile(Policy("b", tuple(known)))
    needs = matched_headers(candidate)
    names = tuple(name for name, _ in asked.headers)
    assume(len(set(names)) == len(names))
    target = asked.target
    record = Line(
        "intent", target=f"{target.scheme}://{target.host}:{target.port}", method=asked.method, path=asked.path,
        protocol=asked.protocol, headers=names, verdict="allow", matched=dict(asked.headers) if recorded else {},
    )  # fmt: skip
    outcome = replayed(candidate, record, needs)
    true = decide(candidate, asked)
    if outcome.change is Change.UNDECIDABLE:
        assert not recorded or outcome.why.startswith("the path")
    else:
        assert outcome.rule == true.rule
        assert (outcome.change in (Change.SAME, Change.OTHER_RULE)) == (true.kind is Kind.ALLOW)


def test_replay_is_fast() -> None:
    """A million records in a minute: 60 us each; here without any two alike, with room for a busy machine."""
    rows = "\n".join(
        f"- {{host: h{n}.example, matches: [{{paths: [{{type: prefix, value: /v1}}]}}]}}" for n in range(50)
    )
    replay = Replay(compiled(rows))
    lines = [line(f"https://h{n % 60}.example/v1/{n}") for n in range(10_000)]
    started = time.process_time()
    replay.take_all(lines)
    assert (time.process_time() - started) / len(lines) < 100e-6
