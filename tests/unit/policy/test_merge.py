"""policy.merge: one rule for parents and overlays, its properties, and what replaces the harness's routes."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot_bottle.base.errors import ManifestFault, UsageFault
from bot_bottle.policy import merge
from bot_bottle.policy.check import BottleFile
from bot_bottle.policy.decide import compile, decide
from bot_bottle.policy.effective import Match, Policy, Route
from bot_bottle.policy.merge import Merged, combine, digest, effective, order, single
from bot_bottle.policy.verdict import Auth, Request, Target
from unit.policy.make import bottle, policy


def files(**fronts: str) -> dict[str, BottleFile]:
    return {name: bottle(front, name) for name, front in fronts.items()}


def names(start: str, known: dict[str, BottleFile]) -> list[str]:
    def load(name: str) -> BottleFile:
        if name not in known:
            raise UsageFault("bottle.unknown", f"There is no bottle named {name!r}.")
        return known[name]

    return [file.name for file in order(start, load)]


def test_parents_left_to_right_child_last_diamonds_once() -> None:
    known = files(a="version: 1", b="extends: a", c="extends: [a]", d="extends: [b, c]")
    assert names("d", known) == ["a", "b", "c", "d"]


def test_a_cycle_is_named_with_its_chain() -> None:
    known = files(a="extends: [b]", b="extends: [c]", c="extends: [a]")
    with pytest.raises(ManifestFault, match="a -> b -> c -> a"):
        names("a", known)
    with pytest.raises(ManifestFault, match="x -> x"):
        names("x", files(x="extends: [x]"))


def test_a_missing_parent_names_the_file_that_asks_for_it() -> None:
    with pytest.raises(ManifestFault, match=r"a\.md: extends: There is no bottle named 'gone'"):
        names("a", files(a="extends: [gone]"))


def test_every_part_of_the_rule() -> None:
    parent = single(bottle("""env: {A: '1', B: '1'}
workspace: {mode: bind, keep: [.env], mounts: [{source: ~/x}, {source: ~/y, mode: rw}], caches: [pip]}
limits: {memory: 1GB, pids: 100}
egress:
  log: full
  sync: each
  registries: [pypi]
  routes:
    - {name: one, host: a.com}
    - {name: two, host: b.com}""", "p"))  # fmt: skip
    child = single(bottle("""env: {B: '2', C: '2'}
workspace: {keep: [x.pem], mounts: [{source: ~/z, target: ~/y}], caches: [npm, pip]}
limits: {pids: 200}
egress:
  registries: [npm, pypi]
  routes:
    - {name: three, host: c.com}
    - {name: one, host: a.com, action: deny}""", "c"))  # fmt: skip
    merged = combine(parent, child)
    plain = msgspec.to_builtins(merged.bottle)
    assert plain == {
        "env": {"A": "1", "B": "2", "C": "2"},
        "workspace": {
            "mode": "bind",
            "keep": [".env", "x.pem"],
            "mounts": [{"source": "~/x"}, {"source": "~/z", "target": "~/y"}],
            "caches": ["pip", "npm"],
        },
        "limits": {"memory": "1GB", "pids": 200},
        "egress": {"log": "full", "sync": "each", "registries": ["pypi", "npm"]},
    }
    assert [(route.rule, route.action) for route in merged.routes] == [
        ("c/one", "deny"),
        ("p/two", "allow"),
        ("c/three", "allow"),
    ]
    assert [route.origin for route in merged.routes] == ["c.md:9", "p.md:11", "c.md:8"]


def test_equal_routes_without_a_name_are_one() -> None:
    one, two = (single(bottle("egress: {routes: [{host: a.com}]}", name)) for name in ("p", "c"))
    assert len(combine(one, two).routes) == 1


FRONTS = st.fixed_dictionaries(
    {},
    optional={
        "env": st.dictionaries(st.sampled_from("ABC"), st.sampled_from("12"), max_size=2),
        "limits": st.dictionaries(st.sampled_from(["pids", "cpus"]), st.integers(8, 20), max_size=2),
        "workspace": st.fixed_dictionaries(
            {},
            optional={
                "mode": st.sampled_from(["copy", "bind"]),
                "keep": st.lists(st.sampled_from(["a", "b", "c"]), max_size=2),
                "mounts": st.lists(st.builds(dict, source=st.sampled_from(["~/x", "~/y"]), target=st.sampled_from(["/m/a", "/m/b"])), max_size=2),
            },
        ),
        "egress": st.fixed_dictionaries(
            {},
            optional={
                "log": st.sampled_from(["off", "full"]),
                "sync": st.sampled_from(["each", "batch"]),
                "registries": st.lists(st.sampled_from(["pypi", "npm", "go"]), max_size=2),
                "routes": st.lists(
                    st.builds(dict, name=st.sampled_from(["r1", "r2", "r3"]), host=st.sampled_from(["a.com", "b.com"])),
                    max_size=3,
                    unique_by=lambda route: str(route["name"]),
                ),
            },
        ),
    },
)  # fmt: skip


def as_merged(front: dict[str, object], name: str) -> Merged:
    return single(bottle(msgspec.json.encode(front).decode(), name))


@given(FRONTS, FRONTS, FRONTS)
def test_the_rule_is_associative(a: dict[str, object], b: dict[str, object], c: dict[str, object]) -> None:
    one, two, three = as_merged(a, "a"), as_merged(b, "b"), as_merged(c, "c")
    assert combine(combine(one, two), three) == combine(one, combine(two, three))


@given(FRONTS)
def test_an_empty_bottle_changes_nothing(front: dict[str, object]) -> None:
    one = as_merged(front, "a")
    for merged in (combine(one, Merged()), combine(Merged(), one)):
        assert (merged.routes, merged.bottle) == (one.routes, merged.bottle)
        assert combine(merged, Merged()) == merged


HARNESS = (
    Route(
        "claude/messages", "api.anthropic.com", matches=(Match(methods=("POST",)),), auth=Auth("bearer", "anthropic")
    ),
    Route("claude/hello", "api.anthropic.com", matches=(Match(methods=("GET",)),)),
    Route("claude/other", "other.example", matches=(Match(methods=("GET",)),)),
)


def test_written_routes_replace_the_given_ones_of_their_host_and_it_is_noted() -> None:
    found = policy("- {name: mine, host: api.anthropic.com, matches: [{methods: [PUT]}]}", *HARNESS)
    assert [route.rule for route in found.routes] == ["b/mine", "claude/other"]
    assert found.routes[0].replaced == ("claude/messages", "claude/hello")
    assert found.notes == ("api.anthropic.com: b/mine replaces claude/messages, claude/hello",)
    assert policy("- {host: '*.anthropic.com', action: deny}", *HARNESS).notes == ()


def test_the_digest_is_of_what_decides_and_of_nothing_else() -> None:
    one = policy("- {name: mine, host: a.com}", *HARNESS)
    moved = effective(
        merge.merge([bottle("# a comment\negress: {routes: [{name: mine, host: a.com}]}", "b")]), "b", HARNESS
    )
    assert one.digest == moved.digest and one.routes != moved.routes
    assert one.digest == digest(msgspec.structs.replace(one, revision=7))
    for other in ("- {name: mine, host: a.com., ports: [444]}", "- {name: mine, host: a.com, action: ask}", ""):
        assert policy(other, *HARNESS).digest != one.digest


def test_a_policy_survives_the_channel() -> None:
    one = policy(
        "- {host: a.com, auth: {scheme: 'header:x-key', secret: s}, tls: {ca: ca.pem}, timeouts: {idle: 5m}}",
        *HARNESS,
    )
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=Policy) == one
    assert one.routes[0].auth == Auth("header", "s", "x-key") and one.routes[0].ca == "PEM"
    assert (one.secrets(), one.ports()) == (("anthropic", "s"), (443,))


@given(FRONTS, FRONTS)
def test_a_later_deny_always_holds(a: dict[str, object], b: dict[str, object]) -> None:
    """An overlay that denies a host denies it whatever came before: nothing in a parent can undo it."""
    denying = single(bottle("egress: {routes: [{name: never, host: a.com, action: deny}]}", "last"))
    merged = combine(combine(as_merged(a, "a"), as_merged(b, "b")), denying)
    asked = Request(Target("https", "a.com", 443), "GET", "/")
    assert decide(compile(effective(merged, "b")), asked).rule == "last/never"
