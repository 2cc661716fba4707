"""policy.check: every problem at once, at its line, with the nearest key; and the examples of the documentation."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.base.errors import ManifestFault, Problem
from bot_bottle.policy.check import check_agent, check_bottle
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Policy
from bot_bottle.policy.frontmatter import MAX_BYTES
from bot_bottle.policy.merge import effective, merge
from bot_bottle.policy.verdict import Request, Target

EXAMPLE = b"""---
version: 1
extends: [base]
env: {EDITOR: vi, TZ: {from_host: TZ}, TOKEN: {secret: example, visible: true}}
workspace: {mode: copy, keep: [.env], mounts: [{source: ~/tools, target: ~/tools, mode: ro}], caches: [pip, npm, cargo]}
limits: {memory: 4GB, pids: 512, cpus: 2, disk: 10GB, wall_clock: 2h}
egress:
  log: blocks
  registries: [pypi, npm]
  routes:
    - name: example-read
      host: api.example.com
      scheme: https
      ports: [443]
      protocols: [http1]
      matches:
        - paths: [{type: prefix, value: /v1/}]
          methods: [GET, POST]
          headers: [{name: x-kind, type: exact, value: a}]
      action: allow
      auth: {scheme: bearer, secret: example}
      tls: {ca: private-ca.pem}
      address: 127.0.0.1:8443
      limits: {request_bytes: 10MB, bottle_bytes: 1GB, requests_per_minute: 600}
      timeouts: {idle: 5m, total: 1h}
---
What it is for.
"""


def problems(text: str | bytes, kind: str = "bottle", **more: bool) -> list[Problem]:
    raw = text if isinstance(text, bytes) else f"---\n{text}\n---\n".encode()
    with pytest.raises(ManifestFault) as caught:
        check_bottle(raw, "x", "x.md") if kind == "bottle" else check_agent(raw, "x", "x.md", **more)
    return caught.value.problems


def test_the_example_of_the_issue_is_in_order() -> None:
    file = check_bottle(EXAMPLE, "x", "x.md")
    route = file.bottle.egress.routes[0]
    assert (file.lines, file.notes, route.host, route.action) == (
        (11,),
        "What it is for.\n".strip(),
        "api.example.com",
        "allow",
    )
    assert file.bottle.limits.cpus == 2 and file.bottle.egress.log == "blocks"


def test_every_problem_is_shown_at_once_with_line_and_nearest_key() -> None:
    found = problems("""version: 2
extend: [base]
env: {TZ: {from_hots: TZ}, A-B: x}
limits: {memory: 4XB, pids: 0, cpus: x}
egress:
  log: block
  routes:
    - host: 0x7f.1
    - host: a.com
      matches: [{paths: [{type: regex, value: '('}]}]
    - hots: b
    - host: 10.0.0.1
    - host: c.com
      action: alow""")
    assert [(one.line, one.slug) for one in found] == [
        (2, "manifest.bad-value"),
        (3, "manifest.unknown-key"),
        (4, "manifest.unknown-key"),
        (4, "manifest.bad-value"),
        (5, "manifest.bad-value"),
        (5, "manifest.bad-value"),
        (5, "manifest.wrong-type"),
        (7, "manifest.bad-value"),
        (9, "manifest.bad-value"),
        (10, "manifest.bad-regex"),
        (12, "manifest.unknown-key"),
        (12, "manifest.missing-key"),
        (13, "manifest.address-class"),
        (15, "manifest.bad-value"),
    ]
    hints = {one.hint for one in found}
    assert {
        "did you mean extends?",
        "did you mean from_host?",
        "did you mean blocks?",
        "did you mean host?",
        "did you mean allow?",
    } <= hints
    assert all(one.file == "x.md" and one.what for one in found)


@pytest.mark.parametrize(
    ("route", "slug"),
    [
        ("{host: a.com, scheme: http, auth: {scheme: bearer, secret: s}}", "cleartext-secret"),
        ("{host: a.com, scheme: http, tls: {ca: x.pem}}", "bad-value"),
        ("{host: a.com, action: deny, auth: {scheme: bearer, secret: s}}", "bad-value"),
        ("{host: a.com, agent_credentials: allow, auth: {scheme: bearer, secret: s}}", "bad-value"),
        ("{host: a.com, auth: {scheme: Bearer, secret: s}}", "bad-value"),
        ("{host: a.com, auth: {scheme: 'header:host', secret: s}}", "bad-value"),
        ("{host: a.com, auth: {scheme: 'header:', secret: s}}", "bad-value"),
        ("{host: a.com, auth: {scheme: 'query:a&b', secret: s}}", "bad-value"),
        ("{host: a.com, auth: {scheme: bearer, secret: S}}", "bad-value"),
        ("{host: a.com, auth: {}}", "missing-key"),
        ("{host: '*.com'}", "bad-value"),
        ("{host: '*'}", "bad-value"),
        ("{host: 192.168.0.1}", "address-class"),
        ("{host: 169.254.169.254, address: '169.254.169.254:80'}", "bad-value"),
        ("{host: a.com, address: '[::ffff:10.0.0.1]:443'}", "bad-value"),
        ("{host: a.com, address: 'localhost:443'}", "bad-value"),
        ("{host: a.com, address: '10.0.0.1'}", "bad-value"),
        ("{host: a.com, ports: []}", "too-short"),
        ("{host: a.com, ports: [0]}", "bad-value"),
        ("{host: a.com, ports: [70000]}", "bad-value"),
        ("{host: a.com, ports: ['443']}", "wrong-type"),
        ("{host: a.com, protocols: [h2]}", "bad-value"),
        ("{host: a.com, matches: [{methods: [get]}]}", "bad-value"),
        ("{host: a.com, matches: [{methods: [CONNECT]}]}", "bad-value"),
        ("{host: a.com, matches: [{paths: [{type: prefix, value: v1}]}]}", "bad-value"),
        ("{host: a.com, matches: [{paths: [{type: exact, value: '/a%252e'}]}]}", "bad-value"),
        ("{host: a.com, matches: [{paths: [{type: glob, value: /}]}]}", "bad-value"),
        ("{host: a.com, matches: [{headers: [{name: 'a b', type: exact, value: x}]}]}", "bad-value"),
        ("{host: a.com, matches: [{headers: [{name: a, type: regex, value: '[a'}]}]}", "bad-regex"),
        ("{host: a.com, limits: {request_bytes: many}}", "bad-value"),
        ("{host: a.com, timeouts: {idle: 5}}", "bad-value"),
        ("{host: [a.com]}", "wrong-type"),
        ("{host: ~}", "wrong-type"),
        ("a.com", "wrong-type"),
    ],
)
def test_a_route_that_does_not_fit(route: str, slug: str) -> None:
    assert {one.slug for one in problems(f"egress:\n  routes:\n    - {route}")} == {f"manifest.{slug}"}


def test_equal_match_sets_with_different_power_in_one_file() -> None:
    pair = """egress:
  routes:
    - {name: one, host: A.com, ports: [443, 8443], auth: {scheme: bearer, secret: s1}}
    - {name: two, host: a.com., %s}"""
    assert [one.slug for one in problems(pair % "auth: {scheme: bearer, secret: s2}")] == ["manifest.equal-routes"]
    assert [one.slug for one in problems(pair % "address: '10.0.0.1:443'")] == ["manifest.equal-routes"]
    for other in (
        "auth: {scheme: bearer, secret: s1}",
        "ports: [9443]",
        "matches: [{methods: [GET]}]",
        "action: deny",
    ):
        check_bottle(f"---\n{pair % other}\n---\n".encode(), "x", "x.md")


def test_equal_entries_among_others_are_found_too() -> None:
    found = problems("""egress:
  routes:
    - {name: one, host: a.com, matches: [{methods: [GET]}, {paths: [{type: exact, value: /a}], methods: [POST, PUT]}]}
    - {name: two, host: a.com, matches: [{paths: [{type: exact, value: /%61}], methods: [PUT, POST]}], agent_credentials: allow}""")
    assert [one.slug for one in found] == ["manifest.equal-routes"]


def test_two_routes_of_one_name() -> None:
    rows = "egress:\n  routes:\n    - {name: one, host: a.com}\n    - {name: one, host: b.com}"
    assert [(one.slug, one.line) for one in problems(rows)] == [("manifest.duplicate-route", 5)]


@pytest.mark.parametrize(
    ("front", "word"),
    [
        ("a: 1\na: 2", "twice"),
        ("env: &x {}", "anchor"),
        ("env: *x", "alias"),
        ("env: !!map {}", "tag"),
        ("env: !local {}", "tag"),
        ("%YAML 1.1\n...\na: 1", "YAML"),
        ("? [a]\n: 1", "key"),
        ("env: " + "[" * 40 + "]" * 40, "levels"),
        ("[1, 2", "YAML"),
        ("a:\n\tb: 1", "YAML"),
        ("- 1", "keys and values"),
        ("just text", "keys and values"),
    ],
)
def test_yaml_that_surprises_is_refused(front: str, word: str) -> None:
    found = problems(front)
    assert len(found) == 1 and word in found[0].what and found[0].line >= 1


def test_files_that_are_no_manifests() -> None:
    assert "closing" in problems(b"---\nversion: 1\n")[0].what
    assert "256 KB" in problems(b"x" * (MAX_BYTES + 1))[0].what
    assert problems(b"---\nenv: {}\n# \xff\n---\n")[0].line == 3
    assert "NUL" in problems(b"---\nenv: {A: '\0'}\n---\n")[0].what
    assert "more than one" in problems("version: 1\n--- {version: 1}")[0].what


def test_a_block_of_many_values_is_refused_at_once() -> None:
    assert "10000 values" in problems("extends: [" + "a, " * 30_000 + "b]")[0].what
    assert "10000 values" in problems("env: {" + ", ".join(f"A{n}: x" for n in range(15_000)) + "}")[0].what


def test_a_bare_no_is_text_and_other_yaml_1_2_rules() -> None:
    front = "env: {A: no, B: 012, C: 1_000, D: off, E: '', F: true, G: 0x1f, H: 1.50, I: y}\negress: {log: off}"
    bottle = check_bottle(f"---\n{front}\n---\n".encode(), "x", "x.md").bottle
    assert bottle.env == {
        "A": "no",
        "B": "012",
        "C": "1_000",
        "D": "off",
        "E": "",
        "F": "true",
        "G": "0x1f",
        "H": "1.50",
        "I": "y",
    }
    assert bottle.egress.log == "off"


@pytest.mark.parametrize(
    "front", ["limits: {pids: '512'}", "limits: {pids: 1_000}", "limits: {pids: true}", "env: {A: ~}", "env: {A: }"]
)
def test_types_are_strict(front: str) -> None:
    assert [one.slug for one in problems(front)] == ["manifest.wrong-type"]


@pytest.mark.parametrize(
    "front",
    [
        "env: {A: {}}",
        "env: {A: {from_host: B, secret: s}}",
        "env: {A: {from_host: B, visible: true}}",
        "env: {LD_PRELOAD: x}",
    ],
)
def test_a_variable_has_one_source(front: str) -> None:
    assert [one.slug for one in problems(front)] == ["manifest.bad-value"]


@pytest.mark.parametrize("front", ["version: 1.0", "version: 2", "version: true", "version: '1'", "limits: {memory: 9999TB}", "limits: {disk: 999999999999999TB}",
    "egress: {routes: [{host: a.com, limits: {requests_per_minute: 9999999999999999999}}]}"])  # fmt: skip
def test_numbers_have_bounds_and_types(front: str) -> None:
    assert [one.slug for one in problems(front)] == ["manifest.bad-value"]


@pytest.mark.parametrize("source", ["/", "~", "~/", "tools", "/a/../etc", "~/../x"])
def test_mount_paths(source: str) -> None:
    assert problems(f"workspace: {{mounts: [{{source: '{source}'}}]}}")[0].slug == "manifest.bad-value"


# ---- agents


def test_a_claude_subagent_file_works_as_an_agent() -> None:
    text = b"---\nname: reviewer\ndescription: Reviews\ntools: Read, Grep\nmodel: inherit\ncolor: blue\nsomethingNew: {a: 1}\n---\n\nYou review.\n"
    file = check_agent(text, "reviewer", "reviewer.md")
    assert (file.prompt, file.agent.harness is file.agent.model) == ("You review.", True)
    assert file.claude == ("color", "description", "name", "somethingNew", "tools")


def test_an_unknown_key_of_a_plain_agent_is_an_error_and_so_is_a_near_miss_of_a_subagent() -> None:
    assert problems("harness: claude\nfoo: 1", "agent")[0].slug == "manifest.unknown-key"
    assert problems("name: x\ndescription: y\nharnes: claude", "agent")[0].hint == "did you mean harness?"


def test_a_file_without_front_matter_is_all_prompt() -> None:
    assert check_agent(b"You help.\n", "x", "x.md").prompt == "You help."


@pytest.mark.parametrize("front", ["bottle: [rich]", "git: {name: a, email: b}"])
def test_an_agent_of_a_repository_names_no_power(front: str) -> None:
    check_agent(f"---\n{front}\n---\n".encode(), "x", "x.md")
    assert problems(front, "agent", repository=True)[0].slug == "manifest.repository-agent"


def test_a_model_never_looks_like_an_option() -> None:
    assert problems("model: --mcp-config=x", "agent")[0].slug == "manifest.bad-value"


# ---- properties

LEAVES = st.sampled_from(
    ["a", "no", "1", "~", "[]", "{}", "/v1", "GET", "4GB", "'x'", "a.com", "*.b.com", "127.0.0.1:1", "\u202e"]
)
KEYS = [
    "version",
    "extends",
    "env",
    "limits",
    "memory",
    "egress",
    "routes",
    "host",
    "matches",
    "paths",
    "type",
    "value",
    "auth",
    "x",
]
TREES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
        | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}"
        )
    ),
    max_leaves=12,
)


@given(TREES | st.text(max_size=60))
def test_any_text_is_in_order_or_has_problems_with_a_line(text: str) -> None:
    raw = f"---\n{text}\n---\n".encode("utf-8", "surrogatepass")
    for check in (check_bottle, check_agent):
        try:
            check(raw, "x", "x.md")
        except ManifestFault as fault:
            assert all(one.what and one.line >= 1 and one.slug.startswith("manifest.") for one in fault.problems)
            assert "\u202e" not in str(fault)


TEXTS = st.sampled_from(["a.com", "*.b.com", "10.0.0.1", "2001:4860:4860::8888", "::1", "/v1/", "/a%2Fb", "/A%20b/", "(a|b)*", "[", "x-y", "GET", "bearer",
    "header:x-key", "query:k", "127.0.0.1:80", "[::1]:443", "10MB", "9TB", "5m", "99999d", "s1", "ca.pem", "exact", "prefix", "regex"])  # fmt: skip
NUMBERS = st.sampled_from([0, 1, 80, 443, 65535, 65536, 2**31, 2**53, 2**63, -1, 1.5])


def maybe(**fields: st.SearchStrategy[object]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=fields)


CONDITIONS = maybe(
    paths=st.lists(st.fixed_dictionaries({"type": st.sampled_from(["exact", "prefix", "regex"]), "value": TEXTS}), max_size=2),
    methods=st.lists(st.sampled_from(["GET", "POST", "M-SEARCH"]), max_size=2),
    headers=st.lists(st.fixed_dictionaries({"name": TEXTS, "type": st.sampled_from(["exact", "prefix", "regex"]), "value": TEXTS}), max_size=1),
)  # fmt: skip
WRITTEN = st.tuples(
    st.sampled_from(["a.com", "*.b.com", "8.8.8.8", "10.0.0.1"]),
    maybe(
        scheme=st.sampled_from(["https", "http"]),
        ports=st.lists(NUMBERS, max_size=2),
        protocols=st.lists(st.sampled_from(["http1", "websocket"]), max_size=2),
        matches=st.lists(CONDITIONS, max_size=2),
        action=st.sampled_from(["allow", "ask", "deny"]),
        auth=st.fixed_dictionaries({"scheme": TEXTS, "secret": st.just("s1")}),
        agent_credentials=st.sampled_from(["allow", "remove"]),
        address=TEXTS,
        limits=maybe(request_bytes=TEXTS, bottle_bytes=NUMBERS, requests_per_minute=NUMBERS),
        timeouts=maybe(idle=TEXTS, total=TEXTS),
    ),
).map(lambda pair: {"host": pair[0], **pair[1]})


@given(st.lists(WRITTEN, min_size=1, max_size=2))
def test_what_is_in_order_makes_a_policy_that_decides_and_travels(written: list[dict[str, object]]) -> None:
    raw = b"---\n" + msgspec.json.encode({"egress": {"routes": written}}) + b"\n---\n"
    try:
        file = check_bottle(raw, "x", "x.md")
    except ManifestFault as fault:
        assert all(one.line >= 1 for one in fault.problems)
        return
    policy = effective(merge([file]), "x")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(policy), type=Policy) == policy
    known = compile(policy)
    for host in ("a.com", "x.b.com", "8.8.8.8"):
        decide(known, Request(Target("https", host, 443), "GET", "/v1/"))
